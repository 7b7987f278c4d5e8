"""What checks and proofs look at: a stack on a host, with the questions that several of them ask."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from ..host.exec import Answer, demand, execute
from ..host.host import Reply
from ..model.entry import entry_of
from ..model.errors import Unhealthy
from ..model.observed import Observed
from ..model.stack import Container, Stack
from ..model.text import _
from .desk import Desk


class Scene:
    """A stack as it stands on a host. Nothing here changes it."""

    def __init__(self, desk: Desk, stack: Stack, seen: Observed | None = None) -> None:
        """`seen` is the state of the host if it has just been looked at."""
        self.desk = desk
        self.stack = stack
        self.host = desk.host
        self.host.tools = stack.tools.reference
        self.client: Any = desk.host.client
        self.voice = desk.voice
        self._seen = seen

    def observe(self, again: bool = False) -> Observed:
        """The state of the host; read once, and anew with `again`."""
        if self._seen is None or again:
            self._seen = self.desk.observe()
        return self._seen

    def first(self, service: str) -> Container:
        """The first container of a service."""
        return self.stack.of(service)[0]

    def ask(self, container: str, *argv: str) -> Answer:
        """What a program inside a container says."""
        return execute(self.client, container, argv)

    def demand(self, container: str, *argv: str) -> str:
        """What a program inside a container says; it must succeed."""
        return demand(self.client, container, *argv)

    def json(self, container: str, *argv: str) -> Any:
        """What a program inside a container says in JSON."""
        text = self.demand(container, *argv)
        try:
            return json.loads(text)
        except ValueError:
            raise Unhealthy(
                _("`{command}` in {container} gave no JSON: {text}").format(command=" ".join(argv), container=container, text=text[:200])
            ) from None

    def inspect(self, container: str) -> dict[str, Any]:
        """What the engine knows of a container."""
        found: dict[str, Any] = self.client.inspect_container(container)
        return found

    def hit(self, timeout: float = 20) -> Reply:
        """GET / at the stack's entry: this counts. For proofs only, never for a check."""
        entry = entry_of(self.stack)
        if entry is None:
            raise Unhealthy(_("nothing serves in {step}").format(step=self.stack.topology.step))
        address, port, _path = entry
        return self.host.get(port, "/", address, timeout=timeout)

    def count(self) -> int:
        """One hit's number. Raises Unhealthy if it isn't answered with one."""
        reply = self.hit()
        if reply.status != 200 or not reply.text.strip().isdigit():
            raise Unhealthy(_("a hit was answered with {status}: {text}").format(status=reply.status, text=reply.text[:200]), _("invoke check"))
        return int(reply.text)

    def until(self, true: Callable[[], Any], what: str, seconds: float = 0, hint: str = "", beat: float = 0.1) -> Any:
        """Waits until `true()` is, and gives what it gave. Raises Unhealthy that says `what` was awaited."""
        end = time.monotonic() + (seconds or float(self.desk.settings.deadline))
        while not (value := true()):
            if time.monotonic() > end:
                raise Unhealthy(_("waited {seconds:g} s for: {what}").format(seconds=seconds or self.desk.settings.deadline, what=what), hint)
            time.sleep(beat)
        return value

    def servers(self) -> dict[str, str]:
        """HAProxy's servers and their state, as its statistics have them: {"app1": "UP"}."""
        lines = self.demand(self.first("haproxy").name, "haproxyctl", "show", "stat").lstrip("# ").splitlines()
        head = lines[0].split(",")
        rows = [dict(zip(head, line.split(","), strict=False)) for line in lines[1:] if line]
        return {row["svname"]: row["status"] for row in rows if row.get("pxname") == "webserver" and row["svname"] not in ("BACKEND", "FRONTEND")}


def claim(true: object, what: str, hint: str = "") -> None:
    """Raises Unhealthy with `what` unless it is true: for what a proof must have shown."""
    if not true:
        raise Unhealthy(what, hint)
