"""One Docker host: its engine, its shell and its ports, the same whether it is this machine or (later) another one over SSH."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..model.errors import SilverliningError
from ..model.settings import Settings
from ..model.text import _

if TYPE_CHECKING:
    from .engine import Engine
    from .ports import Listener

ROOT = Path(__file__).parents[2]


class Host:
    """The host that a task works on. `context` is Invoke's Context (or Fabric's Connection)."""

    def __init__(self, context: Any, settings: Settings) -> None:
        self.settings = settings
        self.context = _for_real(context)

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
    def remote(self) -> bool:
        """Whether the host is another machine than this one."""
        return False

    @property
    def outside(self) -> Any:
        """The shell of the host as it is, without an engine: for installing one."""
        return self.context

    @cached_property
    def listeners(self) -> list[Listener]:
        """(address, port, program) of everything that listens on a TCP port of the host, as seen once."""
        from .ports import parse_ss

        return parse_ss(self.shell("ss -Hltnp").stdout)

    def shell(self, command: str, timeout: float = 60) -> Any:
        """Runs a command line in the host's shell; gives Invoke's Result. Programs that talk to Docker are told the engine."""
        return self.context.run(command, hide=True, warn=True, in_stream=False, env=dict(self.engine.environment), timeout=timeout)

    def get(self, port: int, path: str, address: str = "127.0.0.1", timeout: float = 3, headers: dict[str, str] | None = None) -> Reply:
        """One GET to a port of the host. Gives a Reply; `status` 0 and the reason in `text` if there is no answer."""
        return self._request("GET", port, path, address, timeout, headers or {})

    def post(self, port: int, path: str, body: str, timeout: float = 10) -> Reply:
        """One POST of JSON to a port of the host's loopback; answered like `get`."""
        return self._request("POST", port, path, "127.0.0.1", timeout, {"Content-Type": "application/json"}, body)

    def _request(self, method: str, port: int, path: str, address: str, timeout: float, headers: dict[str, str], body: str | None = None) -> Reply:
        import http.client

        connection = http.client.HTTPConnection(address, port, timeout=timeout)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return Reply(answer.status, answer.read().decode(errors="replace"), {k.lower(): v for k, v in answer.getheaders()})
        except (OSError, http.client.HTTPException) as error:
            return Reply(0, f"{type(error).__name__}: {error}", {})
        finally:
            connection.close()


class Reply:
    """An HTTP answer: status, body, headers by lower-case name."""

    def __init__(self, status: int, text: str, headers: dict[str, str]) -> None:
        self.status = status
        self.text = text
        self.headers = headers


def _for_real(context: Any) -> Any:
    """A context that runs commands even under `invoke --dry`: facts must be read, or the plan would be made of blanks.

    Raises SilverliningError for Fabric's Connection: what it stands for is another machine, and nothing may be done to this one instead.
    """
    from invoke import Context
    from invoke.runners import Local

    if any(kind.__module__.partition(".")[0] == "fabric" for kind in type(context).__mro__):
        raise SilverliningError(
            _("{host} is another machine, and Silverlining works only on the one that it runs on; nothing was done").format(host=context.host),
            _("log in there and run `./invoke TASK` in a checkout on that machine"),
        )
    if not isinstance(context, Context):
        return context

    class Runner(Local):
        """Ctrl-C ends the command and the run; Invoke's own runner would hand it to the command and go on."""

        def send_interrupt(self, interrupt: KeyboardInterrupt) -> None:
            self.kill()
            raise interrupt

    config = context.config.clone()
    config["run"]["dry"] = False
    config["runners"]["local"] = Runner
    return Context(config)
