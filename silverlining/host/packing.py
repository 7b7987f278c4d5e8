"""Packs a stream on its way to an engine, in what the engine unpacks by itself.

By gzip, though engines from 23 on know zstd, too: one that stops reading a zstd stream before its end, because its disk is full or because
what sends it is interrupted, may end with all that runs under it. The thread that unpacks goes on and finds its buffer gone (nil pointer in
klauspost/compress/zstd under moby's DecompressStream, seen with 26.1.5).
"""

from __future__ import annotations

import os
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docker import APIClient

GZIP, STORED, FAST = 31, 0, 1  # zlib's window with a gzip header, and two of its levels
BLOCK = 1 << 18
WORKERS = min(4, os.cpu_count() or 1)


def for_way_to(api: APIClient, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """`pieces` as they are to an engine on this machine, packed to any other."""
    from docker.transport import UnixHTTPAdapter

    return iter(pieces) if isinstance(api.get_adapter(api.base_url), UnixHTTPAdapter) else gzipped(pieces)


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
