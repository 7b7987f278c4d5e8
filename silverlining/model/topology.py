"""A topology says which services stand on the host after a step; each step derives its own from an earlier one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from .service import Service


@dataclass(frozen=True)
class Topology:
    """The services of a step. `registry` says where the load balancer's servers come from ("static" or "etcd").

    `entry` is the address to open: the port setting and the path that proves that the step serves without changing anything.
    """

    step: str
    services: tuple[Service, ...]
    entry: tuple[str, str] | None = None
    registry: str = ""
    vip: bool = False

    def service(self, name: str) -> Service:
        """The service of that name. Raises KeyError."""
        for service in self.services:
            if service.name == name:
                return service
        raise KeyError(name)

    def has(self, name: str) -> bool:
        """Whether a service of that name stands."""
        return any(service.name == name for service in self.services)

    def derive(self, step: str, *, add: tuple[Service, ...] = (), drop: tuple[str, ...] = (), **changes: Any) -> Topology:
        """A topology for `step`: this one without `drop`, and with `add`, which also replaces services of the same name."""
        new = {service.name: service for service in add}
        kept = tuple(new.pop(s.name, s) for s in self.services if s.name not in drop)
        return replace(self, step=step, services=(*kept, *new.values()), **changes)
