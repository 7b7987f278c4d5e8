"""One Docker host: its engine, its shell and its ports. This machine here; another one over SSH in ssh/host.py."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..model.errors import SilverliningError, TimedOut
from ..model.settings import Settings
from ..model.text import _

if TYPE_CHECKING:
    from http.client import HTTPConnection

    from .debian import Runner
    from .engine import Engine
    from .ports import Listener

ROOT = Path(__file__).parents[2]
LOOPBACK, PUBLIC = "127.0.0.1", ""


def borrowed_curl(tools: str) -> str:
    """A line of shell for a host without curl: it is taken from our image, in the host's network."""
    return f'command -v curl >/dev/null || curl() {{ docker run --rm --network host --entrypoint curl {shlex.quote(tools)} "$@"; }}'


class Host:
    """This machine. `name` is what it is called in an address, `remote` whether it is another machine than the one that this runs on."""

    name = "localhost"
    remote = False
    direct = True  # whether whoever runs this reaches its public ports at `name`

    def __init__(self, context: Any, settings: Settings) -> None:
        self.settings = settings
        self.context = _for_real(context)
        self.notes: list[str] = []  # what a person should be told about the way there
        self.tools = ""  # a reference of the image `tools`, where one is there: for what the host has no program of its own
        self.written: dict[Path, str] = {}

    def close(self) -> None:
        """Ends what is open to the host."""

    @cached_property
    def engine(self) -> Engine:
        """The engine, resolved once. Raises EngineError."""
        from .engine import connect

        return connect(self.settings, os.environ, Path.home())

    @property
    def client(self) -> Any:
        """docker's APIClient of the engine."""
        return self.engine.client

    def forget_engine(self) -> None:
        """Lets `engine` be resolved again: one may have been installed."""
        self.__dict__.pop("engine", None)

    def forget_listeners(self) -> None:
        """Lets `listeners` be looked at again: what listened then may have gone."""
        self.__dict__.pop("listeners", None)

    @property
    def outside(self) -> Any:
        """The shell of the host as it is, without an engine: for installing one."""
        return self.context

    @property
    def runner(self) -> Runner:
        """Runs on the host what makes a Debian base."""
        from .debian import Local

        return Local()

    @cached_property
    def listeners(self) -> list[Listener]:
        """(address, port, program) of everything that listens on a TCP port of the host, as seen once."""
        from .ports import LISTENING, parse_listeners

        return parse_listeners(self.shell(LISTENING).stdout)

    def shell(self, command: str, timeout: float = 60, unbroken: bool = False) -> Any:
        """Runs a command line in the host's shell; gives Invoke's Result. Programs that talk to Docker are told the engine.

        `unbroken` says that it must not stop in its midst: over SSH it goes on even where the run ends. Raises TimedOut.
        """
        from invoke.exceptions import CommandTimedOut

        if self.tools and "curl" in command and not shutil.which("curl"):
            command = f"{borrowed_curl(self.tools)}\n{command}"
        try:
            return self.context.run(command, hide=True, warn=True, in_stream=False, env=dict(self.engine.environment), timeout=timeout)
        except CommandTimedOut:
            raise TimedOut(command, timeout) from None

    def interact(self, command: list[str]) -> int:
        """Runs a program on the person's own terminal; gives its exit code. Raises SilverliningError where it isn't there."""
        try:
            return subprocess.call(command, env={**os.environ, **self.engine.environment})
        except FileNotFoundError:
            what = _("the command `{name}` is not there, and a shell is opened with it").format(name=command[0])
            raise SilverliningError(what, _("invoke step00-install installs it")) from None

    def forward(self, port: int) -> AbstractContextManager[int]:
        """Makes a port of the host's loopback one of this machine's while the block runs; gives its number here."""
        return nullcontext(port)

    def await_end(self) -> None:
        """Waits until the connection to the host ends. Raises SilverliningError then."""

    def write(self, path: Path, text: str) -> None:
        """Writes a file of the checkout for this host, whole or not at all, and leaves it alone where it is right. Raises SilverliningError.

        Runs on other hosts may write the same file meanwhile: `placed` goes by what was written here.
        """
        self.written[path] = text
        made = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            if path.exists() and path.read_bytes() == text.encode():
                return
            made.write_bytes(text.encode())
            made.replace(path)
        except OSError as error:
            with suppress(OSError):
                made.unlink(missing_ok=True)
            what = _("{path} can't be written: {why}").format(path=path, why=error.strerror or error)
            raise SilverliningError(what, _("see whose the checkout is, and `df {place}`").format(place=path.parent)) from None

    def placed(self, path: Path) -> str:
        """How a command of the host's shell names a file of the checkout, which is there from now on. Raises SilverliningError."""
        return shlex.quote(str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path))

    def get(self, port: int, path: str, address: str = LOOPBACK, timeout: float = 3, headers: dict[str, str] | None = None) -> Reply:
        """One GET to a port: of the host's `address`, seen from the host, or (PUBLIC) of the host as whoever runs this reaches it.

        Gives a Reply; `status` 0 and the reason in `text` if there is no answer.
        """
        # By the one name that the app answers to whatever its allowed hosts are: over SSH the host's may be none of them.
        return self._request("GET", port, path, address, timeout, {"Host": "localhost", **(headers or {})})

    def post(self, port: int, path: str, body: str, timeout: float = 10) -> Reply:
        """One POST of JSON to a port of the host's loopback; answered like `get`."""
        return self._request("POST", port, path, LOOPBACK, timeout, {"Content-Type": "application/json"}, body)

    def _request(self, method: str, port: int, path: str, address: str, timeout: float, headers: dict[str, str], body: str | None = None) -> Reply:
        import http.client

        connection = http.client.HTTPConnection(address or self.name, port, timeout=timeout)
        try:
            self._reach(connection, address)
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return Reply(answer.status, answer.read().decode(errors="replace"), {k.lower(): v for k, v in answer.getheaders()})
        except (OSError, http.client.HTTPException) as error:
            return Reply(0, f"{type(error).__name__}: {error}", {})
        finally:
            connection.close()

    def _reach(self, connection: HTTPConnection, address: str) -> None:
        """Opens the connection where it isn't to be opened from here. Raises OSError."""


class Reply:
    """An HTTP answer: status, body, headers by lower-case name."""

    def __init__(self, status: int, text: str, headers: dict[str, str]) -> None:
        self.status = status
        self.text = text
        self.headers = headers


def _for_real(context: Any) -> Any:
    """A context that runs commands even under `invoke --dry`: facts must be read, or the plan would be made of blanks."""
    from invoke import Context
    from invoke.runners import Local

    if not isinstance(context, Context):
        return context

    class Runner(Local):
        """Ctrl-C ends the command and the run; Invoke's own runner would hand it to the command and go on."""

        # Asked at the end of a run, also of one that was interrupted before Invoke had set it.
        using_pty = False

        def send_interrupt(self, interrupt: KeyboardInterrupt) -> None:
            self.kill()
            raise interrupt

    config = context.config.clone()
    config["run"]["dry"] = False
    config["runners"]["local"] = Runner
    return Context(config)
