"""Step 09: the same stack from a Compose file that is generated from the topology."""

from silverlining.model.lesson import Act, Check, Lesson, Proof
from silverlining.model.text import _

from .step08_netdata import TOPOLOGY as BEFORE

TOPOLOGY = BEFORE.derive("step09-compose")

LESSON = Lesson(
    _("Compose"),
    _("The whole stack in one file, run by Docker Compose."),
    (
        Act(
            _("The file"),
            _("Everything that the steps before told docker stands in one file. It was written from the same data: {compose_file}"),
            ("{compose} config --services",),
            _("The services of the step before, under the names that they had all along."),
            checks=(
                *(Check("containers"), Check("redis"), Check("sentinels"), Check("apps"), Check("registry"), Check("haproxy"), Check("serves")),
                Check("netdata"),
            ),
        ),
        Act(
            _("What stands"),
            _("Compose made the containers and keeps their number. The servers are registered in etcd by a script, as the article does."),
            ("{compose} ps", "docker exec {etcd} etcdctl get --prefix /app/servers/"),
            proofs=(Proof("counts-by-one"),),
        ),
    ),
)
