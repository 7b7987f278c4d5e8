"""One channel of an SSH connection as a socket, so that http.client, urllib3 and docker-py use it as they use a Unix socket."""

from __future__ import annotations

import io
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from paramiko import Channel, Message, SSHException
from paramiko.buffered_pipe import PipeTimeout

PIECE = 32_768 - 64  # bytes that fit into one SSH packet
READ_AHEAD = 65_536


class Inbox:
    """What has come over a channel and isn't read yet; stands in for paramiko's BufferedPipe, whose array moves all its bytes at each read.

    Its file descriptor is readable when there is something to read. paramiko's own can be closed under the hands of the thread that
    writes into it, which then ends the whole connection.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._closed = False
        self._pipe: tuple[int, int] | None = None
        self._signalled = False

    def __len__(self) -> int:
        return self._size

    def feed(self, data: bytes) -> None:
        """Takes in what has come."""
        with self._changed:
            self._pieces.append(data)
            self._size += len(data)
            self._signal()
            self._changed.notify_all()

    def read_ready(self) -> bool:
        """Whether `read` would give bytes at once."""
        return self._size > 0

    def read(self, count: int, timeout: float | None = None) -> bytes:
        """At most `count` bytes; none at the end. Raises PipeTimeout after `timeout` seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while not self._size and not self._closed:
                left = None if end is None else end - time.monotonic()
                if left is not None and left <= 0:
                    raise PipeTimeout()
                self._changed.wait(left)
            if not self._size:
                return b""
            piece = self._pieces.popleft()
            if len(piece) > count:
                self._pieces.appendleft(piece[count:])
                piece = piece[:count]
            self._size -= len(piece)
            self._signal()
            return piece

    def empty(self) -> bytes:
        """All that is there, taken out."""
        with self._changed:
            data = b"".join(self._pieces)
            self._pieces.clear()
            self._size = 0
            self._signal()
            return data

    def close(self) -> None:
        """Nothing more comes: readers get what is there and then the end."""
        with self._changed:
            self._closed = True
            self._signal()
            self._changed.notify_all()

    def fileno(self) -> int:
        """A descriptor for select and poll, made when it is first asked for; -1 after `drop`."""
        with self._changed:
            if self._pipe is None:
                self._pipe = os.pipe()
                self._signalled = False
                self._signal()
            return self._pipe[0]

    def drop(self) -> None:
        """Closes the descriptor."""
        with self._changed:
            if self._pipe and self._pipe[0] >= 0:
                os.close(self._pipe[0])
                os.close(self._pipe[1])
            self._pipe = (-1, -1)

    def _signal(self) -> None:
        if self._pipe is None or self._pipe[0] < 0:
            return
        readable = self._size > 0 or self._closed
        if readable and not self._signalled:
            os.write(self._pipe[1], b"*")
        elif self._signalled and not readable:
            os.read(self._pipe[0], 1)
        self._signalled = readable


