"""What packs a stream for an engine: all of it arrives, in a form that the engine knows, and a fast wire doesn't wait for it."""

from __future__ import annotations

import gzip
import os
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
from backports import zstd

from silverlining.host import packing
from silverlining.host.packing import gzipped, packing_for, zstandard

PIECES = [b"silverlining " * 5000, b"", os.urandom(70_000), b"x", b"\0" * 1_000_000] * 20


def test_what_is_packed_comes_out_again() -> None:
    """Of gzip it isn't said how small it is: here nothing waits for it."""
    whole = b"".join(PIECES)
    assert len(b"".join(zstandard(PIECES))) < len(whole) / 5
    for packed, unpack in ((gzipped, gzip.decompress), (zstandard, zstd.decompress)):
        data = b"".join(packed(PIECES))
        assert unpack(data) == whole
    assert gzip.decompress(b"".join(gzipped([b"a"]))) == b"a" and zstd.decompress(b"".join(zstandard([]))) == b""


@pytest.mark.parametrize(("version", "way"), (("1.41", gzipped), ("1.42", zstandard), ("1.45", zstandard)))
def test_an_engine_gets_what_it_unpacks(version: str, way: Any) -> None:
    """Docker 20.10 takes zstd for a broken tar."""
    assert packing_for(SimpleNamespace(api_version=version)) is way  # type: ignore[arg-type]


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

    for way in (gzipped, zstandard):
        with pytest.raises(ConnectionError, match="gone"):
            list(way(broken()))
