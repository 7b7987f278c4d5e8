"""Where a stack is opened: the address and port at which it serves."""

from __future__ import annotations

from .stack import Stack

Entry = tuple[str, int, str]


def entry_of(stack: Stack) -> Entry | None:
    """(address, port, path) by which the stack is asked whether it serves, without changing anything; None if nothing serves.

    Nothing serves, too, where a stack was cut down to the containers that stand and the one with the port is not among them.
    The address is as host/host.py's `get` takes it: "" for a public port, the loopback's or the virtual one else.
    """
    if stack.topology.entry is None:
        return None
    setting, path = stack.topology.entry
    if not setting:
        return stack.vip, 8000, path
    port = getattr(stack.settings.ports, setting)
    addresses = [address for c in stack.containers for address, outside, _inside in c.ports if outside == port]
    return (addresses[0], port, path) if addresses else None


def url_of(stack: Stack, host: str = "localhost") -> str:
    """The address to open, on the host or (a public port) on whatever reaches it as `host`; "" if nothing serves."""
    entry = entry_of(stack)
    return address_of(entry, "/", host) if entry else ""


def address_of(entry: Entry, path: str, host: str = "localhost") -> str:
    """The address of a page where an entry is; `host` stands for a public one."""
    address, port, _path = entry
    name = {"": host, "127.0.0.1": "localhost"}.get(address, address)
    return f"http://{name}{path}" if port == 80 else f"http://{name}:{port}{path}"
