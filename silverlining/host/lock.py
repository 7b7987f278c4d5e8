"""One writer at a time: a lock that the engine itself lets go of when its holder dies or loses its connection.

The lock is a container that runs `cat` with its holder's connection as standard input. Only one container can have its name. When the
connection ends, for whatever reason, the engine closes the input (StdinOnce), `cat` ends, and the engine removes the container (AutoRemove).
"""

from __future__ import annotations

import getpass
import os
import shlex
import socket
import ssl
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..model import labels
from ..model.errors import Busy, Conflict, EngineError
from ..model.text import _

if TYPE_CHECKING:
    from docker import APIClient

HOLDER, PID, COMMAND = (f"io.silverlining.lock.{word}" for word in ("holder", "pid", "command"))
STALE = 3.0  # seconds that a lock may be seen without running before it counts as left behind
PATIENCE = 20  # seconds until a lock that never settles is given up
BEAT = 0.05  # seconds between two looks at a lock that is about to start or to go


@dataclass(frozen=True)
class Held:
    """A lock as it stands on the host: by whom, by which process and command, and since when by the engine's clock."""

    id: str
    stack: str
    holder: str
    pid: str
    command: str
    since: datetime
    running: bool


def name_of(stack: str) -> str:
    """The name of a stack's lock."""
    return f"{stack}-lock"


def me() -> str:
    """Who holds a lock taken here: user@host."""
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (KeyError, OSError):  # a user without a name
        return f"{os.getuid()}@{socket.gethostname()}"


def look(client: APIClient, stack: str) -> Held | None:
    """The stack's lock, if there is one. Raises Conflict where something foreign has its name."""
    from docker.errors import NotFound

    name = name_of(stack)
    try:
        seen: dict[str, Any] = client.inspect_container(name)
    except NotFound:
        return None
    marks = seen["Config"]["Labels"] or {}
    if marks.get(labels.STACK) != stack or marks.get(labels.HELPER) != "lock":
        raise Conflict(
            _("a container that is not ours has the name of this stack's lock: {name}").format(name=name),
            _("rename it (`docker rename {name} …`), or give the stack another name (setting stack)").format(name=name),
        )
    since = datetime.fromisoformat(seen["Created"][:19]).replace(tzinfo=timezone.utc)
    holder, pid, command = (str(marks.get(label, "?")) for label in (HOLDER, PID, COMMAND))
    return Held(seen["Id"], stack, holder, pid, command, since, bool(seen["State"]["Running"]))


def busy(held: Held) -> Busy:
    """The error that says who holds the lock."""
    return Busy(
        _("{holder} is working on the stack {stack} since {since:%Y-%m-%d %H:%M:%S} (process {pid}: {command})").format(
            holder=held.holder, stack=held.stack, since=held.since.astimezone(), pid=held.pid, command=held.command
        ),
        _("wait for its end; if nobody is there any more, `docker rm -f {name}` frees the lock").format(name=name_of(held.stack)),
    )


