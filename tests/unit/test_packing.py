"""What packs a stream for an engine: all of it arrives, in a form that the engine knows, and a fast wire doesn't wait for it."""

from __future__ import annotations

import gzip
import os
import threading
import time
from typing import Any

import pytest
from docker import APIClient

from silverlining.host import packing
from silverlining.host.packing import for_way_to, gzipped
from silverlining.host.ssh.adapter import client_over

PIECES = [b"silverlining " * 5000, b"", os.urandom(70_000), b"x", b"\0" * 1_000_000] * 20


def test_what_is_packed_comes_out_again() -> None:
    """How small it is isn't said: here nothing waits for it."""
    assert gzip.decompress(b"".join(gzipped(PIECES))) == b"".join(PIECES)
    assert gzip.decompress(b"".join(gzipped([b"a"]))) == b"a"


def test_only_what_leaves_this_machine_is_packed() -> None:
    """A socket of this machine, a TCP port, a channel of an SSH connection."""
    unix = APIClient("unix:///nowhere.sock", version="1.41")
    tcp = APIClient("tcp://127.0.0.1:1", version="1.41")
    channel = client_over(lambda: None, False, "1.41", 1)  # type: ignore[arg-type, return-value]
    assert b"".join(for_way_to(unix, [b"a", b"b"])) == b"ab"
    assert [gzip.decompress(b"".join(for_way_to(api, [b"a", b"b"]))) for api in (tcp, channel)] == [b"ab", b"ab"]


def test_a_wire_that_waits_gets_pieces_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where packing holds it up, what comes next isn't packed; where the wire is slow, everything is."""
    levels: list[int] = []
    slow = threading.Event()

    def member(piece: bytes, level: int) -> bytes:
        levels.append(level)
        if level and not slow.is_set():
            time.sleep(0.02)
        return piece

    monkeypatch.setattr(packing, "_member", member)
    monkeypatch.setattr(packing, "BLOCK", 1)
    assert b"".join(gzipped([b"piece"] * 60)) == b"piece" * 60
    assert levels.count(packing.STORED) > 10
    levels.clear()
    slow.set()
    for _piece in gzipped([b"piece"] * 60):
        time.sleep(0.002)
    assert levels.count(packing.STORED) < 5


def test_an_error_of_the_source_comes_through() -> None:
    def broken() -> Any:
        yield b"a" * 1000
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError, match="gone"):
        list(gzipped(broken()))
