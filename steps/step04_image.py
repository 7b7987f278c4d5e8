"""Step 04: the application as an image of its own, served by gunicorn under supervisord."""

from silverlining.model.lesson import Act, Change, Check, Lesson, Proof, Question
from silverlining.model.service import Health, Port, Service
from silverlining.model.text import _

from . import SUMMARIES
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
    SUMMARIES["step04-image"],
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
    questions=(
        Question(
            _("`docker commit` made an image too. What does a Dockerfile have that it hasn't?"),
            _(
                "The recipe. `docker history` of a committed image shows one more layer and, beside it, the command that the container ran: not"
                " what somebody typed in it. It can't be reviewed, nor made again on a newer base."
            ),
        ),
        Question(
            _("You change a line of app/ping/views.py. What does the next `./invoke step04-image` do?"),
            _(
                "It builds the layer of `COPY app/` and those above it; those below come from the cache. The image's tag is a hash of all that"
                " goes into it, so that exactly the containers of this image are replaced: here {ping_app}. Redis runs on."
            ),
        ),
        Question(
            _("Docker restarts containers. Why supervisord inside?"),
            _(
                "Docker's `--restart` looks at the first process only. supervisord looks after gunicorn: it starts it again while the container,"
                " its address and its log stay."
            ),
        ),
        Question(
            _("How many workers has gunicorn here, and who decides?"),
            _(
                "As many as the container may use CPUs, at least one: `docker inspect --format '{{{{.HostConfig.NanoCpus}}}}' {ping_app}` (a"
                " billion is one CPU). The article's cpu*2+1 counts all processors of the host, in each container anew."
            ),
        ),
    ),
    since=(
        Change(
            _("code baked into the image, and the directory mounted over it all the same"),
            _("baked in only"),
            _("what runs is what the image says"),
        ),
        Change(
            _("gunicorn with `cpu*2+1` workers, as root, `reload` on"),
            _("workers by the container's CPU share, user 10001, no reload"),
            _("several containers share one host's processors"),
        ),
        Change(
            _("meinheld"),
            _("meinheld, or `gthread` by a setting"),
            _("meinheld is no longer maintained: it still builds on Python 3.11, with a current greenlet"),
        ),
        Change(
            _("supervisord as it is"),
            _("supervisord with a poll that signals wake (builds/lib/supervisord)"),
            _("on Python 3 it sleeps through up to a second before it starts anything, and before it hears `docker stop`"),
        ),
    ),
)
