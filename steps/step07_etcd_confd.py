"""Step 07: the list of servers comes from etcd; confd writes it into HAProxy's configuration."""

from silverlining.model.lesson import Act, Check, Lesson, Proof
from silverlining.model.service import Health, Port, Service, Volume
from silverlining.model.text import _

from .step06_haproxy import HAPROXY as STATIC
from .step06_haproxy import TOPOLOGY as BEFORE

ETCD = Service(
    name="etcd",
    image="etcd",
    address=6,
    command=(
        *("etcd", "--name", "etcd", "--data-dir", "/etcd-data"),
        *("--listen-client-urls", "http://0.0.0.0:2379", "--advertise-client-urls", "http://etcd:2379"),
        *("--listen-peer-urls", "http://127.0.0.1:2380", "--initial-advertise-peer-urls", "http://127.0.0.1:2380"),
        *("--initial-cluster", "etcd=http://127.0.0.1:2380", "--initial-cluster-token", "etcd-cluster-1", "--initial-cluster-state", "new"),
        *("--auto-compaction-mode", "periodic", "--auto-compaction-retention", "1h"),
    ),
    ports=(Port(2379, "etcd"),),
    volumes=(Volume("/etcd-data"),),
    tmpfs=("/tmp",),
    health=Health("etcd-health"),
    user="10002:10002",
    memory=256,
)

HAPROXY = STATIC.but(
    image="haproxy-confd",
    volumes=(),
    links=(("etcd", "etcd"),),
    after=("ping-app", "etcd"),
    mend=("haproxy-mend",),
    read_only=False,
    memory=256,
    stop_signal="SIGTERM",
)

TOPOLOGY = BEFORE.derive("step07-etcd-confd", add=(ETCD, HAPROXY), registry="etcd")

LESSON = Lesson(
    _("etcd and confd"),
    _("Servers register under a key; HAProxy follows without an edit and without a restart."),
    (
        Act(
            _("The keys"),
            _("Each app server has a key under /app/servers with its address. confd watches them and writes them into HAProxy's configuration."),
            (
                "docker exec {etcd} etcdctl get --prefix /app/servers/",
                "docker exec {haproxy} grep -E '^ *server ' /usr/local/etc/haproxy/haproxy.cfg",
            ),
            _("One key, one server line."),
            checks=(
                Check("containers"),
                Check("redis"),
                Check("sentinels"),
                Check("apps"),
                Check("registry"),
                Check("haproxy"),
                Check("serves"),
            ),
        ),
        Act(
            _("A key put by hand"),
            _("One more key, one more server: it takes traffic in a moment. The key deleted, it is gone."),
            proofs=(Proof("key-by-hand", "etcd"),),
        ),
        Act(
            _("What if etcd is gone?"),
            _("confd keeps the last good list: no etcd, or an empty one, must not take the site down."),
            proofs=(Proof("etcd-gone", "etcd"), Proof("last-key", "etcd")),
        ),
    ),
)
