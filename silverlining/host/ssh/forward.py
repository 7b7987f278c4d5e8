"""A port of the host's loopback as a port of this machine's, over the connection that is open."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any

from paramiko import SSHException

from ...model.errors import SilverliningError
from ...model.text import _

if TYPE_CHECKING:
    from .link import Link

CHUNK = 65536  # bytes
# How a socket ends here, and a channel: LinkLost, or under the hands of who sends, what paramiko raises.
ENDS = (OSError, EOFError, SSHException, SilverliningError)


class Forward:
    """A context manager. Raises SilverliningError where no port is free.

    Fabric's own `forward_local` wants a number that is known to be free, and ends at the first client that can't be served.
    """

    def __init__(self, link: Link, port: int) -> None:
        self._link, self._outside = link, port
        self._listener = _listen(port)
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Forward:
        threading.Thread(target=self._accept, name=f"forward {self.port}", daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with suppress(OSError):  # wakes the thread that accepts
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _address = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            try:
                there = self._link.tcp("127.0.0.1", self._outside)
            except (OSError, SilverliningError):
                return  # refused, or the connection is lost: the end of its own tells the client
            back = threading.Thread(target=_pump, args=(there, client), daemon=True)
            back.start()
            _pump(client, there)
            back.join()
            with suppress(*ENDS):
                there.close()


def _listen(port: int) -> socket.socket:
    for number in (port, 0):
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind(("127.0.0.1", number))
        except OSError:
            made.close()
            continue
        made.listen(64)
        return made
    raise SilverliningError(_("this machine has no free port"), _("`ss -lt` shows who listens"))


def _pump(source: Any, target: Any) -> None:
    """Carries bytes one way until the source ends, and says so to the other side. A connection that is lost is the end of both."""
    with suppress(*ENDS):
        while data := source.recv(CHUNK):
            target.sendall(data)
    with suppress(*ENDS):
        target.shutdown(socket.SHUT_WR)
