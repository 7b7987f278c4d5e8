"""Proofs: each acts on the running system, shows that a claim of the lesson holds, and puts back what it changed."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from ..scene import Scene

# name of the proof → module that has it; the function has the same name with underscores
HOMES = {
    "bridge": "network",
    "veth": "network",
    "dnat": "network",
    "masquerade": "network",
    "own-layer": "containers",
    "restart": "containers",
    "commit": "containers",
    "survives-recreation": "app",
    "counts-by-one": "app",
    "restarts-gunicorn": "app",
    "access-log": "app",
    "replicated": "redis",
    "behind": "redis",
    "failover": "redis",
    "vip-spreads": "lvs",
    "only-macs-change": "lvs",
    "answers-bypass": "lvs",
    "round-robin": "haproxy",
    "server-down": "haproxy",
    "key-by-hand": "registry",
    "etcd-gone": "registry",
    "last-key": "registry",
    "charts": "netdata",
}


def find(name: str) -> Callable[[Scene, str], None]:
    """The function of a proof: it takes the scene and the service that it is about."""
    module = import_module(f"{__name__}.{HOMES[name]}")
    function: Callable[[Scene, str], None] = getattr(module, name.replace("-", "_"))
    return function
