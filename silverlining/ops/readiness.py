"""Waits until containers are healthy, without taking from them the processors that they need to become so."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from ..host.exec import Answer, execute, last_lines, pause
from ..model import labels
from ..model.errors import Unhealthy
from ..model.stack import Container
from ..model.text import _

Report = Callable[[str], None]
T = TypeVar("T")
# Health checks that run at the same time, and seconds between two of one container: at first, and at most.
AT_ONCE, SHORTEST, LONGEST = 2, 0.2, 0.8
# Where Docker asks as often as this (seconds), its word is soon enough; we only look now and then whether the container lives at all.
OFTEN, SELDOM = 1, 8.0
# A container that has ended as often as this (Docker waits longer before each new start: 6 s by then) is not awaited any further.
HOPELESS = 6


class Shared(Generic[T]):
    """A question that several ask again and again at the same time: one answer serves all who wait."""

    def __init__(self, ask: Callable[[], T]) -> None:
        self._ask = ask
        self._asking = threading.Lock()
        self._asked = 0.0
        self._answer: T | None = None

    def since(self, moment: float) -> T:
        """An answer that was asked for after `moment` (of the monotonic clock), and within the last moments."""
        with self._asking:
            if self._answer is None or self._asked < max(moment, time.monotonic() - SHORTEST):
                self._asked = time.monotonic()
                self._answer = self._ask()
            return self._answer


class Readiness:
    """Asks the containers of one stack. `deadline` is how many seconds anything may take to become healthy."""

    def __init__(self, client: Any, stack: str, deadline: float) -> None:
        self.client, self.stack, self.deadline = client, stack, deadline
        self._asking = threading.BoundedSemaphore(AT_ONCE)
        self._healthy = Shared(self._listed)

    def ask(self, name: str, *argv: str) -> Answer:
        """What a program inside a container says. Few are asked at a time: each question is a process that the engine must start,
        and those that start up need the processors themselves."""
        with self._asking:
            return execute(self.client, name, argv)

    def wait(self, c: Container, report: Report, fresh: bool = False) -> None:
        """Waits until a container is healthy: by its own check, asked sooner than Docker does, which waits an interval.

        Docker's word counts too where the container has just been started (`fresh`): of another one it may be old. Where
        Docker asks every second, ours would only take the processors from those that start.
        Raises Unhealthy at the deadline.
        """
        if c.health is None:
            return
        report(_("waiting until healthy"))
        began = time.monotonic()
        words, beat = "", SELDOM if fresh and c.health_interval <= OFTEN else SHORTEST
        again, longest = began + (beat if fresh else 0), max(beat, LONGEST)
        while True:
            if time.monotonic() >= again:
                answer = self.ask(c.name, "sh", "-c", c.health.command)
                if answer.ok:
                    return
                words = answer.gist
                if answer.code is None and (ended := self._keeps_ending(c.name)):
                    self.give_up(c.name, ended, time.monotonic() - began)
                again, beat = time.monotonic() + beat, min(2 * beat, longest)
            elif fresh and c.name in self._healthy.since(began):
                return
            if not pause(0.1, began + self.deadline):
                break
        self.give_up(c.name, words or self.ask(c.name, "sh", "-c", c.health.command).gist)

    def _listed(self) -> set[str]:
        """The containers that Docker calls healthy."""
        listed = self.client.containers(filters={"label": f"{labels.STACK}={self.stack}", "health": "healthy"})
        return {entry["Names"][0].lstrip("/") for entry in listed}

    def _keeps_ending(self, name: str) -> str:
        """What there is to say of a container that won't live, however long one waits; "" while it may."""
        facts = self.client.inspect_container(name)
        if facts["RestartCount"] < HOPELESS:
            return ""
        return _("it has ended {count} times, with exit code {code}").format(count=facts["RestartCount"], code=facts["State"]["ExitCode"])

    def give_up(self, name: str, words: str, seconds: float = 0) -> None:
        log = last_lines(self.client, name)
        raise Unhealthy(
            _("{name} is not healthy after {seconds:g} s: {words}").format(
                name=name, seconds=round(seconds or self.deadline, 1), words=words or _("no answer")
            )
            + (f"\n{log}" if log else ""),
            _("`docker logs --tail 50 {name}` says more; mend that, then run the same command again").format(name=name),
        )
