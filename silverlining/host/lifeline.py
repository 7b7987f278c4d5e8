"""The connection that is the standard input of the lock's container. Its end is the end of the lock.

A connection to another machine can be dead without anybody being told. So there a thread sends beats, the container ends without them, and
answers each; without answers the holder takes the lock for lost first. Both count from when a beat was sent.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..model.errors import EngineError

if TYPE_CHECKING:
    from docker import APIClient

BEAT = 5.0  # seconds between two beats
SILENCE = 30  # seconds after which the container ends without one
MARGIN = 5.0  # seconds by which the holder gives up earlier
LAST_WORD = 5.0  # seconds for the last word to get through
LATER = (BlockingIOError, TimeoutError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
HEADER = 8  # bytes in front of each piece of output, the last four its size: the engine's attach stream


def now() -> float:
    """Seconds on a clock that nobody sets and that goes on while the machine sleeps, where the system has one."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Lifeline:
    """The holder's end of it. With `silence` (seconds) a beat is sent every `beat` seconds (0: BEAT), and answers expected; with 0 neither.

    The socket may be a real one, TLS's, or what stands for a channel of an SSH connection.
    """

    def __init__(self, client: APIClient, identity: str, silence: int = 0, beat: float = 0) -> None:
        self._raw: Any = client.attach_socket(identity, params={"stdin": 1, "stdout": 1, "stream": 1})
        self._socket: Any = getattr(self._raw, "_sock", self._raw)
        self._socket.settimeout(0)
        self._silence, self._beat_every = silence, beat or BEAT
        self._guard = threading.Lock()
        self._stop = threading.Event()
        self._over = False
        self._output = b""
        self._sent: deque[float] = deque()
        self._heard = now()

    def begin(self) -> None:
        """The container is about to start: from now on beats are due."""
        self._heard = now()
        if self._silence:
            threading.Thread(target=self._beat, name="lock", daemon=True).start()

    def ended(self) -> bool:
        """True when the other side has closed, or hasn't answered for so long that it may be about to."""
        with self._guard:
            self._listen()
            return self._over or (self._silence > 0 and now() - self._heard > self._silence - MARGIN)

    def close(self, last: str = "") -> None:
        """Says the `last` line, if there is one, and ends it for both sides."""
        self._stop.set()
        with self._guard:
            if last and not self._over:
                self._say_last(last.encode("ascii") + b"\n")
            self._over = True
            with suppress(OSError, EOFError, EngineError):
                self._socket.shutdown(socket.SHUT_RDWR)
            with suppress(OSError, EOFError, EngineError):
                self._close()

    def _close(self) -> None:
        response = getattr(self._raw, "_response", None)
        (response or self._socket).close()

    def _say_last(self, words: bytes) -> None:
        with suppress(OSError, EOFError, EngineError):
            self._socket.settimeout(LAST_WORD)
            self._socket.sendall(words)
            # The container ends with it. Before that it could still be dropped with the connection: on the way to another machine,
            # and by an engine 29 here too, which gives up what it has not read yet.
            while self._socket.recv(4096):
                pass

    def _beat(self) -> None:
        going = True
        while going:
            with self._guard:
                going = not self._stop.is_set() and self._send()
            going = going and not self._stop.wait(self._beat_every)

    def _send(self) -> bool:
        self._listen()
        at = now()
        try:
            if not self._over:
                self._socket.send(b"\n")
                self._sent.append(at)
        except LATER:
            pass  # nothing gets through now: if that lasts, it counts as silence
        except (OSError, EOFError):
            self._over = True
        return not self._over

    def _listen(self) -> None:
        """Reads what there is without waiting."""
        while not self._over:
            try:
                data = self._socket.recv(4096)
            except LATER:
                return
            except (OSError, EOFError):
                data = b""
            self._output += data
            self._over = not data
            while len(self._output) >= HEADER and len(self._output) >= (end := HEADER + int.from_bytes(self._output[4:HEADER], "big")):
                for _answer in range(min(self._output[HEADER:end].count(b"\n"), len(self._sent))):
                    self._heard = self._sent.popleft()
                self._output = self._output[end:]
