"""The harness of the remote tests: tasks run as a user runs them with `fab -H`, and what stands on the hosts, looked at past SSH."""

from __future__ import annotations

import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pexpect
from docker import APIClient

from tests.engine.course import LABEL, ROOT, Course

from .hosts import RemoteHost

STACK = "sl-remote"
FAB = (sys.executable, "-m", "fabric")


class RemoteCourse(Course):
    """A checkout and a stack on `host`. `target` is what stands after -H (the host's alias if left out); `options` are fab's own.

    What a Course asks of the stack, it asks the host's engine, not over SSH. Ports are `base` + 1 to 5 of the host.
    """

    def __init__(self, host: RemoteHost, target: str = "", options: tuple[str, ...] = (), checkout: Path = ROOT, stack: str = STACK) -> None:
        self.host, self.target, self.options = host, target or host.alias, options
        # Not before it is asked for: there may be no engine yet.
        super().__init__(None, stack, base=8300, number=83, checkout=checkout)  # type: ignore[arg-type]

    @property
    def client(self) -> APIClient:  # type: ignore[override]
        """A client of the host's engine. Where there is none yet, there may be one at the next look."""
        if self._client is None:
            self._client = self.host.client()
        return self._client

    @client.setter
    def client(self, client: APIClient | None) -> None:
        self._client = client

    def as_user(self, user: str, *options: str) -> RemoteCourse:
        """The same in the name of another user of the host."""
        return RemoteCourse(self.host, f"{user}@{self.host.alias}", options, self.checkout, self.stack)

    def environment(self, **more: str) -> dict[str, str]:
        """With the home directory whose .ssh knows the hosts, and nothing that names an engine or an agent."""
        own = super().environment(HOME=str(self.host.home.path), **more)
        return {key: value for key, value in own.items() if key in more or key not in ("DOCKER_HOST", "DOCKER_CONTEXT", "SSH_AUTH_SOCK")}

    def line(self, *words: str) -> list[str]:
        """The command line of a task."""
        return [*FAB, *self.options, "-H", self.target, *words]

    def start(self, *words: str, **more: str) -> subprocess.Popen[str]:
        """The same, going on while the test does something else; both outputs in one pipe."""
        return subprocess.Popen(
            self.line(*words),
            cwd=self.checkout,
            env=self.environment(**more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def spawn(self, *words: str, **more: str) -> pexpect.spawn:
        """The same on a terminal, for what asks for a password."""
        command, *rest = self.line(*words)
        return pexpect.spawn(command, rest, cwd=str(self.checkout), env=self.environment(**more), timeout=300, encoding="utf-8", dimensions=(50, 160))

    @property
    def entry(self) -> tuple[str, int]:
        """Where a browser here finds what serves now: at the host's own address."""
        address, port = super().entry
        return self.host.address if address == "127.0.0.1" else address, port


@contextmanager
def nothing_here(engine: APIClient, stack: str = STACK) -> Iterator[None]:
    """While the block runs, this machine's own engine hears nothing of the stack: of no container, volume or network."""
    mark = f"slr-{uuid.uuid4().hex[:12]}"
    heard: list[dict[str, Any]] = []
    ended = threading.Event()

    def names(event: dict[str, Any]) -> tuple[str, str]:
        actor = event.get("Actor") or {}
        return str(actor.get("ID")), str((actor.get("Attributes") or {}).get("name"))

    def listen() -> None:
        for event in stream:
            heard.append(event)
            if mark in names(event) and event.get("Action") == "destroy":
                ended.set()

    # The engine keeps 256 events only, and other tests may make many: they are read as they come.
    stream = engine.events(decode=True)
    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield
        engine.create_volume(mark)
        engine.remove_volume(mark)
        assert ended.wait(30), "the engine doesn't tell what happens"
    finally:
        stream.close()
        thread.join(10)
    ours = [event for event in heard if ((event.get("Actor") or {}).get("Attributes") or {}).get(LABEL) == stack]
    ours += [event for event in heard if any(name.startswith(f"{stack}-") for name in names(event))]
    assert not ours, ours
