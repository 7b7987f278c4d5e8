"""The plan: a pure function from what must stand and what was seen to the actions that lead from one to the other.

Read `plan()` first: it is the whole story. The rules: the Redis master never stops before its role has moved (plan_redis.py);
containers of one service are replaced one at a time, each healthy before the next; a server leaves HAProxy before it stops
(plan_apps.py); what goes away goes last, unless something that comes waits for it: it holds a port that is needed, for example.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from . import labels
from .actions import CreateVolume, Plan, Remove, RemoveVolume, Run
from .draft import Draft, ports_of
from .errors import Conflict
from .observed import Observed
from .plan_apps import plan_apps
from .plan_redis import plan_redis
from .scale import note
from .stack import Container, NamedVolume, Stack
from .text import _


def plan(stack: Stack, seen: Observed, spares: Mapping[str, Container] | None = None) -> Plan:
    """The actions that make `stack` stand on a host that is as `seen`; none when it stands.

    `spares` are containers of other topologies by name: a Redis node that holds the newest data may have to run for a moment
    to hand it over. Raises Conflict when something foreign is in the way.
    """
    draft = Draft(stack, seen)
    note_scaled(draft, stack, seen)
    draft.foundations()
    for container in stack.containers:
        draft.bring_up(container)
    for old in seen.containers:
        if not any(old.name == c.name for c in stack.containers):
            draft.add(Remove(old, grace=10))
    plan_redis(draft, stack, seen, spares or {})
    refuse_conflicts(stack, seen, {action.subject for action in draft.actions.values() if isinstance(action, Run)})
    plan_apps(draft, stack, seen)
    draft.order()
    return Plan(tuple(draft.sorted()))


def note_scaled(draft: Draft, stack: Stack, seen: Observed) -> None:
    """What was scaled is noted on the host, and the note goes with the plan that undoes it. Counts that the settings have too may stay noted."""
    there = stack.note in seen.volumes
    if there and not stack.scaled and seen.scaled and all(stack.settings.counts[name] == count for name, count in seen.scaled.items()):
        return
    if there and stack.scaled and stack.scaled == seen.scaled:
        return
    gone = draft.add(RemoveVolume(stack.note)) if there else None
    if stack.scaled:
        made = draft.add(CreateVolume(NamedVolume(stack.note, tuple(labels.scaled(stack.name, note(stack.scaled)).items()))))
        draft.need(made, gone)


def refuse_conflicts(stack: Stack, seen: Observed, waking: Iterable[str] = ()) -> None:
    """Raises Conflict if something foreign holds a name or a published port that the stack, or a node that must wake, needs."""
    names = {
        "container": {c.name for c in stack.containers}.union(waking),
        "network": {stack.network.name},
        "volume": {v.name for v in stack.volumes}.union([stack.note] if stack.scaled else []),
    }
    ports = ports_of(*stack.containers)
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
                    _("stop that container, or choose another port: {flag}").format(flag=port_flag(stack, port)),
                )


def port_flag(stack: Stack, port: int) -> str:
    """The flag that chooses another host port instead of `port`; a scaled service counts up from its setting."""
    below = {value: name for name, value in vars(stack.settings.ports).items() if value <= port}
    return f"--set ports.{below[max(below)] if below else 'web'}=…"


def withdrawn(plan: Plan, stack: Stack) -> tuple[str, ...]:
    """The containers that serve on a published port now and whose port nobody serves after the plan."""
    after = ports_of(*stack.containers)
    return tuple(a.subject for a in plan.actions if isinstance(a, Remove) and a.old.running and set(a.old.ports) - after)
