"""Finds out who holds a port of the host, before anything is changed."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..model.text import _

Listener = tuple[str, int, str]
EVERYWHERE = ("0.0.0.0", "*", "[::]", "::", "")
# The engine's own program, one for each published port; and what stands for a program that we may not see.
PROXY = "docker-proxy"
NAMELESS = _("a program of another user")


def holder(listeners: Iterable[Listener], address: str, port: int) -> str:
    """The program that listens on the port where `address` ("" for all) would listen, or "" if it is free."""
    for where, number, who in listeners:
        if number == port and (where in EVERYWHERE or not address or where == address):
            return who or NAMELESS
    return ""


def parse_ss(text: str) -> list[Listener]:
    """(address, port, program) of each line of `ss -Hltnp`; the program is "" where we may not see it."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 5 or words[0] != "LISTEN":
            continue
        address, _colon, port = words[3].rpartition(":")
        who = re.search(r'\(\("([^"]+)",pid=(\d+)', line)
        if port.isdigit():
            found.append((address.split("%")[0], int(port), f"{who[1]} (pid {who[2]})" if who else ""))
    return found
