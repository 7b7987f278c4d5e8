"""Step 09: the same stack from a Compose file that is generated from the topology."""

from silverlining.model.lesson import Act, Check, Lesson
from silverlining.model.text import _

from .step08_netdata import TOPOLOGY as BEFORE

TOPOLOGY = BEFORE.derive("step09-compose")

LESSON = Lesson(
    _("Compose"),
    _("The whole stack in one file, run by Docker Compose."),
    (
        Act(
            _("The file"),
            _(
                "Everything that the steps before told docker stands in {compose_file}, written from the same data. Whoever has the images needs"
                " nothing else: network, volumes and secrets are made by the file too."
            ),
            ("{compose} config --services",),
            _("The services of the step before, under the names that they had all along, and one that makes the secrets and ends."),
            checks=(
                *(Check("containers"), Check("redis"), Check("sentinels"), Check("apps"), Check("registry"), Check("haproxy"), Check("serves")),
                Check("netdata"),
            ),
        ),
        Act(
            _("What stands"),
            _(
                "`up` made the containers; your data came along, because the volumes kept their names. The containers of a scaled service"
                " are alike: each gets the next free address, and a volume without a name of its own. Two Redis on one data directory would ruin it."
            ),
            (
                "{compose} ps --format 'table {{{{.Name}}}}\\t{{{{.Service}}}}\\t{{{{.Status}}}}'",
                "docker inspect --format '{{{{range .Mounts}}}}{{{{.Destination}}}} {{{{.Name}}}}  {{{{end}}}}' {redis_slave_1} {redis_slave_2}",
            ),
            _("/data of each replica is another volume."),
        ),
        Act(
            _("Scale"),
            _(
                "One number more or less is one command. The file carries the numbers as well, so that a later `up` doesn't take back what you"
                " scaled; they stand there already, and nothing changes now. Try ping-app=5."
            ),
            ("{compose} scale {scale}",),
        ),
        Act(
            _("Registration"),
            _(
                "Nobody knows the new containers' addresses before they run. A script asks Compose for them and puts them into etcd, as the article"
                " does; it also deletes the keys of those that are gone. confd does the rest."
            ),
            ("COMPOSE='{compose}' sh {register}", "docker exec {etcd} etcdctl get --prefix /app/servers/", "curl -sS {url}"),
            _(
                "The number goes on from the step before. After a scale you run the script yourself, and after a restart of the host"
                " too: Docker may hand the addresses out anew."
                " deploy-all gives each container a fixed one instead; it takes the stack back from here with its data."
            ),
            checks=(Check("registry"), Check("haproxy"), Check("serves")),
        ),
    ),
)
