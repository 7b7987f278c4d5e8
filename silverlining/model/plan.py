"""The plan: a pure function from what must stand and what was seen to the actions that lead from one to the other.

Read `plan()` first: it is the whole story. The rules: the Redis master never stops before its role has moved (plan_redis.py);
containers of one service are replaced one at a time, each healthy before the next; a server leaves HAProxy before it stops;
what goes away goes last, unless it holds a port that is needed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

from .actions import (
    Action,
    CreateNetwork,
    CreateVolume,
    DeleteKey,
    Drain,
    MakeSecrets,
    Mend,
    Plan,
    PutKey,
    Readmit,
    Remove,
    Replace,
    Run,
    Start,
    Unpause,
)
from .errors import Conflict
from .observed import Observed, SeenContainer
from .plan_redis import plan_redis
from .stack import Container, Stack, server_key
from .text import _

ROLLING = ("ping-app", "redis-slave", "sentinel")
APP_KEY = re.compile(r"/app/servers/app\d+$")


def plan(stack: Stack, seen: Observed, spares: Mapping[str, Container] | None = None) -> Plan:
    """The actions that make `stack` stand on a host that is as `seen`; none when it stands.

    `spares` are containers of other topologies by name: a Redis node that holds the newest data may have to run for a moment
    to hand it over. Raises Conflict when something foreign is in the way.
    """
    refuse_conflicts(stack, seen)
    draft = Draft(stack, seen)
    draft.foundations()
    for container in stack.containers:
        draft.bring_up(container)
    for old in seen.containers:
        if not any(old.name == c.name for c in stack.containers):
            draft.add(Remove(old, grace=10))
    plan_redis(draft, stack, seen, spares or {})
    draft.register()
    draft.roll_apps()
    draft.order()
    return Plan(tuple(draft.sorted()))


def refuse_conflicts(stack: Stack, seen: Observed) -> None:
    """Raises Conflict if something foreign holds a name or a published port that the stack needs."""
    names = {
        "container": {c.name for c in stack.containers},
        "network": {stack.network.name},
        "volume": {v.name for v in stack.volumes},
    }
    ports = {outside: c.name for c in stack.containers for _address, outside, _inside in c.ports}
    for foreign in seen.foreign:
        if foreign.name in names[foreign.kind]:
            raise Conflict(
                _("a {kind} called {name} is there that isn't of this stack").format(kind=foreign.kind, name=foreign.name),
                _("rename or remove it yourself, or choose another name with the setting stack"),
            )
        for port in foreign.ports:
            if port in ports:
                raise Conflict(
                    _("port {port} is taken by container {name}").format(port=port, name=foreign.name),
                    _("stop that container, or choose another port (settings, ports)"),
                )


def withdrawn(plan: Plan, stack: Stack) -> tuple[str, ...]:
    """The containers that serve on a published port now and whose port nobody serves after the plan."""
    after = {outside for c in stack.containers for _address, outside, _inside in c.ports}
    return tuple(a.subject for a in plan.actions if isinstance(a, Remove) and a.old.running and set(a.old.ports) - after)


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
        # A running container that uses the secrets proves that they are complete; the volume alone doesn't.
        if users and not any((old := seen.container(c.name)) and old.running and old.health == "healthy" for c in users):
            made = self.add(MakeSecrets(stack.secrets, stack.tools))
            self.need(made, self.actions.get(f"CreateVolume:{stack.secrets}"))

    def bring_up(self, c: Container) -> None:
        """What one container of the topology still needs."""
        action = self.verdict(c, self.seen.container(c.name))
        if action is None:
            return
        self.add(action)
        self.rest_on_foundations(action, c)

    def verdict(self, c: Container, old: SeenContainer | None) -> Action | None:
        """The action that makes the container stand as defined, or None if it does."""
        if old is None:
            return Run(c)
        if old.spec != c.spec or old.state in ("dead", "removing"):
            return Replace(old, c, why=_("its definition changed"))
        if old.state == "paused":
            return Unpause(c)
        if old.state in ("exited", "created"):
            return Start(c)
        fault = self.seen.proxy_fault if c.service == "haproxy" else ""
        if old.state == "restarting" or old.health == "unhealthy" or fault:
            return Mend(c, why=fault or old.health or old.state)
        return None

    def rest_on_foundations(self, action: Action, c: Container) -> None:
        """Network, volumes and secrets come before the containers that use them."""
        self.need(action, self.actions.get(f"CreateNetwork:{c.network}"))
        for mount in c.mounts:
            self.need(action, self.actions.get(f"CreateVolume:{mount.source}"))
        if c.uses_secrets:
            self.need(action, self.actions.get(f"MakeSecrets:{self.stack.secrets}"))

    def register(self) -> None:
        """Puts and deletes the keys in etcd that tell where the app servers are."""
        wanted = self.stack.servers()
        if not wanted:
            return
        etcd, haproxy = self.stack.of("etcd")[0], self.stack.of("haproxy")[0]
        present = self.seen.keys or {}
        for app in self.stack.of("ping-app"):
            key = server_key(app.index)
            if present.get(key) != wanted[key]:
                put = self.add(PutKey(etcd.name, key, wanted[key]))
                self.need(put, self.change_of(etcd.name), self.change_of(app.name))
        for key in sorted(present):
            if APP_KEY.match(key) and key not in wanted:
                gone = self.add(DeleteKey(etcd.name, haproxy.name, key))
                self.need(gone, self.change_of(etcd.name), self.change_of(haproxy.name), *self.changes_of("ping-app"))
                app_name = f"{self.stack.name}-ping-app-{key.rsplit('app', 1)[1]}"
                if removal := self.removal_of(app_name):
                    self.need(removal, gone)

    def roll_apps(self) -> None:
        """A server leaves HAProxy before it is replaced, and comes back when it is healthy."""
        apps = self.changes_of("ping-app")
        haproxy = next((c for c in self.seen.containers if c.service == "haproxy" and c.running), None)
        stays = self.stack.topology.has("haproxy") and haproxy and not self.change_of(haproxy.name)
        if not haproxy or not stays or len(self.stack.of("ping-app")) < 2:
            return
        for app in apps:
            if not isinstance(app, Replace):
                continue
            index = app.container.index
            if self.stack.topology.registry == "etcd":
                etcd = self.stack.of("etcd")[0].name
                key = server_key(index)
                out: Action = DeleteKey(etcd, haproxy.name, key)
                back: Action = PutKey(etcd, key, self.stack.servers()[key])
            else:
                out, back = Drain(haproxy.name, f"app{index}"), Readmit(haproxy.name, f"app{index}")
            self.add(out)
            self.add(back)
            self.need(back, app)
            self.need(app, out)

    def order(self) -> None:
        """One at a time within a service, what it needs before it, and removals last."""
        arrivals = [a for c in self.stack.containers if (a := self.change_of(c.name))]
        for service in ROLLING:
            self._chain([a for a in self.changes_of(service) if isinstance(a, Replace)])
        for action in arrivals:
            container = getattr(action, "container")  # noqa: B009
            if isinstance(action, Replace):
                for service in container.after:
                    self.need(action, *self.changes_of(service))
            self._after_ports(action, {outside for _address, outside, _inside in container.ports})
        for action in list(self.actions.values()):
            if isinstance(action, Remove) and not self._holds_needed_port(action):
                self.need(action, *(a for a in arrivals if not self._waits_for(a, action)))

    def _chain(self, rolling: list[Action]) -> None:
        """Each waits for the one before, and for its return to HAProxy."""
        for before, after in pairwise(rolling):
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

    def _holds_needed_port(self, removal: Remove) -> bool:
        wanted = {outside for c in self.stack.containers for _address, outside, _inside in c.ports}
        return bool(wanted & set(removal.old.ports))

    def _waits_for(self, action: Action, other: Action) -> bool:
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
