"""The lock's connection without an engine: real sockets, and what stands for a channel of an SSH connection."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from silverlining.host import lifeline
from silverlining.host.lifeline import Lifeline


def until(true: Callable[[], bool], seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


class Channel:
    """As paramiko's: a time-out when there is nothing to read, OSError once it is closed, no file number."""

    def __init__(self, real: socket.socket) -> None:
        self._real, self._closed = real, False

    def settimeout(self, seconds: float) -> None:
        self._real.settimeout(seconds)

    def recv(self, size: int) -> bytes:
        try:
            return b"" if self._closed else self._real.recv(size)
        except BlockingIOError:
            raise TimeoutError from None

    def send(self, data: bytes) -> int:
        if self._closed:
            raise OSError("Socket is closed")
        return self._real.send(data)

    def sendall(self, data: bytes) -> None:
        if self._closed:
            raise OSError("Socket is closed")
        self._real.sendall(data)

    def shutdown(self, how: int) -> None:
        self._real.shutdown(how)

    def close(self) -> None:
        self._closed = True
        self._real.close()


def plain(real: socket.socket) -> Any:
    """As docker-py hands out what it has of a Unix socket."""
    return SimpleNamespace(_sock=real, _response=real)


def channel(real: socket.socket) -> Any:
    """As it hands out what an adapter of ours has made."""
    return SimpleNamespace(_sock=Channel(real))


WAYS = pytest.mark.parametrize("way", [plain, channel])


def pair(way: Callable[[socket.socket], Any], silence: int = 0, beat: float = 0.05) -> tuple[Lifeline, socket.socket]:
    ours, theirs = socket.socketpair()
    theirs.settimeout(5)
    return Lifeline(cast(Any, SimpleNamespace(attach_socket=lambda *_a, **_k: way(ours))), "id", silence, beat), theirs


def answer(theirs: socket.socket, count: int = 1) -> None:
    """As the engine passes on what the container has said."""
    theirs.sendall(b"\x01\0\0\0" + count.to_bytes(4, "big") + b"\n" * count)


@WAYS
def test_a_holder_here_sends_nothing_and_ends_with_its_connection(way: Any) -> None:
    line, theirs = pair(way)
    line.begin()
    assert not line.ended()
    theirs.setblocking(False)
    with pytest.raises(BlockingIOError):
        theirs.recv(1)
    theirs.close()
    assert line.ended()
    line.close("too late")


@WAYS
def test_the_last_word_comes_before_the_end(way: Any) -> None:
    line, theirs = pair(way)
    line.begin()
    line.close('"event":"done"}')
    assert theirs.recv(100) == b'"event":"done"}\n' and theirs.recv(100) == b""
    assert line.ended()


@WAYS
def test_beats_are_sent_and_their_answers_keep_it(way: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr(lifeline, "now", lambda: clock[0])
    line, theirs = pair(way, silence=30)
    line.begin()

    def echo() -> None:
        while theirs.recv(1):
            answer(theirs)

    threading.Thread(target=echo, daemon=True).start()
    for _beat in range(5):
        until(lambda: not line.ended() and line._heard == clock[0])
        clock[0] += 20
    line.close()


def test_answers_are_read_in_whatever_pieces_they_come() -> None:
    line, theirs = pair(plain, silence=30, beat=60)
    line._sent.extend([1.0, 2.0, 3.0, 4.0])
    for byte in b"\x01\0\0\0\0\0\0\x01\n" + b"\x01\0\0\0\0\0\0\x02\n\n":
        theirs.sendall(bytes([byte]))
        line._listen()
    assert list(line._sent) == [4.0] and line._heard == 3.0
    answer(theirs, 10)  # ten newlines, whose size looks like one itself
    line._listen()
    assert not line._sent and line._heard == 4.0 and not line._over
    line.close()


def test_without_answers_it_is_lost_before_the_container_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr(lifeline, "now", lambda: clock[0])
    line, theirs = pair(plain, silence=30)
    line.begin()
    assert theirs.recv(1) == b"\n"
    clock[0] += 24.9
    assert not line.ended()
    clock[0] += 0.2
    assert line.ended()
    line.close()


def test_the_time_of_a_beat_counts_from_when_it_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that comes late says nothing of now: the container may have ended since."""
    clock = [1000.0]
    monkeypatch.setattr(lifeline, "now", lambda: clock[0])
    line, theirs = pair(plain, silence=30, beat=60)
    line.begin()
    assert theirs.recv(1) == b"\n"
    clock[0] += 35
    answer(theirs)
    assert line.ended()
    line.close()


def test_a_connection_that_takes_nothing_is_no_error_yet() -> None:
    line, _theirs = pair(plain, silence=30, beat=60)
    line._socket.setblocking(False)
    with pytest.raises(BlockingIOError):
        while True:
            line._socket.send(b"\n" * 4096)
    assert line._send() and not line._sent and not line.ended()
    line.close()


@WAYS
def test_a_connection_that_was_closed_here_is_lost(way: Any) -> None:
    line, theirs = pair(way, silence=30)
    line.begin()
    assert theirs.recv(1) == b"\n"
    line._socket.close()
    until(line.ended)
    line.close("last")


def test_from_afar_the_last_word_is_seen_through() -> None:
    line, theirs = pair(plain, silence=30, beat=60)
    assert not line.ended()
    got: list[bytes] = []

    def keep() -> None:
        got.append(theirs.recv(100))
        time.sleep(0.2)
        theirs.close()

    other = threading.Thread(target=keep)
    other.start()
    begin = time.monotonic()
    line.close("done")
    assert time.monotonic() - begin >= 0.19 and got == [b"done\n"]
    other.join()
