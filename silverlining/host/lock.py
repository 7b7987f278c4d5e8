"""One writer at a time: a lock that the engine itself lets go of when its holder dies or loses its connection.

The lock is a container with its holder's connection as standard input. Only one container can have its name. When the connection ends, for
whatever reason, the engine closes the input (StdinOnce), what runs in it (keeper.py) ends, and the engine removes the container (AutoRemove).
Since only the holder of the lock changes anything, the container also writes the trail of who changed what.
"""

from __future__ import annotations

import atexit
import getpass
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..model import audit, labels
from ..model.errors import Busy, Conflict, EngineError
from ..model.logs import NANO, nanoseconds
from ..model.text import _
from . import keeper, trail
from .lifeline import Lifeline

if TYPE_CHECKING:
    from docker import APIClient

HOLDER, LOGIN, PID, COMMAND, OP = (f"io.silverlining.lock.{word}" for word in ("holder", "login", "pid", "command", "op"))
STALE = 3.0  # seconds that a lock may be seen without running before it counts as left behind
GRACE = 1.0  # seconds that a running lock is watched before its holder counts as at work: who has just let go still shows for a moment
PATIENCE = 20  # seconds until a lock that never settles is given up
FAREWELL = 5  # seconds for the engine to remove the container of a lock that was let go of
BEAT = 0.05  # seconds between two looks at a lock that is about to start or to go


@dataclass(frozen=True)
class Held:
    """A lock as it stands on the host: by whom, by which process and command, and since when by the engine's clock.

    `holder` is user@machine, `login` whom it has logged in to the host as ("" without SSH), `op` the operation's name in the trail.
    """

    id: str
    stack: str
    holder: str
    login: str
    pid: str
    command: str
    op: str
    since: datetime
    running: bool


def name_of(stack: str) -> str:
    """The name of a stack's lock."""
    return f"{stack}-lock"


def me() -> str:
    """Who holds a lock taken here: user@host; under sudo, who has called it."""
    try:
        user = os.environ.get("SUDO_USER", "") if os.getuid() == 0 else ""
        return f"{user or getpass.getuser()}@{socket.gethostname()}"
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
    holder, pid, command = (str(marks.get(label, "?")) for label in (HOLDER, PID, COMMAND))
    login, op = (str(marks.get(label, "")) for label in (LOGIN, OP))
    return Held(seen["Id"], stack, holder, login, pid, command, op, _moment(seen["Created"]), bool(seen["State"]["Running"]))


