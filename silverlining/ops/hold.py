"""Holds new connections to a published port back for the moment in which its container is replaced.

Two containers can't publish one port, so between the old one's stop and the new one's start a client would be refused. While the
port is held, the docker host drops the first packet (SYN) of new connections instead: clients send it again after 1, 3 and 7 seconds
by themselves, and find the new container. Connections that stand are not touched: the old container ends them in its own way.
The rule is a set in nftables whose entries the kernel itself forgets, so that a tool that dies leaves nothing that blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..host.helpers import run_helper
from ..model.errors import Unhealthy

SECONDS = 60


def rules(table: str, ports: tuple[int, ...]) -> str:
    """What nft is told. The table is there already or not: both must work. inet is IPv4 and IPv6; `fib` leaves what is only passed on."""
    held = ", ".join(f"{port} timeout {SECONDS}s" for port in ports)
    return (
        f"add table inet {table}; flush table inet {table}; add set inet {table} held {{ type inet_service; flags timeout; }}; "
        f"add chain inet {table} before {{ type filter hook prerouting priority -310; }}; "
        f"add rule inet {table} before fib daddr type local tcp flags & (fin|syn|rst|ack) == syn tcp dport @held drop; "
        f"add element inet {table} held {{ {held} }}"
    )


@contextmanager
def held(client: Any, stack: str, tools: str, ports: tuple[int, ...]) -> Iterator[bool]:
    """The ports are held inside the block; gives False where the host can't (no nftables in its kernel), and then nothing is."""
    table = f"silverlining-{stack}".replace("-", "_")

    def nft(words: str) -> None:
        run_helper(client, stack, tools, ["nft", words], network="host", cap_add=["NET_ADMIN"])

    try:
        nft(rules(table, ports))
    except Unhealthy:
        yield False
        return
    try:
        yield True
    finally:
        nft(f"delete table inet {table}")
