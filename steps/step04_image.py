"""Step 04: the application as an image of its own, served by gunicorn under supervisord."""

from silverlining.model.lesson import Act, Check, Lesson, Proof
from silverlining.model.service import Health, Port, Service
from silverlining.model.text import _

from .step03_redis import SECRETS_VOLUME
from .step03_redis import TOPOLOGY as BEFORE

APP = Service(
    name="ping-app",
    image="app",
    address=31,
    environment=(
        ("ALLOWED_HOSTS", "{allowed_hosts}"),
        ("REDIS_HOST", "db"),
        ("REDIS_DEADLINE", "{redis_deadline}"),
        ("SECRETS_DIR", "/secrets"),
    ),
    ports=(Port(8000, "app"),),
    volumes=(SECRETS_VOLUME,),
    tmpfs=("/tmp", "/run"),
    links=(("redis-master", "db"),),
    numbered_alias="app",
    after=("redis-master",),
    health=Health("app-health"),
    user="10001:10001",
    memory=256,
    stop_grace=15,
)

TOPOLOGY = BEFORE.derive("step04-image", add=(APP,), drop=("django",))

LESSON = Lesson(
    _("An image of one's own"),
    _("The code is baked into an image; gunicorn serves it, supervisord watches over gunicorn."),
    (
        Act(
            _("First by hand: commit"),
            _("A container's own layer can be kept as an image. It works, but nobody can read later how the image came about."),
            proofs=(Proof("commit", "ping-app"),),
        ),
        Act(
            _("Then from a Dockerfile"),
            _("Each instruction of a Dockerfile adds a layer. The recipe can be read, repeated and reviewed; unchanged layers are not built again."),
            ("docker history --format 'table {{{{.Size}}}}\\t{{{{.CreatedBy}}}}' {image_app}",),
            _("The layers of the base image lie below those of the app."),
            checks=(Check("containers"), Check("redis"), Check("serves"), Check("apps")),
        ),
        Act(
            _("The processes"),
            _("supervisord is the first process. It starts gunicorn and starts it again when it ends; gunicorn's workers answer the requests."),
            ("docker top {ping_app} -eo pid,ppid,user,args",),
            proofs=(Proof("restarts-gunicorn", "ping-app"),),
        ),
        Act(
            _("The log"),
            _("`docker logs` shows what the first process writes. supervisord passes gunicorn's access log on to there."),
            ("curl -sS {url}", "docker logs --tail 3 {ping_app}"),
            proofs=(Proof("access-log", "ping-app"),),
        ),
    ),
)