def _moment(text: str) -> datetime:
    """The engine's time, to the second. It tells that of its clock with the zone that it is in."""
    return datetime.fromtimestamp(nanoseconds(text) // NANO, timezone.utc)


def busy(client: APIClient, held: Held) -> Busy:
    """The error that says who holds the lock. How long is told by the engine's clock alone: it may be far from ours."""
    from docker.errors import APIError
    from requests import RequestException

    try:
        since = f"{held.since.astimezone():%Y-%m-%d %H:%M:%S}"
        since += _(", for {time}").format(time=timedelta(seconds=max(0, (_moment(client.info()["SystemTime"]) - held.since) // timedelta(seconds=1))))
    except (APIError, RequestException, OverflowError, ValueError, LookupError):
        since = f"{held.since:%Y-%m-%d %H:%M:%S} UTC"
    return Busy(
        _("{holder} is working on the stack {stack} since {since} (process {pid}: {command})").format(
            holder=audit.person(held.holder, held.login), stack=held.stack, since=since, pid=held.pid, command=held.command
        ),
        _("wait for its end; if nobody is there any more, `docker rm -f {name}` frees the lock").format(name=name_of(held.stack)),
    )


def refuse_held(client: APIClient, stack: str) -> None:
    """Raises Busy where somebody holds the stack's lock: said before long work that doesn't need it yet, such as getting images."""
    begin = time.monotonic()
    while (held := look(client, stack)) and held.running:
        if time.monotonic() - begin > GRACE:
            raise busy(client, held)
        time.sleep(BEAT)


class Lock:
    """A context manager that holds the stack's lock. Raises Busy where another does; never waits for it (see GRACE).

    `login` is the user of the SSH connection, if the holder is on another machine, and `silence` the seconds after which it is lost when nothing
    is heard of it (0: only the end of its connection counts). `version` is the tool's. What the block has changed is put into `changed`.
    """

    def __init__(
        self,
        client: APIClient,
        stack: str,
        image: str,
        holder: str = "",
        command: str = "",
        *,
        login: str = "",
        silence: int = 0,
        version: str = "",
    ) -> None:
        self._client, self._stack, self._image, self._silence = client, stack, image, silence
        self._holder, self._login, self._version = holder or me(), login, version
        self._command, self._pid = command or audit.command_of(sys.argv), str(os.getpid())
        self._op = self._id = ""
        self._going: threading.Thread | None = None
        self._input: Lifeline | None = None
        self.changed: dict[str, int] = {}

    def __enter__(self) -> Lock:
        self.take()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release(error)

    def count(self, changed: Mapping[str, int]) -> None:
        """Adds to what has been changed, by kind: it will stand in the trail."""
        for what, number in changed.items():
            self.changed[what] = self.changed.get(what, 0) + number

    def take(self) -> None:
        """Takes the lock or raises Busy. What a dead holder left behind is cleared away on the way."""
        begin = time.monotonic()
        watched, since, self._op = "", 0.0, secrets.token_hex(4)
        while not self._try():
            held, now = look(self._client, self._stack), time.monotonic()
            if held and held.running and now - begin > GRACE:
                raise busy(self._client, held)
            if now - begin > PATIENCE:
                what = _("the engine neither makes nor shows the lock {name}").format(name=name_of(self._stack))
                raise busy(self._client, held) if held else EngineError(what, _("see what `docker ps -a` says of it"))
            # It doesn't run: about to start, about to go, or left behind. Time tells, and only our own clock is asked.
            if held and (held.running or held.id != watched):
                watched, since = "" if held.running else held.id, now
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
                _("the lock {name} was lost: no connection to the engine, a restart of it, or somebody removed it").format(name=name_of(self._stack)),
                _("run the same command again: it goes on from what stands now"),
            )

    def release(self, error: BaseException | None = None) -> None:
        """Lets go; the trail is told how it ended. The name is free when the engine has removed the container: this program's end waits for that."""
        held, self._input = self._input, None
        if held is None:
            return
        alive = not held.ended()
        held.close(self._ending(error))
        if alive:
            self._going = threading.Thread(target=self._see_off, args=(self._id,), daemon=True)
            self._going.start()
            atexit.register(self.gone)
        self._id = ""

    def _ending(self, error: BaseException | None) -> str:
        """The rest of the trail's last line."""
        facts: dict[str, object] = {"event": "done" if error is None else "interrupted"}
        if isinstance(error, Exception):
            facts = {"event": "failed", "error": audit.plain(str(error).strip().split("\n", 1)[0] or type(error).__name__)}
        return audit.fragment(op=self._op, **facts, changed=self.changed)

    def gone(self) -> None:
        """Waits until the engine has removed the container of a lock that was let go of, so that nothing of it is left."""
        going, self._going = self._going, None
        if going:
            atexit.unregister(self.gone)
            with suppress(KeyboardInterrupt):
                going.join()

    def _see_off(self, identity: str) -> None:
        with suppress(Exception):  # gone already, or the connection is
            self._client.wait(identity, condition="removed", timeout=FAREWELL)

    def _try(self) -> bool:
        """Makes, attaches and starts the container. False when another has the name, or cleared ours away as left behind."""
        from docker.errors import APIError
        from requests import RequestException

        held = None
        try:
            made = self._client.create_container_from_config(self._container(), name_of(self._stack))  # type: ignore[no-untyped-call]
            self._id = made["Id"]
            trail.refuse_foreign(self._client, self._stack)
            held = Lifeline(self._client, self._id, self._silence)
            held.begin()
            self._client.start(self._id)
        except BaseException as error:
            # Ctrl-C too: what was made and isn't held goes at once.
            dropped = self._abandon(held, "" if isinstance(error, Exception) else self._ending(error))
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

    def _abandon(self, held: Lifeline | None, last: str) -> bool:
        """Drops what was made so far; says whether a container was. With a `last` line it may run already, and is given time to write that."""
        from docker.errors import APIError
        from requests import RequestException

        identity, self._id = self._id, ""
        if held:
            held.close(last)
        if identity and last:
            with suppress(APIError, RequestException):
                self._clear(identity)
                self._client.wait(identity, condition="removed", timeout=int(STALE))
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
        known = {HOLDER: self._holder, LOGIN: self._login, PID: self._pid, COMMAND: self._command, OP: self._op}
        begun = {"stack": self._stack, "by": self._holder, "as": self._login, "pid": self._pid, "command": self._command, "version": self._version}
        marks = {labels.STACK: self._stack, labels.HELPER: "lock", **known}
        return keeper.container(self._stack, self._image, marks, keeper.command(self._op, begun, self._silence))
