"""A plan in the making: which actions there are, what each waits for, and the order that all must keep."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from .actions import (
    Action,
    CreateNetwork,
    CreateVolume,
    MakeSecrets,
    Mend,
    MoveMaster,
    PutKey,
    Readmit,
    Remove,
    Replace,
    Run,
    Start,
    Unpause,
)
from .hold import Hold
from .observed import Observed, SeenContainer
from .stack import Container, Stack
from .text import _

ROLLING = (("ping-app",), ("redis-master", "redis-slave"), ("sentinel",))


def ports_of(*containers: Container) -> set[int]:
    """The host ports that containers publish."""
    return {outside for c in containers for _address, outside, _inside in c.ports}


class Draft:
    """A plan in the making: actions by id, and what each must wait for."""

    def __init__(self, stack: Stack, seen: Observed) -> None:
        self.stack = stack
        self.seen = seen
        self.actions: dict[str, Action] = {}

    def add(self, action: Action) -> Action:
        """Takes an action in."""
        self.actions[action.id] = action
        return action

    def need(self, action: Action, *others: Action | None) -> None:
        """Lets `action` wait for the others."""
        ids = {other.id for other in others if other is not None and other.id != action.id}
        current = self.actions[action.id]
        self.actions[action.id] = replace(current, needs=current.needs | ids)

    def change_of(self, name: str) -> Action | None:
        """The action that brings up the container of that name (run, replace, start, unpause, mend), or None if it stands."""
        for kind in (Run, Replace, Start, Unpause, Mend):
            if action := self.actions.get(f"{kind.__name__}:{name}"):
                return action
        return None

    def changes_of(self, service: str) -> tuple[Action, ...]:
        """The actions that bring up containers of a service, in order of their number."""
        found = (self.change_of(c.name) for c in self.stack.of(service))
        return tuple(action for action in found if action)

    def removal_of(self, name: str) -> Action | None:
        """The action that removes the container of that name."""
        return self.actions.get(f"Remove:{name}")

    def foundations(self) -> None:
        """The network, the volumes and the secrets."""
        stack, seen = self.stack, self.seen
        if stack.containers and not seen.subnet:
            self.add(CreateNetwork(stack.network))
        for volume in stack.volumes:
            if volume.name not in seen.volumes:
                self.add(CreateVolume(volume))
        users = [c for c in stack.containers if c.uses_secrets]
        # A container that works with the secrets proves that they are complete; the volume alone doesn't.
        if users and not any((old := seen.container(c.name)) and old.spec == c.spec and self._well(old) for c in users):
            made = self.add(MakeSecrets(stack.secrets, stack.tools))
            self.need(made, self.actions.get(f"CreateVolume:{stack.secrets}"))

    def bring_up(self, c: Container) -> None:
        """What one container of the topology still needs."""
        action = self.verdict(c, self.seen.container(c.name))
        if action is None:
            return
        if isinstance(action, Replace) and set(action.old.ports) & ports_of(*(other for other in self.stack.containers if other.name != c.name)):
            # Its port goes to another container, perhaps in exchange: it leaves first and comes back when its own is free.
            leave = self.add(Remove(action.old))
            action = self.add(Run(c, needs=frozenset({leave.id})))
        self.add(action)
        self.rest_on_foundations(action, c)

    def verdict(self, c: Container, old: SeenContainer | None) -> Action | None:
        """The action that makes the container stand as defined, or None if it does."""
        if old is None:
            return Run(c)
        if old.spec != c.spec or old.compose or old.state in ("dead", "removing"):
            return self._replacement(old, c, _("its definition changed"))
        if not self.seen.subnet:
            return self._replacement(old, c, _("its network is gone"))
        if not old.on_network:
            # Disconnected by hand; or by an engine 29, when a start found the port taken: it starts such a container without a network.
            return self._replacement(old, c, _("it is not on its network"))
        if old.state == "paused":
            return Unpause(c)
        if old.state in ("exited", "created"):
            return Start(c)
        if c.service == "sentinel" and old.health == "healthy" and self.seen.sentinels and c.name not in self.seen.sentinels:
            # It answers PING, and where the others tell who is master it tells nothing: somebody made it forget.
            return self._replacement(old, c, _("it knows no master"))
        fault = self.seen.proxy_fault if c.service == "haproxy" else ""
        if old.state == "restarting" or fault or (old.health == "unhealthy" and not self._well(old)):
            return Mend(c, why=fault or old.health or old.state)
        return None

    def _replacement(self, old: SeenContainer, c: Container, why: str) -> Replace:
        """A port that the world sees stays with its container: new connections to it wait until the new one is there."""
        return Replace(old, c, why=why, hold=Hold.while_replaced(self.stack, c, old))

    def _well(self, old: SeenContainer) -> bool:
        """Whether it serves now. A Redis or Sentinel that answered does, whatever Docker's last health check, seconds ago, has noted."""
        return old.running and (old.health == "healthy" or old.name in self.seen.redis or old.name in self.seen.sentinels)

    def rest_on_foundations(self, action: Action, c: Container) -> None:
        """Network, volumes and secrets come before the containers that use them."""
        self.need(action, self.actions.get(f"CreateNetwork:{c.network}"))
        for mount in c.mounts:
            self.need(action, self.actions.get(f"CreateVolume:{mount.source}"))
        if c.uses_secrets:
            self.need(action, self.actions.get(f"MakeSecrets:{self.stack.secrets}"))

    def order(self) -> None:
        """One at a time within a service, what it needs before it, and removals last."""
        arrivals = [a for c in self.stack.containers if (a := self.change_of(c.name))]
        moves = [a for a in self.actions.values() if isinstance(a, MoveMaster)]
        for action in arrivals:
            container = getattr(action, "container")  # noqa: B009
            if isinstance(action, Replace):
                for service in container.after:
                    self.need(action, *self.changes_of(service), *(moves if service == "redis-master" else ()))
            self._after_ports(action, ports_of(container))
        for services in ROLLING:
            self._roll([a for service in services for a in self.changes_of(service)])
        for action in list(self.actions.values()):
            if isinstance(action, Remove) and not any(self.waits_for(a, action) for a in arrivals):
                self.need(action, *arrivals)

    def _roll(self, changes: list[Action]) -> None:
        """Those that stop something that runs go one at a time, after those that don't; each waits for the return of the one before to HAProxy."""
        stopping = [a for a in changes if isinstance(a, (Replace, Mend))]
        starting = [a for a in changes if a not in stopping]
        for action in stopping:
            self.need(action, *(a for a in starting if not self.waits_for(a, action)))
        stopping = sorted(stopping, key=lambda a: sum(self.waits_for(a, other) for other in stopping))
        for before, after in pairwise(stopping):
            returns = [a for a in self.actions.values() if isinstance(a, (PutKey, Readmit)) and before.id in a.needs]
            outs = [self.actions[i] for i in self.actions[after.id].needs if i.startswith(("Drain:", "DeleteKey:"))]
            for first in outs or [after]:
                self.need(first, before, *returns)

    def _after_ports(self, action: Action, ports: set[int]) -> None:
        for old in self.seen.containers:
            if ports & set(old.ports):
                removal = self.removal_of(old.name) or self.actions.get(f"Replace:{old.name}")
                if removal and removal.id != action.id:
                    self.need(action, removal)

    def waits_for(self, action: Action, other: Action) -> bool:
        """Whether `action` needs `other`, directly or through others."""
        todo = [action.id]
        known: set[str] = set()
        while todo:
            current = self.actions[todo.pop()]
            if other.id in current.needs:
                return True
            todo += [i for i in current.needs if i not in known and i in self.actions]
            known |= current.needs
        return False

    def sorted(self) -> list[Action]:
        """The actions in an order in which each stands behind all that it needs."""
        done: list[Action] = []
        waiting = dict(self.actions)
        while waiting:
            ready = [a for a in waiting.values() if not any(n in waiting for n in a.needs)]
            if not ready:
                raise RuntimeError(f"a plan in a circle: {sorted(waiting)}")
            for action in ready:
                done.append(waiting.pop(action.id))
        return done
