"""What the parts of a picture are, in one sentence each."""

from __future__ import annotations

from .difference import counted
from .picture import LAYERS
from .stack import Stack
from .text import _

WORDS = {
    "nginx": _("A web server. A port of the host leads to it."),
    "haproxy": _("Takes each request and gives it to an app server that is healthy."),
    "lvs": _("The director: hands packets for the virtual address on to an app server. The answers go past it."),
    "etcd": _("Holds the list of app servers. confd, beside HAProxy, writes it into the configuration."),
    "django": _("Django's development server."),
    "ping-app": _("The application: adds one to the number in Redis and answers with it."),
    "redis-master": _("Redis: keeps the number, in a volume that outlives the container."),
    "redis-slave": _("Redis as well: a copy of each write. Whoever is master now takes the writes."),
    "sentinel": _("Watches Redis. When most of them agree that the master is down, another one is elected."),
    "netdata": _("Charts of the host and of each container."),
}
WAY = (("nginx", "haproxy", "lvs"), ("django", "ping-app"), ("redis-master",))


def explain(stack: Stack) -> list[tuple[str, str, str]]:
    """(service, the same with its count, what it is), in the picture's order."""
    return [(name, counted(name, len(stack.of(name))), WORDS[name]) for layer in LAYERS for name in layer if stack.of(name)]


def way(stack: Stack) -> str:
    """The way of a request: "you → haproxy → ping-app → redis-master"."""
    return " → ".join([_("you"), *(name for layer in WAY for name in layer if stack.of(name))])
