"""Holds new connections to a published port back for the moment in which its container is replaced.

Two containers can't publish one port, so between the old one's stop and the new one's start a client would be refused. While the
port is held, the docker host drops the first packet (SYN) of new connections instead: clients send it again after 1, 3 and 7 seconds
by themselves, and find the new container. Connections that stand are not touched: the old container ends them in its own way.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..host.helpers import run_helper
from ..model.errors import Unhealthy
from ..model.hold import Hold


@contextmanager
def held(client: Any, hold: Hold | None) -> Iterator[bool]:
    """The ports are held inside the block; gives False where there are none or the host can't (no nftables in its kernel)."""
    if hold is None:
        yield False
        return
    try:
        _nft(client, hold, hold.begin)
    except Unhealthy:
        yield False
        return
    try:
        yield True
    finally:
        _nft(client, hold, hold.end)


def _nft(client: Any, hold: Hold, words: str) -> None:
    run_helper(client, hold.stack, hold.tools, ["nft", words], network="host", cap_add=["NET_ADMIN"])
