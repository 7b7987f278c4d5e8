"""Step 08: netdata watches the host and each container."""

from silverlining.model.lesson import Act, Check, Lesson, Proof
from silverlining.model.service import Bind, Health, Port, Service
from silverlining.model.text import _

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
    _("Charts of the host and of each container, second by second."),
    (
        Act(
            _("Who uses what"),
            _(
                "netdata reads /proc and /sys of the host, both mounted read-only. It gets neither the engine's socket nor a capability,"
                " which would be keys to the whole host; the names come from Docker's DNS server, which knows the name of each container's address."
            ),
            ("curl -sS -o /dev/null -w '%{{http_code}} %{{url_effective}}\\n' http://127.0.0.1:{port_netdata}/api/v1/info",),
            _("Open http://127.0.0.1:{port_netdata}/ in a browser: a section for each container, by its name."),
            proofs=(Proof("charts", "netdata"),),
            checks=(
                *(Check("containers"), Check("redis"), Check("sentinels"), Check("apps"), Check("registry"), Check("haproxy"), Check("serves")),
                Check("netdata"),
            ),
        ),
    ),
)
