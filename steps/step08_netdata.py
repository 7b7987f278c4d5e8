"""Step 08: netdata watches the host and each container."""

from silverlining.model.lesson import Act, Change, Check, Lesson, Proof, Question
from silverlining.model.service import Bind, Health, Port, Service
from silverlining.model.text import _

from . import SUMMARIES
from .step07_etcd_confd import TOPOLOGY as BEFORE

NETDATA = Service(
    name="netdata",
    image="netdata",
    address=7,
    ports=(Port(19999, "netdata"),),
    binds=(Bind("/proc", "/host/proc"), Bind("/sys", "/host/sys")),
    tmpfs=("/tmp",),
    health=Health("netdata-health", start_period=40),
    user="201:201",
    memory=256,
)

TOPOLOGY = BEFORE.derive("step08-netdata", add=(NETDATA,))

LESSON = Lesson(
    _("netdata"),
    SUMMARIES["step08-netdata"],
    (
        Act(
            _("Who uses what"),
            _(
                "netdata reads /proc and /sys of the host, both mounted read-only. It gets neither the engine's socket nor a capability,"
                " which would be keys to the whole host; the names come from Docker's DNS server, which knows the name of each container's address."
            ),
            ("curl -sS -o /dev/null -w '%{{http_code}} %{{url_effective}}\\n' http://127.0.0.1:{port_netdata}/api/v1/info",),
            _(
                "Open http://127.0.0.1:{port_netdata}/ in a browser. The menu is on the right (a narrow window hides it): below the host's own"
                " sections each container has one, by its name. Look at `cpu` and `mem` of {ping_app} while you reload the page at {url}."
            ),
            proofs=(Proof("charts", "netdata"),),
            checks=(
                *(Check("containers"), Check("redis"), Check("sentinels"), Check("apps"), Check("registry"), Check("haproxy"), Check("serves")),
                Check("netdata"),
            ),
        ),
    ),
    questions=(
        Question(
            _("netdata doesn't ask the engine. How does it know the containers' names?"),
            _(
                "It finds a container's cgroup in the host's /sys, a process of it in /proc, and that process' address. Docker's DNS server tells"
                " the name of the address: builds/netdata/cgroup-name."
            ),
        ),
        Question(
            _("Ask for the page 500 times and look at the three ping-app sections. What do you expect?"),
            _("`for n in $(seq 500); do curl -sS {url} > /dev/null; done`: the CPU of the three rises alike, since HAProxy gives each its turn."),
        ),
        Question(
            _("netdata's container is made anew. What is lost?"),
            _("The charts' history: the last half hour, which it keeps in memory (`mode = ram` in conf/netdata.conf.j2). It has no volume."),
        ),
    ),
    since=(
        Change(
            _("netdata with SYS_PTRACE"),
            _("no capability, and no access to the engine"),
            _("with the host's /proc, that capability is as good as root"),
        ),
    ),
)