class Lock:
    """A context manager that holds the stack's lock. Raises Busy where another does; never waits for it."""

    def __init__(self, client: APIClient, stack: str, image: str, holder: str = "", command: str = "") -> None:
        self._client = client
        self._stack = stack
        self._image = image
        self._marks = {
            labels.STACK: stack,
            labels.HELPER: "lock",
            HOLDER: holder or me(),
            PID: str(os.getpid()),
            COMMAND: command or shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        }
        self._id = ""
        self._input: _Input | None = None

    def __enter__(self) -> Lock:
        self.take()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()

    def take(self) -> None:
        """Takes the lock or raises Busy. What a dead holder left behind is cleared away on the way."""
        deadline = time.monotonic() + PATIENCE
        idle, since = "", 0.0
        while not self._try():
            held = look(self._client, self._stack)
            if held and held.running:
                raise busy(held)
            now = time.monotonic()
            if now > deadline:
                what = _("the engine neither makes nor shows the lock {name}").format(name=name_of(self._stack))
                raise busy(held) if held else EngineError(what, _("see what `docker ps -a` says of it"))
            # It doesn't run: about to start, about to go, or left behind. Time tells, and only our own clock is asked.
            if held and held.id != idle:
                idle, since = held.id, now
            elif held and now - since > STALE:
                self._clear(held.id)
            time.sleep(BEAT)

    def lost(self) -> bool:
        """True when the lock is not ours any more: the connection has ended, or somebody removed the container. Costs no call."""
        return self._input is None or self._input.ended()

    def check(self) -> None:
        """Raises Busy when the lock has been lost: somebody else may be writing."""
        if self.lost():
            raise Busy(
                _("the lock {name} was lost: the engine was restarted, or somebody removed it").format(name=name_of(self._stack)),
                _("run the same command again: it goes on from what stands now"),
            )

    def release(self) -> None:
        """Lets go, and waits until the engine has removed the container, so that the name is free."""
        from docker.errors import APIError
        from requests import RequestException

        held, self._input, identity, self._id = self._input, None, self._id, ""
        if held is None:
            return
        held.close()
        with suppress(APIError, RequestException):  # gone already, or the engine is
            self._client.wait(identity, condition="removed", timeout=PATIENCE)

    def _try(self) -> bool:
        """Makes, attaches and starts the container. False when another has the name, or cleared ours away as left behind."""
        from docker.errors import APIError
        from requests import RequestException

        held = None
        try:
            made = self._client.create_container_from_config(self._container(), name_of(self._stack))  # type: ignore[no-untyped-call]
            self._id = made["Id"]
            held = _Input(self._client, self._id)
            self._client.start(self._id)
        except BaseException as error:
            # Ctrl-C too: what was made and isn't held goes at once.
            dropped = self._abandon(held)
            # 409: another has the name. 404 once it was made: cleared away as left behind. 404 before: no such image.
            if isinstance(error, APIError) and (error.status_code == 409 or (dropped and error.status_code == 404)):
                return False
            if isinstance(error, APIError) and "already running" in str(error.explanation):
                return False  # seen on 20.10 under load: the runtime answers one start twice
            if isinstance(error, (APIError, RequestException)):
                words = str(getattr(error, "explanation", None) or error)
                full = "no space left" in words.lower()
                raise EngineError(
                    _("the lock {name} can't be made: {error}").format(name=name_of(self._stack), error=words),
                    _("make room (`docker system df` shows what takes it), then run the same command again")
                    if full
                    else _("`docker info` says whether the engine is well; then run the same command again"),
                ) from None
            raise
        self._input = held
        return True

    def _abandon(self, held: _Input | None) -> bool:
        """Drops what was made so far; says whether a container was."""
        from docker.errors import APIError
        from requests import RequestException

        identity, self._id = self._id, ""
        if held:
            held.close()
        if identity:
            with suppress(APIError, RequestException):
                self._client.remove_container(identity, force=True)
        return bool(identity)

    def _clear(self, identity: str) -> None:
        """Removes a lock that does not run. Not by force: the engine refuses where its holder has started it meanwhile."""
        from docker.errors import APIError

        with suppress(APIError):
            self._client.remove_container(identity)

    def _container(self) -> dict[str, Any]:
        return {
            "Image": self._image,
            "Entrypoint": ["cat"],
            "Cmd": [],
            "User": "65534:65534",
            "Labels": self._marks,
            "OpenStdin": True,
            "StdinOnce": True,
            "AttachStdin": True,
            "AttachStdout": True,
            "StopSignal": "SIGKILL",  # cat as process 1 takes no other
            "Healthcheck": {"Test": ["NONE"]},
            "HostConfig": {
                "AutoRemove": True,
                "NetworkMode": "none",
                "ReadonlyRootfs": True,
                "CapDrop": ["ALL"],
                "SecurityOpt": ["no-new-privileges"],
                "LogConfig": {"Type": "none"},
                "Memory": 64 * 1024 * 1024,
                "PidsLimit": 4,
            },
        }


class _Input:
    """The connection that is the container's standard input. Its end is the end of the lock."""

    def __init__(self, client: APIClient, identity: str) -> None:
        self._raw: Any = client.attach_socket(identity, params={"stdin": 1, "stdout": 1, "stream": 1})
        self._socket: Any = getattr(self._raw, "_sock", self._raw)
        self._socket.settimeout(0)

    def ended(self) -> bool:
        """True when the other side has closed; nothing is ever sent, so whatever else can be read does not count."""
        try:
            return not self._socket.recv(1)
        except (BlockingIOError, TimeoutError, ssl.SSLWantReadError):
            return False
        except OSError:
            return True

    def close(self) -> None:
        """Ends it for both sides."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._raw._response.close()
