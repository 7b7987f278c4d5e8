"""Where a stack is opened: the address and port at which it serves."""

from __future__ import annotations

from .stack import Stack


def entry_of(stack: Stack) -> tuple[str, int, str] | None:
    """(address, port, path) by which the stack is asked whether it serves, without changing anything; None if nothing serves."""
    if stack.topology.entry is None:
        return None
    setting, path = stack.topology.entry
    return ("127.0.0.1", getattr(stack.settings.ports, setting), path) if setting else (stack.vip, 8000, path)


def url_of(stack: Stack) -> str:
    """The address to open; "" if nothing serves."""
    entry = entry_of(stack)
    if entry is None:
        return ""
    address, port, _path = entry
    host = "localhost" if address == "127.0.0.1" else address
    return f"http://{host}/" if port == 80 else f"http://{host}:{port}/"
