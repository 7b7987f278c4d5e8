"""The relay: what goes in comes out, later; a cut is a reset; silence is no end."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from .relay import Relay


@pytest.fixture
def echo() -> Iterator[tuple[str, int]]:
    """A server that sends back what it gets, until its client's end, and says goodbye then."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(link: socket.socket) -> None:
        with link:
            try:
                while data := link.recv(65536):
                    link.sendall(data)
                link.sendall(b"bye")
            except OSError:
                return

    def accept() -> None:
        while True:
            try:
                link, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(link,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield listener.getsockname()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


def dial(relay: Relay) -> socket.socket:
    """A connection to the relay that gives up after five seconds."""
    return socket.create_connection((relay.address, relay.port), timeout=5)


def test_round_trip_takes_longer_and_bulk_does_not(echo: tuple[str, int]) -> None:
    """20 ms more for an answer, not for each piece of a stream; the end of one direction is handed on as that."""
    with Relay(echo, round_trip=0.02) as relay, dial(relay) as link:
        times = []
        for _ in range(10):
            began = time.monotonic()
            link.sendall(b"ping")
            assert link.recv(10) == b"ping"
            times.append(time.monotonic() - began)
        assert 0.02 <= min(times) < 0.04
        data = bytes(range(256)) * 40_000
        began = time.monotonic()
        threading.Thread(target=lambda: (link.sendall(data), link.shutdown(socket.SHUT_WR))).start()
        got = b"".join(iter(lambda: link.recv(1 << 20), b""))
        assert got == data + b"bye" and time.monotonic() - began < 2


def test_cut_is_a_reset(echo: tuple[str, int]) -> None:
    """Every standing connection ends by a reset, on both sides; the next one is served."""
    with Relay(echo) as relay:
        with dial(relay) as one, dial(relay) as two:
            for link in (one, two):
                link.sendall(b"ping")
                assert link.recv(10) == b"ping"
            assert relay.open == 2 and relay.cut() == 2
            for link in (one, two):
                with pytest.raises(ConnectionResetError):
                    link.recv(10)
        with dial(relay) as link:
            link.sendall(b"again")
            assert link.recv(10) == b"again" and relay.accepted == 3


def test_frozen_nothing_comes_and_nothing_ends(echo: tuple[str, int]) -> None:
    """A frozen relay is silent for standing connections and for new ones, then hands on what it has held."""
    with Relay(echo) as relay, dial(relay) as old:
        old.sendall(b"ping")
        assert old.recv(10) == b"ping"
        relay.freeze()
        old.sendall(b"held")
        new = dial(relay)
        new.sendall(b"new")
        for link in (old, new):
            link.settimeout(0.3)
            with pytest.raises(TimeoutError):
                link.recv(10)
            link.settimeout(5)
        relay.thaw()
        assert old.recv(10) == b"held" and new.recv(10) == b"new"
        new.close()


def test_a_target_that_is_not_there() -> None:
    """Where nothing listens behind it, a connection ends at once."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        target = free.getsockname()
    with Relay(target) as relay, dial(relay) as link, suppress(ConnectionResetError):
        assert link.recv(10) == b""
