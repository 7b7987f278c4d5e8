"""Runs a program inside a container through the engine's API."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

from ..model.errors import Unhealthy
from ..model.text import _


@dataclass(frozen=True)
class Answer:
    """What a program said: exit code (None if it could not be started) and its output, standard error included."""

    code: int | None
    text: str

    @property
    def ok(self) -> bool:
        """Whether it exited with 0."""
        return self.code == 0

    @property
    def gist(self) -> str:
        """The last line: where a program ends in a traceback, what it is about."""
        return next((line.strip() for line in reversed(self.text.splitlines()) if line.strip()), "")


def execute(client: Any, container: str, argv: tuple[str, ...] | list[str], user: str = "") -> Answer:
    """Runs `argv` in a container and waits for its end. Never raises for a container that is gone, stopped or paused."""
    from docker.errors import APIError
    from requests.exceptions import RequestException

    try:
        started = client.exec_create(container, list(argv), user=user)
        output: bytes = client.exec_start(started["Id"])
        code = client.exec_inspect(started["Id"])["ExitCode"]
    except (APIError, RequestException) as error:
        return Answer(None, str(getattr(error, "explanation", None) or error))
    return Answer(code, output.decode(errors="replace").strip())


def demand(client: Any, container: str, *argv: str) -> str:
    """The output of a program that must succeed. Raises Unhealthy with its words."""
    answer = execute(client, container, argv)
    if not answer.ok:
        raise Unhealthy(
            _("`{command}` in {container} failed: {words}").format(command=" ".join(argv), container=container, words=answer.text or answer.code),
            f"docker logs --tail 20 {container}",
        )
    return answer.text


def last_lines(client: Any, container: str, count: int = 8) -> str:
    """The last lines of a container's log, for the text of an error."""
    from docker.errors import APIError

    try:
        log: bytes = client.logs(container, tail=count)
    except APIError:
        return ""
    return "\n".join(f"  | {line}" for line in log.decode(errors="replace").splitlines())


STOP = threading.Event()


def pause(seconds: float, deadline: float) -> bool:
    """Sleeps between two tries of a wait; False when the deadline (a time.monotonic) has passed.

    Raises KeyboardInterrupt when the run is being ended: waits in other threads end with it.
    """
    if STOP.is_set():
        raise KeyboardInterrupt
    left = deadline - time.monotonic()
    if left <= 0:
        return False
    time.sleep(min(seconds, left))
    return True