class OpenChannel(Channel):
    """paramiko's channel with an Inbox; `hung_up` says that the other side has closed it, and not the connection's end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.in_buffer = cast(Any, Inbox())
        self.hung_up = False

    def _handle_close(self, m: Message) -> None:
        self.hung_up = True
        super()._handle_close(m)  # type: ignore[misc]


class ChannelSocket:
    """A socket over a channel. `lost` makes the error for a connection that has ended under it.

    What a socket raises it raises too, but where the whole connection is lost: then what `lost` makes. Only a socket that doesn't block
    raises ConnectionResetError then: whoever polls asks for the state.
    """

    def __init__(self, channel: OpenChannel, lost: Callable[[], Exception]) -> None:
        self.channel = channel
        self.read_ahead = READ_AHEAD
        self._lost = lost
        self._ended: Callable[[], object] | None = None
        self._lock = threading.RLock()  # the garbage collector may close it at any place
        self._references = 0
        self._closing = False
        self._closed = False

    # ---- what sockets do

    def settimeout(self, seconds: float | None) -> None:
        """As a socket's."""
        self.channel.settimeout(seconds)

    def gettimeout(self) -> float | None:
        """As a socket's."""
        return self.channel.gettimeout()

    def setblocking(self, blocking: bool) -> None:
        """As a socket's."""
        self.settimeout(None if blocking else 0.0)

    def fileno(self) -> int:
        """A descriptor that is readable when the socket is; not for reading from."""
        return self._inbox.fileno()

    def recv(self, count: int, flags: int = 0) -> bytes:
        """As a socket's."""
        try:
            data: bytes = self.channel.recv(count)
        except TimeoutError:
            if self.gettimeout() == 0:
                raise BlockingIOError("nothing to read yet") from None
            raise
        except (OSError, EOFError, SSHException):
            raise self._broken() from None  # it could not tell that it has read
        if not data and count and not self._properly_ended:
            raise self._broken()
        return data

    def recv_into(self, buffer: Any, count: int = 0, flags: int = 0) -> int:
        """As a socket's."""
        view = memoryview(buffer).cast("B")
        data = self.recv(min(count, len(view)) if count else len(view))
        view[: len(data)] = data
        return len(data)

    def send(self, data: Any, flags: int = 0) -> int:
        """As a socket's."""
        piece = bytes(memoryview(data).cast("B")[:PIECE])
        if not piece:
            return 0
        try:
            sent = self.channel.send(piece)
        except TimeoutError:
            if self.gettimeout() == 0:
                raise BlockingIOError("the other side doesn't read") from None
            raise
        except (OSError, EOFError, SSHException):
            sent = 0
        if not sent:
            raise BrokenPipeError("the other side has closed the connection") if self._properly_ended else self._broken()
        return sent

    def sendall(self, data: Any, flags: int = 0) -> None:
        """As a socket's."""
        view = memoryview(data).cast("B")
        at = 0
        while at < len(view):
            at += self.send(view[at : at + PIECE])

    def shutdown(self, how: int) -> None:
        """As a socket's: SHUT_RDWR ends the connection for both sides and wakes whoever reads."""
        if how == socket.SHUT_RDWR:
            self._end()
            return
        if how == socket.SHUT_RD:
            self.channel.shutdown_read()
            self._inbox.close()
        else:
            self.channel.shutdown_write()

    def makefile(self, mode: str = "rb", *_more: Any, **_named: Any) -> io.BufferedReader:
        """A reader of bytes, that is all http.client asks for. It reads up to `read_ahead` bytes ahead."""
        if "w" in mode:
            raise ValueError("only for reading")
        with self._lock:
            self._references += 1
        # SocketIO asks for what is here and no more.
        return io.BufferedReader(socket.SocketIO(cast(socket.socket, self), "r"), self.read_ahead)

    def close(self) -> None:
        """As a socket's: the connection ends when the last file made of it is closed, too."""
        self._closing = True
        if self._references <= 0:
            self._end()

    def _decref_socketios(self) -> None:
        with self._lock:
            self._references -= 1
        if self._closing and self._references <= 0:
            self._end()

    def __enter__(self) -> ChannelSocket:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def __del__(self) -> None:
        with suppress(Exception):
            self._end()

    # ---- what a pool asks

    @property
    def usable(self) -> bool:
        """Whether a request can be sent: it is open on both sides, and no bytes are left of what came before."""
        return not (self._closed or self.channel.closed or self.channel.eof_received or self.channel.eof_sent or self._inbox.read_ready())

    def when_closed(self, call: Callable[[], object]) -> None:
        """`call` is called once, when this side closes it (or forgets it)."""
        self._ended = call

    def words(self, patience: float = 5) -> str:
        """What a program that has ended wrote to its standard error."""
        pieces = []
        self.channel.settimeout(patience)
        with suppress(TimeoutError):
            while piece := self.channel.recv_stderr(READ_AHEAD):
                pieces.append(piece)
        return b"".join(pieces).decode(errors="replace").strip()

    # ---- its end

    @property
    def _inbox(self) -> Inbox:
        return cast(Inbox, self.channel.in_buffer)

    @property
    def _properly_ended(self) -> bool:
        """Whether this side or the other has ended the channel, rather than the connection under it."""
        return bool(self._closed or self.channel.eof_received or self.channel.eof_sent or self.channel.hung_up)

    def _broken(self) -> Exception:
        if self.gettimeout() == 0:
            return ConnectionResetError("the SSH connection is lost")
        return self._lost()

    def _end(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self.channel.close()
        self._inbox.close()
        self._inbox.drop()
        if self._ended:
            self._ended()
