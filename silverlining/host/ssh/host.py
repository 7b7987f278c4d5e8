"""A Docker host that is reached over SSH: the same as this machine's Host, by one connection of Fabric's."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paramiko import ChannelException

from ...model.settings import Settings
from ..host import PUBLIC, Host, borrowed_curl
from .connect import open_connection, prepare, way
from .link import SESSION_TRIES, SESSION_WAIT
from .place import Workplace
from .shell import Shell, guarded, result

if TYPE_CHECKING:
    from http.client import HTTPConnection

    from fabric import Connection

    from ..debian import Runner
    from ..engine import Engine
    from .link import Link

PATHS = "PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:/snap/bin"


class SshHost(Host):
    """The host behind a Connection, which is opened by the first thing that needs it."""

    remote = True

    def __init__(self, context: Connection, settings: Settings) -> None:
        self.settings = settings
        self.context = context
        self.tools = ""
        self.written = {}
        self.notes: list[str] = []
        prepare(context, settings)

    @property
    def name(self) -> str:  # type: ignore[override]
        """The host's address, as it is reached from here."""
        return str(self.context.host)

    @property
    def direct(self) -> bool:  # type: ignore[override]
        """Whether its public ports are at `name` for whoever runs this: not where only its sshd is carried here, by whatever."""
        if self.context.gateway:  # another host, or a ProxyCommand
            return False
        return not self.name.startswith("127.") and self.name not in ("localhost", "::1")

    @cached_property
    def link(self) -> Link:
        """The open connection. Raises what connect.py raises."""
        from .link import Link

        self.notes += open_connection(self.context, self.settings)
        return Link(self.context)

    @cached_property
    def engine(self) -> Engine:
        """The engine, resolved once. Raises EngineError."""
        from .engine import connect

        return connect(self.link, self.settings, self.password)

    @cached_property
    def runner(self) -> Runner:
        """Runs on the host what makes a Debian base."""
        from .runner import SshRunner

        return SshRunner(self)

    @property
    def password(self) -> str | None:
        """What `--prompt-for-sudo-password` has asked for."""
        given = self.context.config.sudo.password
        return None if given is None else str(given)

    @property
    def outside(self) -> Any:
        """The shell of the host as it is, without an engine."""
        return Shell(self.link)

    @cached_property
    def _place(self) -> Workplace:
        return Workplace(self.link)

    def close(self) -> None:
        """Ends the connection, with all that goes with it."""
        place, link = self.__dict__.pop("_place", None), self.__dict__.pop("link", None)
        if place:
            place.close()
        if link:
            link.close()
        # Fabric closes the host's connection only, and the next task on the line opens its own.
        for one in reversed(way(self.context)):
            one.close()

    def shell(self, command: str, timeout: float = 60, unbroken: bool = False) -> Any:
        """Runs a command line on the host, as whoever may use the engine there; gives Invoke's Result. It runs where placed files are.

        It is ended when the run or the connection is, but for one that is `unbroken`. Raises TimedOut, LinkLost, Refused.
        """
        lines = [PATHS, "export PATH", *([borrowed_curl(self.tools)] if self.tools else [])]
        if place := self.__dict__.get("_place"):
            lines.append(f"cd {shlex.quote(place.path)}")
        argv = ["sh", "-c", "\n".join([*lines, command])]
        line, given = guarded(argv, self.engine.environment, self.engine.sudo, self.password, unbroken)
        return result(self.link, command, line, given, timeout)

    def interact(self, command: list[str]) -> int:
        """Runs a program of the host on the person's own terminal; gives its exit code. Raises LinkLost."""
        line = shlex.join(["env", *(f"{name}={value}" for name, value in self.engine.environment.items()), *command])
        if self.engine.sudo:
            line = f"sudo {line}"  # it asks on this terminal, if it must
        for again in reversed(range(SESSION_TRIES)):
            self.link.check()  # Fabric would log in anew where the connection has ended
            try:
                code = int(self.context.run(line, hide=False, warn=True, dry=False, pty=True).exited)
            except ChannelException:
                if not again:
                    raise
                self.link.make_room()
                time.sleep(SESSION_WAIT)
            else:
                break
        self.link.check()
        return code

    @contextmanager
    def forward(self, port: int) -> Iterator[int]:
        """Makes a port of the host's loopback one of this machine's: the same number where it is free here. Raises SilverliningError."""
        from .forward import Forward

        with Forward(self.link, port) as forward:
            yield forward.port

    def await_end(self) -> None:
        """Waits until the connection ends, and raises LinkLost then."""
        while self.link.alive:
            time.sleep(0.5)
        self.link.check()

    def placed(self, path: Path) -> str:
        """The file's own name: what was written for this host is put where commands are run. A file that was not is only named.

        Not what stands in the checkout now: runs on several hosts share it, and each writes its own.
        """
        if path in self.written:
            self._place.put(path.name, self.written[path].encode())
        return shlex.quote(path.name)

    def _reach(self, connection: HTTPConnection, address: str) -> None:
        # A public port is reached as whoever runs this would reach it, and where they can't, through the connection.
        if address != PUBLIC or not self.direct:
            given: Any = connection
            given.sock = self.link.tcp(address or "127.0.0.1", connection.port)
            given.sock.settimeout(connection.timeout)
