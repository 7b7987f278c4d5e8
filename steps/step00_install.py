"""Step 00: a Docker engine that answers."""

from silverlining.model.lesson import Act, Check, Lesson
from silverlining.model.text import _
from silverlining.model.topology import Topology

TOPOLOGY = Topology("step00-install", ())

LESSON = Lesson(
    _("Install Docker"),
    _("A Docker engine that answers."),
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
)
