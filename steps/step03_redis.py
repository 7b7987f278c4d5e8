"""Step 03: Redis, and the ping application linked to it as `db`."""

from silverlining.model.lesson import Act, Check, Lesson, Proof
from silverlining.model.service import SECRETS, Bind, Health, Service, Volume
from silverlining.model.text import _

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
        ("DJANGO_DEBUG", "1"),
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
    _("The ping application counts its hits in Redis, which it knows only by the name db."),
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
                "The directory app/ is mounted into the container: an edit shows at once. The number lives in Redis and its volume, so that it"
                " goes on when the app's container is made anew."
            ),
            ("docker inspect --format '{{{{range .Mounts}}}}{{{{.Type}}}} {{{{.Destination}}}}{{{{println}}}}{{{{end}}}}' {django}",),
            proofs=(Proof("survives-recreation", "django"),),
        ),
    ),
)
