"""Waits until containers are healthy, without taking from them the processors that they need to become so."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from ..host.exec import Answer, execute, last_lines, pause
from ..model import labels
from ..model.errors import Unhealthy
from ..model.stack import Container
from ..model.text import _

Report = Callable[[str], None]
# Health checks that run at the same time, and seconds between two of one container: at first, and at most.
AT_ONCE, SHORTEST, LONGEST = 2, 0.2, 0.8
# A container that has ended as often as this (Docker waits longer before each new start: 6 s by then) is not awaited any further.
HOPELESS = 6


class Readiness:
    """Asks the containers of one stack. `deadline` is how many seconds anything may take to become healthy."""

    def __init__(self, client: Any, stack: str, deadline: float) -> None:
        self.client, self.stack, self.deadline = client, stack, deadline
        self._asking = threading.BoundedSemaphore(AT_ONCE)
        self._looking = threading.Lock()
        self._looked, self._healthy = 0.0, set[str]()

    def ask(self, name: str, *argv: str) -> Answer:
        """What a program inside a container says. Few are asked at a time: each question is a process that the engine must start,
        and those that start up need the processors themselves."""
        with self._asking:
            return execute(self.client, name, argv)

    def wait(self, c: Container, report: Report, fresh: bool = False) -> None:
        """Waits until a container is healthy: by its own check, asked sooner than Docker does, which waits an interval.

        Docker's word counts too where the container has just been started (`fresh`): of another one it may be old.
        Raises Unhealthy at the deadline.
        """
        if c.health is None:
            return
        report(_("waiting until healthy"))
        began = time.monotonic()
        words, beat, again = "", SHORTEST, began
        while True:
            if time.monotonic() >= again:
                answer = self.ask(c.name, "sh", "-c", c.health.command)
                if answer.ok:
                    return
                words = answer.gist
                if answer.code is None and (ended := self._keeps_ending(c.name)):
                    self.give_up(c.name, ended, time.monotonic() - began)
                again, beat = time.monotonic() + beat, min(2 * beat, LONGEST)
            elif fresh and c.name in self.healthy(began):
                return
            if not pause(0.1, began + self.deadline):
                break
        self.give_up(c.name, words)

    def healthy(self, since: float) -> set[str]:
        """The containers that Docker calls healthy, as it said after `since` and within the last moments: one call for all that wait."""
        with self._looking:
            if self._looked < max(since, time.monotonic() - SHORTEST):
                self._looked = time.monotonic()
                listed = self.client.containers(filters={"label": f"{labels.STACK}={self.stack}", "health": "healthy"})
                self._healthy = {entry["Names"][0].lstrip("/") for entry in listed}
            return self._healthy

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
