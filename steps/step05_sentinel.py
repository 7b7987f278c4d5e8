"""Step 05: a Redis master with two replicas, and three Sentinels that elect a new master when it fails."""

from silverlining.model.lesson import Act, Check, Lesson, Proof
from silverlining.model.service import Health, Service, Volume
from silverlining.model.text import _

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
    _("Two copies of the data, and three watchers who agree on which Redis is the master."),
    (
        Act(
            _("Replicas"),
            _("Two more Redis follow the master: what is written there is copied to them."),
            ("docker exec {redis_master} redis-ask info replication",),
            _("Each replica with its offset: how many bytes of the master's stream it has."),
            proofs=(Proof("replicated"),),
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
)
