"""What is new, changed or gone between two looks at a host, or between what stands and what a step brings: told apart at a glance."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from .observed import Observed, SeenContainer
from .picture import LAYERS
from .service import SECRETS
from .stack import Stack
from .text import _, _n

NEW, CHANGED, GONE = "+", "~", "-"


@dataclass(frozen=True)
class Difference:
    """Before and after.

    `before` and `after` are (sign, service with its count) in the picture's order; `signs` the sign of each container by its
    name; `changes` what differs in a few words, by sign.
    """

    before: tuple[tuple[str, str], ...] = ()
    after: tuple[tuple[str, str], ...] = ()
    signs: Mapping[str, str] = field(default_factory=dict)
    changes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def forecast(seen: Observed, stack: Stack, defined: Collection[str]) -> Difference:
    """What bringing about `stack` will change. `defined` are the names that stand as they should."""
    standing = _standing(seen)
    old = {name: c.service for name, c in standing.items()}
    new = {c.name: c.service for c in stack.containers}
    ports = {port for c in stack.containers for _address, port, _inside in c.ports}
    serving = {c.service for name, c in standing.items() if name not in new and c.running and set(c.ports) - ports}
    notes = {(GONE, service): _("serves now") for service in serving}
    return _difference(old, new, old.keys() & new.keys() - set(defined), notes)


def compare(before: Observed, after: Observed) -> Difference:
    """What has changed on a host between two looks at it."""
    was, now = _standing(before), _standing(after)
    anew = {name for name in was.keys() & now.keys() if was[name].id != now[name].id}
    states = [
        (CHANGED, f"{name} {was[name].state} → {now[name].state}") for name in sorted(was.keys() & now.keys()) if was[name].state != now[name].state
    ]
    old, new = ({name: c.service for name, c in found.items()} for found in (was, now))
    found = _difference(old, new, anew, {})
    changes = dict(found.changes)
    if CHANGED in changes:
        changes[CHANGED] = (_("{names} made anew").format(names=", ".join(changes[CHANGED])),)
    for sign, words in (*states, *_surroundings(before, after)):
        changes[sign] = (*changes.get(sign, ()), words)
    return replace(found, changes={sign: changes[sign] for sign in (NEW, CHANGED, GONE) if sign in changes})


def _difference(old: Mapping[str, str], new: Mapping[str, str], anew: Collection[str], notes: Mapping[tuple[str, str], str]) -> Difference:
    """From the service of each container by name, before and after; `anew` are the names that differ, `notes` stand beside services."""
    signs = {name: NEW for name in new if name not in old} | dict.fromkeys(anew, CHANGED) | {name: GONE for name in old if name not in new}
    services = {**old, **new}
    by_service: dict[str, set[str]] = {}
    for name, sign in signs.items():
        by_service.setdefault(services[name], set()).add(sign)
    changes: dict[str, list[str]] = {NEW: [], CHANGED: [], GONE: []}
    for sign, said in changes.items():
        for what, count in _counts(services[name] for name, found in signs.items() if found == sign).items():
            note = notes.get((sign, what))
            said.append(counted(what, count) + (f" ({note})" if note else ""))
    return Difference(
        _row(old, by_service, (GONE,)), _row(new, by_service, (NEW, CHANGED)), signs, {sign: tuple(said) for sign, said in changes.items() if said}
    )


def _row(members: Mapping[str, str], signs: Mapping[str, set[str]], shown: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """The services with their counts; a service whose containers differ in several ways is changed."""
    row = []
    for service, count in _counts(members.values()).items():
        found = signs.get(service, set())
        sign = next(iter(found)) if len(found) == 1 else CHANGED if found else ""
        row.append((sign if sign in shown else "", counted(service, count)))
    return tuple(row)


def _surroundings(before: Observed, after: Observed) -> list[tuple[str, str]]:
    """Network, volumes, the master's role, and the keys in etcd: (sign, words)."""
    found = []
    if before.subnet != after.subnet:
        found.append((NEW, _("network {subnet}").format(subnet=after.subnet)) if after.subnet else (GONE, _("the network")))
    for sign, count in ((NEW, len(after.volumes - before.volumes)), (GONE, len(before.volumes - after.volumes))):
        if count:
            found.append((sign, _n("{count} volume", "{count} volumes", count)))
    if before.master and after.master and before.master != after.master:
        found.append((CHANGED, _("the Redis master: {old} → {new}").format(old=before.master, new=after.master)))
    old, new = before.keys or {}, after.keys or {}
    for sign, keys in ((NEW, new.keys() - old.keys()), (GONE, old.keys() - new.keys())):
        if keys and before.keys is not None and after.keys is not None:
            found.append((sign, _("in etcd {names}").format(names=", ".join(key.rsplit("/", 1)[-1] for key in sorted(keys)))))
    return found


def _standing(seen: Observed) -> dict[str, SeenContainer]:
    """The containers by name, without Compose's one that makes the secrets and ends."""
    return {c.name: c for c in seen.containers if not (c.compose and c.service == SECRETS)}


def _counts(services: Iterable[str]) -> dict[str, int]:
    """How many of each service, in the picture's order."""
    order = [name for layer in LAYERS for name in layer]
    found = list(services)
    return {name: found.count(name) for name in sorted(set(found), key=lambda n: (order.index(n) if n in order else len(order), n))}


def counted(service: str, count: int) -> str:
    """A service with how many containers it has, where that isn't one."""
    return service if count == 1 else f"{service} ×{count}"
