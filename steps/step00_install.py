"""Step 00: a Docker engine that answers."""

from silverlining.model.lesson import Act, Change, Check, Lesson, Question
from silverlining.model.text import _
from silverlining.model.topology import Topology

from . import SUMMARIES

TOPOLOGY = Topology("step00-install", ())

LESSON = Lesson(
    _("Install Docker"),
    SUMMARIES["step00-install"],
    (
        Act(
            _("The client and the engine"),
            _(
                "Docker is two programs. The engine runs containers: ordinary processes of this host, walled off by namespaces (what they see) and"
                " cgroups (what they may use). The client is the command `docker`; it asks the engine over a socket."
            ),
            ("docker version",),
            _("Two versions: the client's and, below it, the server's. No server section means that the engine doesn't answer."),
            checks=(Check("engine"),),
        ),
    ),
    questions=(
        Question(
            _("`docker version` shows a client and no server. What may be wrong?"),
            _(
                "The engine doesn't run; or you may not open its socket; or the client asks another engine, which DOCKER_HOST or docker's current"
                " context names. `./invoke step00-install` tells these apart. Where an engine is missing or stopped, it installs or starts one."
            ),
        ),
        Question(
            _("Who may use the engine's socket, and what can they do with it?"),
            _(
                "root and one group, mostly docker: `ls -l /var/run/docker.sock`. They are as good as root: `docker run -v /:/host …` hands the"
                " whole disk of the host to a container."
            ),
        ),
        Question(
            _("Is a container a small virtual machine?"),
            _("No. It has no kernel of its own: `uname -r` says the same inside a container as on the engine's host."),
        ),
    ),
    since=(
        Change(
            _("Docker 17.04 from a shell script of the vendor"),
            _("the distribution's package, or any engine from 20.10 to 29"),
            _("a script piped into a shell can't be read first; the packages are kept up to date"),
        ),
    ),
)
