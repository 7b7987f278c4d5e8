"""The walkthrough as a small machine: where it is in the course, and what a key does there. Pure, so that tests can drive it."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass

from .entry import entry_of
from .lesson import Act
from .stack import Container, Stack

OPENING = -1  # the step is announced; the host is as it was before
STANDS = 0  # the host stands at the step; no act has been played

ENTER, BACK, SHELL, EXPLAIN, QUIT = "enter", "b", "s", "?", "q"


@dataclass(frozen=True)
class Place:
    """A place in the course: a step, and OPENING, STANDS or the number of the act that is on the screen."""

    step: str
    act: int = OPENING


@dataclass(frozen=True)
class Move:
    """What is to be done: `open` a step's first page, `bring` the host to it, go `back` to it, `play` an act, open a `shell`,
    `explain`, `quit`, `end`; "" is nothing: the key means nothing here.
    """

    deed: str
    place: Place


@dataclass(frozen=True)
class Route:
    """The steps in their order with how many acts each has, and the last one that is played."""

    acts: Mapping[str, int]
    last: str

    def before(self, step: str) -> str:
        """The step before, "" for the first one."""
        names = list(self.acts)
        at = names.index(step)
        return names[at - 1] if at else ""

    def after(self, step: str) -> str:
        """The step after, "" for the last one that is played."""
        names = list(self.acts)
        at = names.index(step)
        return names[at + 1] if step != self.last and at + 1 < len(names) else ""


def turn(route: Route, place: Place, key: str) -> Move:
    """What a key means at a place."""
    if key == ENTER:
        return _on(route, place)
    if key == BACK and (before := route.before(place.step)):
        return Move("back", Place(before, STANDS))
    deed = {SHELL: "shell", EXPLAIN: "explain", QUIT: "quit"}.get(key, "")
    return Move(deed, place)


def _on(route: Route, place: Place) -> Move:
    if place.act == OPENING:
        return Move("bring", Place(place.step, STANDS))
    if place.act < route.acts[place.step]:
        return Move("play", Place(place.step, place.act + 1))
    following = route.after(place.step)
    return Move("open", Place(following)) if following else Move("end", place)


def resume(step: str, extra: frozenset[str], services: Mapping[str, frozenset[str]]) -> str:
    """The step with which to go on, from what was found on the host.

    `step` is the one that fits best, `extra` the services that stand and are not of it, `services` those of all steps in order.
    Services of a later step say that the host was on its way there. Otherwise it is at `step`: its lesson may have been cut, and
    what is missing or defined otherwise is mended by bringing it about.
    """
    names = list(services)
    later = names[names.index(step) + 1 :]
    return next((name for name in later if extra and extra <= services[name]), step)


def talked_about(act: Act | None, stack: Stack) -> str:
    """The name of the container that an act is about: the first one in its commands, else its proofs' or checks' service, else the
    container that serves; "" if nothing stands. Without an act, the container that serves.
    """
    if act:
        for command in act.commands:
            for _text, name, _format, _conversion in string.Formatter().parse(command):
                if found := _named(name or "", stack):
                    return found.name
        for service in (*(proof.service for proof in act.proofs), *(check.service for check in act.checks)):
            if service and stack.of(service):
                return stack.of(service)[0].name
    return _serving(stack)


def _named(placeholder: str, stack: Stack) -> Container | None:
    """The container that a placeholder stands for: {redis_master} the first of its service, {ping_app_2} the second."""
    for c in stack.containers:
        service = c.service.replace("-", "_")
        if placeholder == f"{service}_{c.index}" or (placeholder == service and c.index == 1):
            return c
    return None


def _serving(stack: Stack) -> str:
    entry = entry_of(stack)
    port = entry[1] if entry else 0
    for c in stack.containers:
        if any(outside == port for _address, outside, _inside in c.ports) or (stack.topology.vip and c.service == "lvs"):
            return c.name
    return stack.containers[0].name if stack.containers else ""
