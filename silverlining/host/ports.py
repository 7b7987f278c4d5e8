"""Finds out who holds a port of the host, before anything is changed."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from ..model.text import _

Listener = tuple[str, int, str]
EVERYWHERE = ("0.0.0.0", "*", "[::]", "::", "")
# The engine's own program, one for each published port; and what stands for a program that we may not see.
PROXY = "docker-proxy"
NAMELESS = _("a program whose name can't be seen from here")
# A small host has no `ss` (the package iproute2): the kernel tells the ports, but not who listens.
LISTENING = "ss -Hltnp 2>/dev/null || cat /proc/net/tcp /proc/net/tcp6"
LISTENS = "0A"  # TCP_LISTEN, of linux/include/net/tcp_states.h


def holder(listeners: Iterable[Listener], address: str, port: int) -> str:
    """The program that listens on the port where `address` ("" for all) would listen, or "" if it is free."""
    for where, number, who in listeners:
        if number == port and (where in EVERYWHERE or not address or where == address):
            return who or NAMELESS
    return ""


def parse_listeners(text: str) -> list[Listener]:
    """(address, port, program) of each line of what LISTENING gives; the program is "" where we may not see it."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 5 and words[0] == "LISTEN":
            address, _colon, port = words[3].rpartition(":")
            who = re.search(r'\(\("([^"]+)",pid=(\d+)', line)
            if port.isdigit():
                found.append((address.split("%")[0], int(port), f"{who[1]} (pid {who[2]})" if who else ""))
        elif len(words) >= 4 and words[3] == LISTENS:
            packed, _colon, port = words[1].partition(":")
            found.append((_unpacked(packed), int(port, 16), ""))
    return found


def _unpacked(packed: str) -> str:
    """An address of /proc/net/tcp: 32 bits at a time, each in the order of the machine (proc(5)); little-endian on amd64 and arm64."""
    address = ipaddress.ip_address(b"".join(bytes.fromhex(packed[at : at + 8])[::-1] for at in range(0, len(packed), 8)))
    return str(getattr(address, "ipv4_mapped", None) or address)
