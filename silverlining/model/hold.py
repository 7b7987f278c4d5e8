"""Ports whose new connections wait for the moment in which the container behind them is replaced: the rules that the host is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .observed import SeenContainer
    from .stack import Container, Stack

SECONDS = 60


@dataclass(frozen=True)
class Hold:
    """Published ports of a stack that are held, by a short-lived container of the image `tools`."""

    stack: str
    tools: str
    ports: tuple[int, ...]

    @classmethod
    def while_replaced(cls, stack: Stack, c: Container, old: SeenContainer) -> Hold | None:
        """The ports that the world sees and that `old` serves now, `c` afterwards; None where there are none."""
        public = tuple(outside for address, outside, _inside in c.ports if not address and outside in old.ports and old.running)
        return cls(stack.name, stack.tools.reference, public) if public else None

    @property
    def table(self) -> str:
        """The name of the table in nftables."""
        return f"silverlining-{self.stack}".replace("-", "_")

    @property
    def begin(self) -> str:
        """What nft is told first. The table is there already or not: both must work. inet is IPv4 and IPv6; `fib` leaves what is only passed on.

        The kernel itself forgets the entries of the set: a tool that dies leaves nothing that blocks.
        """
        table, held = self.table, ", ".join(f"{port} timeout {SECONDS}s" for port in self.ports)
        return (
            f"add table inet {table}; flush table inet {table}; add set inet {table} held {{ type inet_service; flags timeout; }}; "
            f"add chain inet {table} before {{ type filter hook prerouting priority -310; }}; "
            f"add rule inet {table} before fib daddr type local tcp flags & (fin|syn|rst|ack) == syn tcp dport @held drop; "
            f"add element inet {table} held {{ {held} }}"
        )

    @property
    def end(self) -> str:
        """What nft is told at last."""
        return f"delete table inet {self.table}"
