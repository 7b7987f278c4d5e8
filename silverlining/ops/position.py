"""Which step a host is at: found by comparing what stands with each topology, not by believing a label."""

from __future__ import annotations

from dataclasses import dataclass

import steps

from ..model.compose import STEP, specs, stands
from ..model.errors import Conflict
from ..model.observed import Observed, choose_subnet, likely_subnet
from ..model.service import SECRETS
from ..model.stack import Stack
from ..model.text import _
from .desk import Desk


@dataclass(frozen=True)
class Position:
    """The step whose topology fits best, and what differs from it; `exact` if nothing does."""

    step: str
    exact: bool
    differences: tuple[str, ...]

    def __str__(self) -> str:
        return self.step if self.exact else _("{step}, but {differences}").format(step=self.step, differences="; ".join(self.differences))


def compare(stack: Stack, seen: Observed) -> tuple[str, ...]:
    """What differs between a topology and what stands, in words, by service."""
    differences = []
    defined = as_defined(stack, seen)
    services = {s.name for s in stack.topology.services}
    for service in stack.topology.services:
        wanted = stack.of(service.name)
        standing = [c for c in seen.containers if c.service == service.name]
        right = [c for c in wanted if c.name in defined]
        if len(standing) != len(wanted):
            differences.append(_("{service} {there} of {wanted}").format(service=service.name, there=len(standing), wanted=len(wanted)))
        elif len(right) < len(wanted):
            differences.append(_("{service} defined otherwise").format(service=service.name))
    extra = sorted(_services(seen) - services)
    return (*differences, *(_("{service} as well").format(service=name) for name in extra))


def as_defined(stack: Stack, seen: Observed) -> set[str]:
    """The names of the containers that stand just as the topology defines them: as ours, or in step09 as Compose's."""
    pairs = [(c, old) for c in stack.containers if (old := seen.container(c.name))]
    if stack.topology.step == STEP:
        by_compose = specs(stack)
        return {c.name for c, old in pairs if stands(stack, old, by_compose)}
    return {c.name for c, old in pairs if old.spec == c.spec}


def _services(seen: Observed) -> set[str]:
    """The services that stand; Compose's one that makes the secrets and ends belongs to none of the steps."""
    return {c.service for c in seen.containers if not (c.compose and c.service == SECRETS)}


def _distance(stack: Stack, seen: Observed) -> int:
    """How far apart a topology and what stands are: a service missing or (a little more) too many weighs more than one defined otherwise."""
    standing = {c.name: c for c in seen.containers}
    wanted = {c.name: c for c in stack.containers}
    services = {s.name for s in stack.topology.services}
    missing, extra = services - _services(seen), _services(seen) - services
    otherwise = (wanted.keys() & standing.keys()) - as_defined(stack, seen)
    return 10 * len(missing) + 11 * len(extra) + 3 * len(wanted.keys() ^ standing.keys()) + len(otherwise)


def find(desk: Desk, seen: Observed) -> tuple[Position, Stack]:
    """The step that the host is at, and its stack. An empty host is at step00; a subnet that can't be had is a difference, no error.

    Of steps that fit alike it is the one that has made most of what stands, else the first: no lesson is left out.
    """
    trouble: tuple[str, ...] = ()
    try:
        subnet = choose_subnet(desk.settings, seen)
    except Conflict as error:
        subnet, trouble = likely_subnet(desk.settings, seen), (error.what,)
    best: tuple[tuple[int, int], Position, Stack] | None = None
    compose = bool(seen.containers) and all(c.compose for c in seen.containers)
    topologies = [steps.load(name).TOPOLOGY for name in steps.NAMES if (name == STEP) == compose]
    images = desk.planned(topologies)
    for topology in topologies:
        name = topology.step
        stack = desk.stack(topology, images[name], seen, subnet)
        differences = (*compare(stack, seen), *trouble)
        position = Position(name, not differences, differences)
        distance = _distance(stack, seen), -sum(c.step == name for c in seen.containers)
        if best is None or distance < best[0]:
            best = (distance, position, stack)
    if best is None:
        raise RuntimeError("no step to compare with")
    return best[1], best[2]
