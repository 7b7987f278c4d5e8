"""docker-py's client over channels of an SSH connection: its code for Unix sockets works unchanged, hijacked streams too.

requests asks the adapter for a pool, and urllib3 asks the pool for connections. Where a connection is a process on the host, sshd allows
only so many at once (MaxSessions, 10): there the pool waits for a free one, and streams that go on without an end have a number of their own.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import ClosedPoolError

from ...model.errors import EngineError
from ...model.text import _
from .channel import READ_AHEAD, ChannelSocket
from .link import Refused

if TYPE_CHECKING:
    from docker import APIClient

Dialer = Callable[[], ChannelSocket]

MANY = 32  # connections kept open where one costs nothing
CALLS, WORKS, STREAMS = 4, 2, 2  # of sshd's ten sessions; two are left for commands
TURN = 120  # seconds that a request waits for its turn
STREAM_TURN = 10  # seconds that a stream does: those before it may never end
ALONE = 10  # seconds for a session that nobody of ours will give back
RETRY = 1  # seconds until the host is asked again for a session when it had none left
BLOCK = 131_072  # bytes that an upload is read in

WORK = re.compile(r"^(/v[\d.]+)?(/build|/commit|/images/(create|load|get|.+/get|.+/push)|/containers/[^/]+/(archive|export))$")
STREAM = re.compile(r"^(/v[\d.]+)?(/events|/containers/[^/]+/(attach|logs|stats))$")


def kind_of(url: str) -> str:
    """What a request is: a `stream`, whose answer ends when somebody ends it; a `work`, which moves or makes much; or a `call`."""
    parts = urlsplit(url)
    if WORK.match(parts.path):
        return "work"
    if not STREAM.match(parts.path):
        return "call"
    last, asked = parts.path.rpartition("/")[2], parse_qs(parts.query)
    flag, default = {"logs": ("follow", "0"), "stats": ("stream", "1")}.get(last, ("", "1"))
    return "stream" if asked.get(flag, [default])[0].lower() in ("1", "true") else "call"


class ChannelConnection(HTTPConnection):
    """One connection of urllib3's, made of an open channel."""

    def __init__(self, opened: ChannelSocket) -> None:
        super().__init__("localhost", blocksize=BLOCK)
        self.sock: Any = opened
        self._upgrade = False

    def connect(self) -> None:
        """Never again once it is closed: the pool makes another. Raises BrokenPipeError."""
        raise BrokenPipeError("the connection is closed")

    @property
    def is_connected(self) -> bool:
        """Whether another request can be sent. Without select, which would cost two file descriptors for each channel."""
        return self.sock is not None and bool(self.sock.usable)

    def request(self, method: str, url: str, body: Any = None, headers: Any = None, **more: Any) -> None:
        """As urllib3's."""
        self._upgrade = any(name.lower() == "upgrade" for name in headers or ())
        if self.sock is not None:
            self.sock.settimeout(self.timeout)
        super().request(method, url, body, headers, **more)

    def getresponse(self) -> Any:
        """As urllib3's. What comes behind the head of an upgraded connection is its new owner's: there the head is read byte by byte."""
        if self.sock is not None:
            self.sock.read_ahead = 1 if self._upgrade else READ_AHEAD
        return super().getresponse()


