"""The steps of the course, in their order: each module is a TOPOLOGY and a LESSON."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

NAMES = (
    "step00-install",
    "step01-nginx",
    "step02-django",
    "step03-redis",
    "step04-image",
    "step05-sentinel",
    "step06-lvs",
    "step06-haproxy",
    "step07-etcd-confd",
    "step08-netdata",
    "step09-compose",
)
LAST = "step08-netdata"


def load(name: str) -> ModuleType:
    """The module of a step. Raises KeyError for an unknown name."""
    if name not in NAMES:
        raise KeyError(name)
    return import_module(f"steps.{name.replace('-', '_')}")
