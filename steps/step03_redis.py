"""Step 03: Redis, and the ping application linked to it as `db`."""

from silverlining.model.lesson import Act, Change, Check, Lesson, Proof, Question
from silverlining.model.service import SECRETS, Bind, Health, Service, Volume
from silverlining.model.text import _

from . import SUMMARIES
from .step02_django import DJANGO as BARE_DJANGO
from .step02_django import TOPOLOGY as BEFORE

SECRETS_VOLUME = Volume("/secrets", shared=SECRETS, read_only=True)

REDIS = Service(
    name="redis-master",
    image="redis",
    address=10,
    command=("redis-server",),
    environment=(("REPLICA_PRIORITY", "10"),),
    volumes=(Volume("/data"), SECRETS_VOLUME),
    tmpfs=("/tmp",),
    aliases=("master", "db"),
    health=Health("redis-health"),
    user="999:999",
)

DJANGO = BARE_DJANGO.but(
    command=("python3", "manage.py", "runserver", "0.0.0.0:8000"),
    environment=(
        ("PYTHONUNBUFFERED", "1"),
        ("ALLOWED_HOSTS", "{allowed_hosts}"),
        ("REDIS_HOST", "db"),
        ("REDIS_DEADLINE", "{redis_deadline}"),
        ("SECRETS_DIR", "/secrets"),
    ),
    volumes=(SECRETS_VOLUME,),
    binds=(Bind("{code}", "/usr/src/app"),),
    links=(("redis-master", "db"),),
    after=("redis-master",),
    health=Health("python3 -c 'import urllib.request as u; u.urlopen(\"http://127.0.0.1:8000/healthz\", timeout=3)'", timeout=4),
    read_only=True,
)

TOPOLOGY = BEFORE.derive("step03-redis", add=(REDIS, DJANGO), entry=("app", "/healthz"))

LESSON = Lesson(
    _("Redis, linked"),
    SUMMARIES["step03-redis"],
    (
        Act(
            _("A name instead of an address"),
            _("The app container is started with `--link {redis_master}:db`. Inside it, db is Redis, whatever address that has."),
            ("docker exec {django} getent hosts db",),
            _("The address belongs to {redis_master}."),
            checks=(Check("containers"), Check("redis"), Check("serves")),
        ),
        Act(
            _("Each hit adds one"),
            _("GET / adds 1 to the key `count` in Redis, in one round trip, and answers with the number."),
            ("curl -sS {url}",),
            proofs=(Proof("counts-by-one"),),
        ),
        Act(
            _("The code is mounted, the number is not in the container"),
            _(
                "The directory app/ is mounted into the container: an edit shows at once. (An engine on another machine gets a copy, and"
                " the next run brings an edit.) The number lives in Redis and its volume, so that it"
                " goes on when the app's container is made anew."
            ),
            ("docker inspect --format '{{{{range .Mounts}}}}{{{{.Type}}}} {{{{.Destination}}}}{{{{println}}}}{{{{end}}}}' {django}",),
            proofs=(Proof("survives-recreation", "django"),),
        ),
    ),
    questions=(
        Question(
            _("Who answers when the app looks up db?"),
            _(
                "Docker's DNS server at 127.0.0.11: `docker exec {django} cat /etc/resolv.conf`. It knows the names and aliases on the container's"
                " networks, and passes all other questions on."
            ),
        ),
        Question(
            _("Why one INCR, and not INCR and then GET?"),
            _(
                "INCR answers with the new number. Between INCR and GET somebody else's INCR may come: then two visitors see one number, and"
                " another number nobody."
            ),
        ),
        Question(
            _("Redis stops. What does a hit get?"),
            _(
                "It is tried again for up to 10 s (setting app.redis_deadline), then it is answered with 503 and the reason. Try `docker stop"
                " {redis_master}`, `curl -i {url}`, `docker start {redis_master}`: the number goes on where it was."
            ),
        ),
        Question(
            _("Redis wants a password. Where does it stand, and where not?"),
            _(
                "In the volume {stack}-secrets, which both containers mount read-only at /secrets. Not in the environment and not among the"
                " arguments: `docker inspect` shows those to everybody who may ask the engine."
            ),
        ),
    ),
    since=(
        Change(
            _("`--link` copies an address into /etc/hosts"),
            _("`--link other:alias` on a user-defined network is a DNS alias"),
            _("the alias keeps working when the other container is made anew"),
        ),
        Change(
            _("Redis on a port of the host, without a password"),
            _("Redis on the private network only, with a password that is made once on the host"),
            _("an open Redis is found within minutes"),
        ),
        Change(
            _("`INCR`, then `GET`"),
            _("one `INCR`, whose answer is the number"),
            _("two round trips, and between them somebody else's hit"),
        ),
        Change(
            _("Django's admin on SQLite in every container"),
            _("left out"),
            _("each container would have a database, and users, of its own"),
        ),
    ),
)
