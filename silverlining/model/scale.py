"""What `scale` is told, and whether it may be: pure functions from a text and a stack to counts, or to an error that says why."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches

from .errors import SilverliningError
from .observed import Observed
from .service import Service
from .settings import LIMITS
from .stack import FIRST_DYNAMIC, Stack, address_of
from .text import _
from .topology import Topology

EXAMPLE = "invoke scale ping-app=5,redis-slave=3,sentinel=5"
SENTINEL = "sentinel"
LAST_PORT = 65535


def parse(text: str) -> dict[str, int]:
    """Counts by service, from "ping-app=5,redis-slave=3". Raises SilverliningError for what isn't written like that."""
    example = _("for example: {example}").format(example=EXAMPLE)
    if not text.strip():
        raise SilverliningError(_("scale needs at least one service with its number"), example)
    found: dict[str, int] = {}
    for part in text.split(","):
        name, equals, number = (piece.strip() for piece in part.partition("="))
        if not name or not equals:
            raise SilverliningError(_("{part!r}: write it as service=number").format(part=part.strip()), example)
        if not re.fullmatch(r"[+-]?[0-9]+", number):
            raise SilverliningError(_("{name}={number}: the number must be a whole one").format(name=name, number=number), example)
        if name in found:
            raise SilverliningError(_("{name} is named twice").format(name=name), _("give each service one number; ") + example)
        # More digits than any limit has are too many, however many there are.
        found[name] = int(number[:9])
    return found


def scalable(topology: Topology) -> tuple[str, ...]:
    """The services of a step that can be scaled."""
    return tuple(service.name for service in topology.services if service.scaled)


def room(service: Service, stack: Stack) -> int:
    """How many containers of a service the address plan and the ports of the host have room for."""
    others = (other.address for other in stack.topology.services if other.address > service.address)
    addresses = min((*others, FIRST_DYNAMIC)) - service.address
    taken: list[int] = [getattr(stack.settings.ports, port.setting) for port in service.ports]
    return min(addresses, LIMITS[f"counts.{service.name}"], *(LAST_PORT - port + 1 for port in taken))


def examine(wanted: Mapping[str, int], stack: Stack, known: Mapping[str, str]) -> None:
    """Raises SilverliningError unless each count may be set on this stack. `known` tells of each service of the course the first step that scales it.

    A service that no step scales has "" there.
    """
    for name, count in wanted.items():
        _examine_service(name, stack, known)
        _examine_number(stack.topology.service(name), count, stack)


def _examine_service(name: str, stack: Stack, known: Mapping[str, str]) -> None:
    topology, step = stack.topology, known.get(name)
    can = scalable(topology)
    choice = _("what can be scaled here: {names}").format(names=", ".join(can)) if can else _("nothing of this step can be scaled")
    if step is None:
        raise SilverliningError(_("{name}: there is no such service").format(name=name), did_you_mean(name, known, choice))
    if not topology.has(name):
        bring = _("invoke {step} brings it").format(step=step) if step else choice
        raise SilverliningError(_("{name} does not stand at {step}").format(name=name, step=topology.step), bring)
    if name not in can:
        why = _("there is only one of it at {step}").format(step=topology.step) if step else _("the course has exactly one of it")
        later = _("from {step} on it can be scaled").format(step=step) if step else choice
        raise SilverliningError(_("{name} can't be scaled: {why}").format(name=name, why=why), later)


def _examine_number(service: Service, count: int, stack: Stack) -> None:
    limit, name = room(service, stack), service.name
    if count < 1 and name != SENTINEL:
        hint = _("a number from 1 to {limit}; teardown takes everything away").format(limit=limit)
        raise SilverliningError(_("{name}={count}: at least 1 must stay").format(name=name, count=count), hint)
    if count > limit:
        first, last = address_of(stack.network.subnet, service.address), address_of(stack.network.subnet, service.address + limit - 1)
        raise SilverliningError(
            _("{name}={count}: there is room for {limit}, the addresses {first} to {last} of the network").format(
                name=name, count=count, limit=limit, first=first, last=last
            ),
            _("a number from 1 to {limit}").format(limit=limit),
        )
    if name == SENTINEL and (count < 3 or count % 2 == 0):
        odd = ", ".join(str(n) for n in range(3, limit + 1, 2))
        if count < 3:
            why = _("to elect a master a majority must be there, also when one of them has failed")
        else:
            why = _("{count} stand the loss of {loss}, as {less} do, and need one more for a majority").format(
                count=count, loss=count - majority(count), less=count - 1
            )
        raise SilverliningError(_("{name}={count}: {why}").format(name=name, count=count, why=why), _("one of: {names}").format(names=odd))


def majority(count: int) -> int:
    """How many of `count` are more than half."""
    return count // 2 + 1


def did_you_mean(name: str, known: Collection[str], otherwise: str) -> str:
    """The known name that is nearest, before what else helps."""
    close = get_close_matches(name, list(known), 1)
    return _("did you mean {name}?").format(name=close[0]) + f" ({otherwise})" if close else otherwise


def lasting(counts: Mapping[str, int]) -> tuple[str, str]:
    """How the counts are made to last: as a line of silverlining.yaml, and as flags."""
    inner = ", ".join(f"{name}: {count}" for name, count in counts.items())
    return f"counts: {{{inner}}}", " ".join(f"--set counts.{name}={count}" for name, count in counts.items())


def words(counts: Mapping[str, int]) -> str:
    """The counts in words: "ping-app 5, sentinel 5"."""
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def note(scaled: Mapping[str, int]) -> str:
    """The counts as the label of the volume in which a host keeps them."""
    return ",".join(f"{name}={count}" for name, count in sorted(scaled.items()))


def read_note(text: str) -> dict[str, int]:
    """What `note` wrote; nothing if somebody else wrote it."""
    parts = [part.partition("=") for part in text.split(",")]
    return {name: int(count) for name, _equals, count in parts if f"counts.{name}" in LIMITS and re.fullmatch(r"[0-9]{1,3}", count)}


def undone(stack: Stack, seen: Observed) -> Iterable[tuple[str, int, int]]:
    """(service, count to which it was scaled, count that the plan makes of it) where a plan undoes a scale."""
    for name in scalable(stack.topology):
        then, now = len(stack.of(name)), seen.scaled.get(name)
        if now is not None and now != then:
            yield name, now, then
