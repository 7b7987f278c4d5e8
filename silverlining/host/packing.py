"""Packs a stream on its way to an engine, in what the engine unpacks by itself."""

from __future__ import annotations

import os
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docker import APIClient

ZSTD_API = (1, 42)  # Engine 23. Earlier ones call zstd an invalid tar.
LEVEL = 3
GZIP, STORED, FAST = 31, 0, 1  # zlib's window with a gzip header, and two of its levels
BLOCK = 1 << 18
WORKERS = min(4, os.cpu_count() or 1)

Packing = Callable[[Iterable[bytes]], Iterator[bytes]]


def packing_for(api: APIClient) -> Packing:
    """How to pack what `api`'s engine is to load."""
    major, _dot, minor = api.api_version.partition(".")
    return zstandard if (int(major), int(minor)) >= ZSTD_API else gzipped


def zstandard(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """`pieces` as one zstd frame, packed by several threads."""
    from backports import zstd

    parameter = zstd.CompressionParameter
    options: dict[int, int] = {parameter.compression_level: LEVEL, parameter.checksum_flag: 1, parameter.nb_workers: WORKERS}
    packer = zstd.ZstdCompressor(options=options)
    for piece in pieces:
        if out := packer.compress(piece):
            yield out
    yield packer.flush()


def gzipped(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """`pieces` as gzip members one after the other, each packed by a thread of its own.

    Packing by gzip is slower than a fast network: where the wire waits for it, pieces go as they are until it has caught up.
    """
    ahead: deque[Future[bytes]] = deque()
    level = FAST
    with ThreadPoolExecutor(WORKERS, "gzip") as pool:
        for block in _blocks(pieces):
            ahead.append(pool.submit(_member, block, level))
            if len(ahead) > 2 * WORKERS:
                level = FAST if ahead[0].done() else STORED
                yield ahead.popleft().result()
        for packed in ahead:
            yield packed.result()


def _blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same in pieces of some size: a member has a head, and small ones hardly get smaller."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= BLOCK:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)


def _member(piece: bytes, level: int) -> bytes:
    packer = zlib.compressobj(level, zlib.DEFLATED, GZIP)
    return packer.compress(piece) + packer.flush()
