"""Step 07: the list of servers comes from etcd; confd writes it into HAProxy's configuration."""

from silverlining.model.lesson import Act, Change, Check, Lesson, Proof, Question
from silverlining.model.service import Health, Port, Service, Volume
from silverlining.model.text import _

from . import SUMMARIES
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
    SUMMARIES["step07-etcd-confd"],
    (
        Act(
            _("The keys"),
            _("Each app server has a key under /app/servers with its address. confd watches them and writes them into HAProxy's configuration."),
            (
                "docker exec {etcd} etcdctl get --prefix /app/servers/",
                "docker exec {haproxy} confd --version",
                "docker exec {haproxy} sed -n '/^backend/,${{/./p}}' /usr/local/etc/haproxy/haproxy.cfg",
            ),
            _(
                "One key, one server line in each of two backends. The second one has the same servers without checks: HAProxy uses it only while"
                " no server is well, as when Redis fails over and nobody can count for some seconds."
            ),
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
    questions=(
        Question(
            _("etcd is stopped. What works, and what doesn't?"),
            _(
                "Everything that serves: HAProxy has the list in its own file, and its health checks go on. Changes wait: no server joins or"
                " leaves the list until etcd is back."
            ),
        ),
        Question(
            _("A container of the app dies. Who deletes its key?"),
            _(
                "Nobody: the keys have no lease. HAProxy's checks take the server out of use; the key goes when you, or a run that has no use for"
                " it, delete it. With a lease a key would end with its owner. It would also end when only the one that renews it hangs."
            ),
        ),
        Question(
            _("Why is a new file checked before it is put in place?"),
            _(
                "One that HAProxy can't read would end it at its next start; one without servers would turn every visitor away. `check_cmd` in"
                " conf/confd.toml.j2 refuses both, and the file in place stays."
            ),
        ),
        Question(
            _("Does a reload cut anybody off?"),
            _(
                "No. HAProxy's master process starts a new worker, which takes over the listening sockets. The old one ends what it has begun, for"
                " at most 17 s (`hard-stop-after`)."
            ),
        ),
    ),
    since=(
        Change(
            _("etcd's v2 API, `etcdctl set`"),
            _("etcd 3.5, `etcdctl put`"),
            _("the v2 API was removed"),
        ),
        Change(
            _("etcd on four ports of the host, open to all"),
            _("on the private network and on the host's loopback"),
            _("who can write its keys decides where visitors are sent"),
        ),
        Change(
            _("confd asks every 10 s, `kill -HUP 1`"),
            _("confd watches; the new file is checked, put in place and loaded until HAProxy says so"),
            _("seconds of stale servers; an unchecked file may end the proxy"),
        ),
        Change(
            _("confd's binary is copied in"),
            _("the maintained fork, by the first way that works; else a small agent of ours that reads the same files"),
            _("the original project rests; closed networks reach neither its releases nor its module"),
        ),
        Change(
            _("an empty list of keys empties HAProxy"),
            _("the last good list stays in force"),
            _("a lost etcd must not take the site down"),
        ),
    ),
)
