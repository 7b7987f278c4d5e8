"""Step 05: a Redis master with two replicas, and three Sentinels that elect a new master when it fails."""

from silverlining.model.lesson import Act, Change, Check, Lesson, Proof, Question
from silverlining.model.service import Health, Service, Volume
from silverlining.model.text import _

from . import SUMMARIES
from .step03_redis import REDIS, SECRETS_VOLUME
from .step04_image import APP as ALONE
from .step04_image import TOPOLOGY as BEFORE

REPLICA = REDIS.but(
    name="redis-slave",
    address=11,
    count=2,
    scaled=True,
    command=("redis-server", "--replicaof", "master", "6379"),
    environment=(("REPLICA_PRIORITY", "100"),),
    links=(("redis-master", "master"),),
    aliases=(),
)

SENTINEL = Service(
    name="sentinel",
    image="sentinel",
    address=20,
    count=3,
    scaled=True,
    environment=(("MASTER_HOST", "redis-master"), ("REDIS_PORT", "26379")),
    volumes=(Volume("/data"), SECRETS_VOLUME),
    tmpfs=("/tmp",),
    links=(("redis-master", "redis-master"),),
    health=Health("redis-health"),
    user="999:999",
    memory=64,
)

APP = ALONE.but(
    environment=(
        ("ALLOWED_HOSTS", "{allowed_hosts}"),
        ("SENTINELS", "sentinel:26379"),
        ("SENTINEL_MASTER", "master"),
        ("REDIS_DEADLINE", "{redis_deadline}"),
        ("SECRETS_DIR", "/secrets"),
    ),
    after=("redis-master", "redis-slave", "sentinel"),
)

TOPOLOGY = BEFORE.derive("step05-sentinel", add=(REPLICA, SENTINEL, APP))

LESSON = Lesson(
    _("Replicas and Sentinels"),
    SUMMARIES["step05-sentinel"],
    (
        Act(
            _("Replicas"),
            _(
                "Two more Redis follow the master: what is written there is copied to them. Redis called a replica a slave until version 5; the"
                " old word lives on in its answers (slave0, slaves=2) and in the article's name for this service, redis-slave."
            ),
            ("docker exec {redis_master} redis-ask info replication",),
            _("Each replica with its offset: how many bytes of the master's stream it has. The master answers before anybody has confirmed a copy."),
            proofs=(Proof("replicated"), Proof("behind")),
            checks=(Check("containers"), Check("redis"), Check("sentinels"), Check("apps"), Check("serves")),
        ),
        Act(
            _("Sentinels"),
            _("Three Sentinels watch the master and each other. Two must agree that it is down before one of them leads a failover."),
            ("docker exec {sentinel} redis-ask -p 26379 info sentinel",),
            _("status=ok, slaves and sentinels as many as there are."),
        ),
        Act(
            _("Failover"),
            _(
                "The master is paused: it hangs, as a machine may. After {down_after} s the Sentinels call it down and elect another one;"
                " the app asks them for the new address. The article waits 30 s here. A shorter time finds a dead master sooner, and"
                " costs more failovers that a busy host or a slow network sets off for nothing."
            ),
            look=_(
                "Every hit is answered or reported, and the number never falls below the last one seen before the pause. Replication is asynchronous:"
                " a write that the old master took and nobody copied is lost, and a hit that is tried again may be counted twice."
            ),
            proofs=(Proof("failover", "redis-master"),),
        ),
    ),
    questions=(
        Question(
            _("Two of the three Sentinels stop, then the master hangs. What happens?"),
            _(
                "No failover. The last Sentinel misses the master, but two must agree that it is down, and a majority of all known Sentinels must"
                " elect the one that leads. A hit waits for 10 s and gets a 503 until a second Sentinel or the master is back."
            ),
        ),
        Question(
            _("Would four Sentinels be safer than three?"),
            _(
                "No. The majority of four is three, so that one may fail, as with three. Of five, two may fail. The setting counts.sentinel is the"
                " number; the quorum follows: more than half."
            ),
        ),
        Question(
            _("The old master is back. Why is it a replica, and why has its container kept its name?"),
            _(
                "The Sentinels tell it who is master: their configuration has a higher epoch than what it remembers. A role moves while all"
                " containers run on, a name doesn't. Ask `./invoke status` who is master."
            ),
        ),
        Question(
            _("Can a hit be lost?"),
            _(
                "Yes. The master answers before a replica has the write. What it answered in its last moment, and nobody copied, is gone, and"
                " those numbers are given again. Redis' WAIT would let a hit wait for a copy: one more round trip for every hit."
            ),
        ),
    ),
    since=(
        Change(
            _("`slaveof`"),
            _("`replicaof`; the service keeps the article's name, redis-slave"),
            _("the command was renamed in Redis 5"),
        ),
        Change(
            _("sentinel.conf in the image, in /tmp"),
            _("a volume for each Sentinel"),
            _("a Sentinel rewrites its file and has its identity in it; one that lost it leaves a ghost behind which still counts for the majority"),
        ),
        Change(
            _("a master is called down after 30 s"),
            _("after 3 s (`redis.down_after`)"),
            _("a lesson shouldn't wait; a busy host may set off a failover for nothing"),
        ),
        Change(
            _("`sentinel.master_for('master')` as it is"),
            _("every Sentinel is asked, with short time limits; a hit tries again for 10 s"),
            _("one hanging Sentinel would stall every look-up for most of a minute"),
        ),
    ),
)