class ChannelPool(HTTPConnectionPool):
    """Connections to the engine. With `limited`, no more than `size` are open at once, and whoever wants another waits for `turn` seconds."""

    def __init__(self, dial: Dialer, size: int, limited: bool, turn: float = TURN, keep: bool = True) -> None:
        super().__init__("localhost", maxsize=1)
        self._dial, self._size, self._limited, self._turn = dial, size, limited, turn
        self._keep = size if keep else 0
        # Reentrant: a channel may be closed by the garbage collector, at any place.
        self._changed = threading.Condition(threading.RLock())
        self._idle: list[ChannelConnection] = []
        self._open = 0

    def _get_conn(self, timeout: float | None = None) -> Any:
        begun = time.monotonic()
        deadline = begun + self._turn
        while True:
            if connection := self._next(deadline):
                return connection
            try:
                opened = self._dial()
            except BaseException as error:
                others = self._gone()
                if not (self._limited and isinstance(error, Refused)):
                    raise
                # The host has no session left. One of ours that becomes free will do, or one that somebody else gives back.
                left = (deadline if others else min(deadline, begun + ALONE)) - time.monotonic()
                if left <= 0:
                    raise
                with self._changed:
                    self._changed.wait(min(RETRY, left))
                continue
            opened.when_closed(self._gone)
            return ChannelConnection(opened)

    def _next(self, deadline: float) -> ChannelConnection | None:
        """An idle connection, or None when a new one may be opened, which is counted already."""
        with self._changed:
            while True:
                if self.pool is None:
                    raise ClosedPoolError(self, "Pool is closed.")
                while self._idle:
                    connection = self._idle.pop()
                    if connection.is_connected:
                        return connection
                    connection.close()
                if not self._limited or self._open < self._size:
                    self._open += 1
                    return None
                left = deadline - time.monotonic()
                if left <= 0:
                    raise _too_many(self._size)
                self._changed.wait(left)

    def _gone(self) -> int:
        """One channel less; gives how many are left."""
        with self._changed:
            self._open -= 1
            self._changed.notify()
            return self._open

    def _put_conn(self, conn: Any) -> None:
        if conn is None:
            return
        with self._changed:
            if conn.is_connected and self.pool is not None and len(self._idle) < self._keep:
                self._idle.append(conn)
                self._changed.notify()
                return
        conn.close()

    def release(self) -> bool:
        """Closes an idle connection for somebody who needs its session; gives whether there was one."""
        with self._changed:
            connection = self._idle.pop(0) if self._idle else None
        if connection:
            connection.close()
        return connection is not None

    def close(self) -> None:
        """Closes what is idle; what is in use is closed when it is given back."""
        super().close()
        with self._changed:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()


def _too_many(size: int) -> EngineError:
    return EngineError(
        _("{count} streams of the engine are open, and sshd on the host allows no more sessions on one connection").format(count=size),
        _("let sshd there forward the engine's socket (AllowStreamLocalForwarding yes), or ask for fewer services at once"),
    )


class ChannelAdapter(HTTPAdapter):
    """Requests to the one engine that `dial` reaches. `limited`: each connection is one of sshd's sessions."""

    def __init__(self, dial: Dialer, limited: bool) -> None:
        super().__init__()
        calls = ChannelPool(dial, CALLS if limited else MANY, limited)
        self._pools = {"call": calls, "work": calls, "stream": calls}
        if limited:
            self._pools["work"] = ChannelPool(dial, WORKS, limited)
            self._pools["stream"] = ChannelPool(dial, STREAMS, limited, STREAM_TURN, keep=False)

    def get_connection_with_tls_context(self, request: PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None) -> Any:
        """The pool for a request."""
        return self._pools[kind_of(str(request.url))]

    def request_url(self, request: PreparedRequest, proxies: Any) -> str:
        """The path: proxies of this machine have no business here."""
        return request.path_url

    def release(self) -> bool:
        """Closes an idle connection; gives whether there was one."""
        return any(pool.release() for pool in self._pools.values())

    def close(self) -> None:
        """Closes all connections."""
        super().close()
        for pool in set(self._pools.values()):
            pool.close()


def client_over(dial: Dialer, limited: bool, version: str, timeout: float) -> APIClient:
    """docker-py's client whose every connection `dial` opens. `version` is the API's, not negotiated: no call is made."""
    from docker import APIClient

    # The address is never used; its scheme makes docker-py take its ways for Unix sockets.
    client = APIClient("unix:///var/run/docker.sock", version=version, timeout=timeout)  # type: ignore[arg-type]
    client._custom_adapter.close()  # type: ignore[attr-defined]
    client._custom_adapter = ChannelAdapter(dial, limited)  # type: ignore[attr-defined]
    client.mount("http+docker://", client._custom_adapter)  # type: ignore[attr-defined]
    return client
