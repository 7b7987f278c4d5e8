"""Step 06, second answer: three app servers behind HAProxy."""

from silverlining.model.lesson import Act, Change, Check, Lesson, Proof, Question
from silverlining.model.service import Health, Port, Service
from silverlining.model.text import _

from . import SUMMARIES
from .step05_sentinel import APP as ONE
from .step05_sentinel import TOPOLOGY as BEFORE

APP = ONE.but(count=3, scaled=True, ports=())

HAPROXY = Service(
    name="haproxy",
    image="haproxy",
    address=4,
    ports=(Port(6301, "web", public=True), Port(8404, "stats")),
    tmpfs=("/tmp", "/run"),
    after=("ping-app",),
    health=Health("haproxy-health"),
    user="99:99",
    memory=128,
    stop_signal="SIGUSR1",
    stop_grace=20,
)

TOPOLOGY = BEFORE.derive("step06-haproxy", add=(APP, HAPROXY), entry=("web", "/healthz"), registry="static")

LESSON = Lesson(
    _("HAProxy"),
    SUMMARIES["step06-haproxy"],
    (
        Act(
            _("Round robin"),
            _("HAProxy takes each request and gives it to the next server. The answer says which container it came from."),
            ("curl -sS -D - {url}",),
            _("X-Served-By is another container each time."),
            proofs=(Proof("round-robin"),),
            checks=(Check("containers"), Check("redis"), Check("sentinels"), Check("apps"), Check("haproxy"), Check("serves")),
        ),
        Act(
            _("Health checks"),
            _("HAProxy asks each server for /healthz. Two failed answers take it out, two good ones bring it back."),
            proofs=(Proof("server-down"),),
        ),
        Act(
            _("Statistics"),
            _("What HAProxy knows of its servers, as a page on this host's loopback only."),
            ("curl -fsS -o /dev/null -w '%{{http_code}} %{{url_effective}}\\n' http://127.0.0.1:{port_stats}/stats",),
            _("Open http://127.0.0.1:{port_stats}/stats in a browser."),
        ),
    ),
    questions=(
        Question(
            _("A server dies between two health checks. What do visitors see?"),
            _(
                "Whoever comes next sees nothing: the connection fails, and HAProxy tries another server (`retry-on conn-failure`, `option"
                " redispatch 1`). A request that the server already had gets an error. It may have been counted, so that it isn't sent again."
            ),
        ),
        Question(
            _("Redis fails over, and all three servers say 503 at /healthz. Why does HAProxy send requests all the same?"),
            _(
                "The frontend then uses the backend webserver-unchecked: the same servers without checks. A server holds a hit for up to 10 s"
                " until there is a master. A late answer is better than an immediate error."
            ),
        ),
        Question(
            _("What can HAProxy do that LVS can't, and what does that cost?"),
            _(
                "It reads requests: it can ask for /healthz, try another server and add a header. In return every request and every answer passes"
                " through it, while LVS moves packets one way."
            ),
        ),
        Question(
            _("What is needed for a fourth server?"),
            _(
                "The list is baked into HAProxy's image. `./invoke step06-haproxy --set counts.ping-app=4` makes a new image and replaces HAProxy."
                " The next step ends that."
            ),
        ),
    ),
    since=(
        Change(
            _("HAProxy 1.7: `daemon`, `nbproc`"),
            _("HAProxy 3: master-worker, reload by its master CLI, checks of `/healthz`"),
            _("`nbproc` is gone; a signal doesn't tell whether the reload worked"),
        ),
    ),
)
