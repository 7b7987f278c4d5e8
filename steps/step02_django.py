"""Step 02: a Django project in a container, by hand and then as the container's own command."""

from silverlining.model.lesson import Act, Change, Check, Lesson, Proof, Question
from silverlining.model.service import Health, Port, Service
from silverlining.model.text import _

from . import SUMMARIES
from .step01_nginx import TOPOLOGY as BEFORE

PROBE = "python3 -c 'import urllib.request as u; u.urlopen(\"http://127.0.0.1:8000/\", timeout=2)'"

DJANGO = Service(
    name="django",
    image="django",
    address=3,
    command=(
        "sh",
        "-c",
        "test -e manage.py || django-admin startproject django_app . && python3 manage.py migrate && exec python3 manage.py runserver 0.0.0.0:8000",
    ),
    environment=(("PYTHONUNBUFFERED", "1"),),
    ports=(Port(8000, "app"),),
    tmpfs=("/tmp",),
    health=Health(PROBE),
    user="10001:10001",
    read_only=False,
    memory=256,
    stop_signal="SIGINT",
)

TOPOLOGY = BEFORE.derive("step02-django", add=(DJANGO,), drop=("nginx",), entry=("app", "/"))

LESSON = Lesson(
    _("Django in a container"),
    SUMMARIES["step02-django"],
    (
        Act(
            _("By hand"),
            _("A throwaway container has Python and Django. A project is made in it as on any machine; with the container it is gone."),
            (
                "docker run --rm --network none {image_django} sh -c 'cd /tmp && django-admin startproject django_app && cd django_app && "
                "python3 manage.py makemigrations && python3 manage.py migrate --verbosity 0 && "
                "(python3 manage.py runserver --noreload 0.0.0.0:8000 >/tmp/log 2>&1 &) && "
                'for try in $(seq 60); do python3 -c "import urllib.request as u; '
                'print(u.urlopen(\\"http://127.0.0.1:8000/\\").status)" 2>/dev/null && exec ls; sleep 0.2; done; cat /tmp/log; exit 1\'',
            ),
            _("The project exists only inside that one container, for as long as it lives."),
        ),
        Act(
            _("As the container's own command"),
            _("Now the same three commands are the container's command, so that it serves again after each restart."),
            ("docker inspect --format '{{{{json .Config.Cmd}}}}' {django}", "docker logs --tail 5 {django} 2>&1"),
            _("Django's development server, with a page that says that the installation worked: {url}"),
            checks=(Check("containers"), Check("serves")),
        ),
        Act(
            _("What is changed in a container dies with it"),
            _("Each container has a thin layer of its own above the image. The image and the other containers never see what is written there."),
            proofs=(Proof("own-layer", "django"), Proof("restart", "django")),
        ),
    ),
    questions=(
        Question(
            _("The project of the first act is gone. What becomes of the second one's at `docker restart`, and what if the container is removed?"),
            _(
                "A restart keeps the container's own layer: `test -e manage.py` finds the project. A new container has a new, empty layer: the"
                " project is made again."
            ),
        ),
        Question(
            _("Why does runserver listen on 0.0.0.0:8000, and not on its default, 127.0.0.1:8000?"),
            _(
                "A container has a loopback interface of its own; what listens there is reached only from inside. The published port leads to the"
                " container's address on eth0."
            ),
        ),
        Question(
            _("The page is at {url}. Can another machine open it?"),
            _("No: `docker port {django}` shows that the port is published on 127.0.0.1 only. Django's development server isn't made for strangers."),
        ),
    ),
    since=(
        Change(
            _("the official image `django`"),
            _("Python 3.11 with Django 5.2 LTS, built by the course"),
            _("the official image was withdrawn long ago"),
        ),
        Change(
            _("a project made by hand in a running container, its server started with `&`"),
            _("the same commands as the container's own command"),
            _("it serves again after each restart, of the container or of the host"),
        ),
    ),
)
