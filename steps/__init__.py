"""The steps of the course, in their order: each module is a TOPOLOGY and a LESSON."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from silverlining.model.text import _

# Here and not in the modules, so that a list of the tasks needs none of them.
SUMMARIES = {
    "step00-install": _("A Docker engine that answers."),
    "step01-nginx": _("A first container, and the way of a packet into it and out of it."),
    "step02-django": _("A container instead of a virtual environment: versions are fixed by the image."),
    "step03-redis": _("The ping application counts its hits in Redis, which it knows only by the name db."),
    "step04-image": _("The code is baked into an image; gunicorn serves it, supervisord watches over gunicorn."),
    "step05-sentinel": _("Two copies of the data, and three watchers who agree on which Redis is the master."),
    "step06-lvs": _("A director hands packets to three real servers by their MAC address; the answers go past it."),
    "step06-haproxy": _("One address for three app servers; a server that fails gets no requests."),
    "step07-etcd-confd": _("Servers register under a key; HAProxy follows without an edit and without a restart."),
    "step08-netdata": _("Charts of the host and of each container, second by second."),
    "step09-compose": _("The whole stack in one file, run by Docker Compose."),
}
NAMES = tuple(SUMMARIES)
LAST = "step08-netdata"


def load(name: str) -> ModuleType:
    """The module of a step. Raises KeyError for an unknown name."""
    if name not in NAMES:
        raise KeyError(name)
    return import_module(f"steps.{name.replace('-', '_')}")
