"""Step 09: the same stack from a Compose file that is generated from the topology."""

from silverlining.model.lesson import Act, Change, Check, Lesson, Question
from silverlining.model.text import _

from . import SUMMARIES
from .step08_netdata import TOPOLOGY as BEFORE

TOPOLOGY = BEFORE.derive("step09-compose")

LESSON = Lesson(
    _("Compose"),
    SUMMARIES["step09-compose"],
    (
        Act(
            _("The file"),
            _(
                "Everything that the steps before told docker stands in {compose_file}, written from the same data. Whoever has the images needs"
                " nothing else: network, volumes and secrets are made by the file too."
            ),
            ("{compose} config --services", "awk '/^  [a-z]/ {{ mine = /^  redis-slave:/ }} mine' {compose_file}"),
            _(
                "The services of the step before, under the names that they had all along, and one that makes the secrets and ends. Below, one of"
                " them in the file: each line is a flag of the `docker run` of step 5."
            ),
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
            _("Up, once more"),
            _(
                "`up` compares the file with what stands and changes only what differs. It starts a service after those that it depends on, and"
                " makes network and volumes where they are missing. Now nothing differs."
            ),
            ("{compose} up --detach 2>&1", "{compose} logs --no-color --tail 2 redis-slave"),
            _(
                "All are Running already. Only secrets runs once more, and ends: it makes what is missing. `logs` reads all containers of a"
                " service at once, here the last two lines of each replica."
            ),
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
    questions=(
        Question(
            _("`{compose} scale ping-app=5`: who sends requests to the two new containers?"),
            _("Nobody, until `sh {register}` has put their addresses into etcd. Then confd writes them into HAProxy's file, as in step 7."),
        ),
        Question(
            _("Why has redis-master a fixed address in the file, and redis-slave none?"),
            _("All containers of a scaled service are made of the same lines, and one address can't be given twice."),
        ),
        Question(
            _("After a failover redis-slave-2 is master. Who is master after `{compose} down` and `up`, and what does it know?"),
            _(
                "The replicas' volumes have no name: the next `up` makes new ones, and the master's data is gone with its own. redis-master-1 comes"
                " back with what it has copied, as a replica of a master that is gone. It asks the Sentinels for another one, and after ten seconds"
                " (TAKE_BACK_AFTER in the file) it is master itself, with its copy. `./invoke teardown`, or a step back, doesn't leave it to that:"
                " the role moves to redis-master-1 before anything stops."
            ),
        ),
        Question(
            _("What does `./invoke deploy-all` see to that Compose doesn't?"),
            _(
                "Compose makes anew what differs from its file, whoever serves or is master just then. It knows neither Redis' roles nor HAProxy's"
                " servers. deploy-all moves the master before its node stops, drains a server before it goes, and registers what comes."
            ),
        ),
    ),
    since=(
        Change(
            _("Compose file 2.1, `docker-compose scale`, `container_name: lb`"),
            _("Compose v2 and later, without a version, generated from the topology"),
            _("the version key is ignored; a fixed name can't be scaled"),
        ),
        Change(
            _("the numbers of containers by three `scale` commands after `up`"),
            _("the numbers stand in the file"),
            _("a later `up` takes nothing back"),
        ),
        Change(
            _("`awk` over `docker-compose ps` to register apps"),
            _("a script over `docker compose ps -q` and `docker inspect`"),
            _("the columns have changed more than once"),
        ),
    ),
)
