"""How many calls to the engine a run without changes makes, for few and for many containers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import steps

from ...console.voice import Voice
from ...model.errors import Unhealthy
from ...model.text import _
from ..converge import converge
from ..desk import Desk
from ..settings import read_settings
from .turns import Us, flags_of

COUNTS = (10, 50)
# Fifty checks a second, or fifty times two workers, would be the load that is measured; and fifty Djangos take a while to start.
LIGHT = {"health.interval": "60", "app.workers": "1", "app.cpus": "0.5", "deadline": "600"}


def count_calls(ours: Desk, tell: Callable[[str], object]) -> dict[str, int]:
    """Engine calls by number of app containers, as counted on a stack that stands. Raises Unhealthy if the second run changes something.

    `tell` hears where it is.
    """
    found: dict[str, int] = {}
    try:
        for count in COUNTS:
            tell(name := _("{count} app containers").format(count=count))
            found[name] = _calls_of(ours, count)
    finally:
        Us(ours).clear()
    return found


def _calls_of(ours: Desk, count: int) -> int:
    topology = steps.load(steps.LAST).TOPOLOGY
    settings = read_settings({**flags_of(ours), **LIGHT, "counts.ping-app": str(count)}, environ={})
    converge(Desk(ours.host.context, settings, Voice(quiet=True), yes=True), topology)
    again = Desk(ours.host.context, settings, Voice(quiet=True), yes=True)
    calls = Counting(again.host.client)
    outcome = converge(again, topology)
    if outcome.plan:
        raise Unhealthy(_("a second run was not without changes: {plan}").format(plan=outcome.plan))
    return calls.number


class Counting:
    """Counts the HTTP requests of a docker client."""

    def __init__(self, client: Any) -> None:
        self.number = 0
        send = client.send

        def counted(*arguments: Any, **options: Any) -> Any:
            self.number += 1
            return send(*arguments, **options)

        client.send = counted
