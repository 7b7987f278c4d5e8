"""Moves the Redis master role on purpose, without losing a write, and lets Sentinels forget what no longer stands."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ..host.exec import demand, execute, pause
from ..host.observe import redis_fields
from ..model.errors import Unhealthy
from ..model.stack import Stack, address_of
from ..model.text import _

PAUSE_MS = 8000


def move_master(client: Any, stack: Stack, master: str, target: str, sentinel: str, report: Callable[[str], None]) -> str:
    """Lets `target` (or, if "", any replica) take the role from `master`, and awaits it. Returns the new master's address.

    Writes are held for the moment (CLIENT PAUSE WRITE) until the replicas have everything, so that nothing is lost. The Sentinels
    carry it out where there are any; without them the nodes are told directly. Raises Unhealthy at the deadline.
    """
    report(_("moving the master role"))
    end = time.monotonic() + float(stack.settings.deadline)
    old_address = _address(client, stack, master)
    wanted = _address(client, stack, target) if target else ""
    while True:
        _await_replica(client, stack, master, target, end)
        demand(client, master, "redis-ask", "client", "pause", str(PAUSE_MS), "write")
        try:
            _await_level(client, master, wanted, end)
            address = _by_sentinel(client, sentinel, old_address, end) if sentinel else _by_hand(client, stack, master, target, wanted)
            if address and address != old_address:
                # The Sentinels would tell the old master only after 8 s (4 × SENTINEL_PUBLISH_PERIOD, src/sentinel.c of Redis); writes
                # that it took until then would be lost. It becomes a replica before its clients may write again.
                demand(client, master, "redis-ask", "replicaof", address, "6379")
                demand(client, master, "redis-ask", "config", "rewrite")
        finally:
            execute(client, master, ("redis-ask", "client", "unpause"))
        if address and (not wanted or address == wanted):
            _await_follower(client, master, address, end)
            return address
        if not pause(1.0, end):
            raise Unhealthy(_("the master role did not move from {master}").format(master=master), _("invoke status"))
        if address and address != old_address:
            # Another replica was chosen: the Sentinels' next choice starts from there.
            master = next((c for c in _names(client, stack) if _address(client, stack, c) == address), master)
            old_address = address


def _names(client: Any, stack: Stack) -> list[str]:
    listed = client.containers(filters={"label": f"io.silverlining.stack={stack.name}"})
    return [e["Names"][0].lstrip("/") for e in listed if "-redis-" in e["Names"][0]]


def _address(client: Any, stack: Stack, container: str) -> str:
    network = client.inspect_container(container)["NetworkSettings"]["Networks"][stack.network.name]
    return str(network["IPAddress"] or address_of(stack.network.subnet, 0))


def _info(client: Any, node: str) -> dict[str, str]:
    return redis_fields(execute(client, node, ("redis-ask", "info", "replication")).text)


def _await_replica(client: Any, stack: Stack, master: str, target: str, end: float) -> None:
    """Waits until the target (or any replica) follows with its link up."""
    wanted = _address(client, stack, target) if target else ""
    while True:
        rows = [value for key, value in _info(client, master).items() if key.startswith("slave") and key[5:].isdigit()]
        online = [row for row in rows if "state=online" in row and (not wanted or f"ip={wanted}," in row)]
        if online:
            return
        if not pause(0.2, end):
            raise Unhealthy(_("no replica of {master} is in step, so that its role can't move").format(master=master), _("invoke status"))


def _await_level(client: Any, master: str, wanted: str, end: float) -> None:
    """Waits until replicas have all that the master has written (at most as long as writes are held)."""
    end = min(end, time.monotonic() + PAUSE_MS / 2000)
    while True:
        facts = _info(client, master)
        rows = [value for key, value in facts.items() if key.startswith("slave") and key[5:].isdigit()]
        behind = [row for row in rows if (not wanted or f"ip={wanted}," in row) and f"offset={facts['master_repl_offset']}" not in row]
        if rows and not behind:
            return
        if not pause(0.05, end):
            return


def _by_sentinel(client: Any, sentinel: str, old_address: str, end: float) -> str:
    answer = execute(client, sentinel, ("redis-ask", "-p", "26379", "sentinel", "failover", "master"))
    if "NOGOODSLAVE" in answer.text or "INPROG" in answer.text:
        return ""
    end = min(end, time.monotonic() + 15)
    while True:
        said = execute(client, sentinel, ("redis-ask", "-p", "26379", "sentinel", "get-master-addr-by-name", "master")).text.splitlines()
        if said and said[0] != old_address:
            return said[0]
        if not pause(0.1, end):
            return ""


def _by_hand(client: Any, stack: Stack, master: str, target: str, wanted: str) -> str:
    demand(client, target, "redis-ask", "replicaof", "no", "one")
    demand(client, target, "redis-ask", "config", "rewrite")
    for node in _names(client, stack):
        if node != target:
            demand(client, node, "redis-ask", "replicaof", wanted, "6379")
            demand(client, node, "redis-ask", "config", "rewrite")
    return wanted


def _await_follower(client: Any, node: str, address: str, end: float) -> None:
    """Waits until the node that gave the role up follows the new master."""
    while True:
        facts = _info(client, node)
        if facts.get("master_host") == address and facts.get("master_link_status") == "up":
            return
        if not pause(0.2, end):
            raise Unhealthy(_("{node} does not follow the new master {address}").format(node=node, address=address), _("invoke status"))


def reset_sentinels(client: Any, sentinels: tuple[str, ...], replicas: int, deadline: float, report: Callable[[str], None]) -> None:
    """SENTINEL RESET on one after another, each awaited until it knows all again.

    One at a time, so that the others can still elect (redis.io, Sentinel, "Adding or removing Sentinels").
    """
    for sentinel in sentinels:
        report(_("{sentinel} looks anew").format(sentinel=sentinel))
        demand(client, sentinel, "redis-ask", "-p", "26379", "sentinel", "reset", "master")
        end = time.monotonic() + deadline
        while True:
            lines = execute(client, sentinel, ("redis-ask", "-p", "26379", "sentinel", "master", "master")).text.splitlines()
            facts = dict(zip(lines[::2], lines[1::2], strict=False))
            if facts.get("num-slaves") == str(replicas) and facts.get("num-other-sentinels") == str(len(sentinels) - 1):
                break
            if not pause(0.2, end):
                raise Unhealthy(
                    _("{sentinel} knows {slaves} replicas and {others} other Sentinels, {replicas} and {rest} stand").format(
                        sentinel=sentinel,
                        slaves=facts.get("num-slaves", "?"),
                        others=facts.get("num-other-sentinels", "?"),
                        replicas=replicas,
                        rest=len(sentinels) - 1,
                    ),
                    _("invoke status"),
                )
