"""Moves the Redis master role on purpose, without losing a write, and lets Sentinels forget what no longer stands."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ..host.exec import demand, execute, pause
from ..host.redis_facts import REPLICATION, SENTINEL_MASTER, redis_fields, sentinel_rows
from ..model.errors import Unhealthy
from ..model.stack import Stack, address_of
from ..model.text import _
from .sentinels import attentive, master_of, replicas_of, running

PAUSE_MS = 8000
STALE = 12.0  # seconds: a Sentinel of before Redis 7 asks a replica for its role every 10


def move_master(client: Any, stack: Stack, master: str, target: str, sentinel: str, report: Callable[[str], None]) -> str:
    """Lets `target` (or, if "", any replica) take the role from `master`, and awaits it. Returns the new master's address.

    Writes are held (CLIENT PAUSE WRITE) until the replicas have everything, the role has moved and the old master follows, so that
    nothing is lost. The Sentinels carry it out where there are any; without them the nodes are told directly. Raises Unhealthy.
    """
    report(_("moving the master role"))
    with attentive(client, running(client, stack.name) if sentinel else ()):
        return _move(client, stack, master, target, sentinel)


def _move(client: Any, stack: Stack, master: str, target: str, sentinel: str) -> str:
    end = time.monotonic() + float(stack.settings.deadline)
    wanted = _address(client, stack, target) if target else ""
    while True:
        _await_replicas(client, master, wanted, end)
        if sentinel:
            _await_candidates(client, sentinel, master, end)
            _await_fresh(client, stack, min(end, time.monotonic() + STALE))
        address = _hand_over(client, stack, master, target, wanted, sentinel, end)
        if address and (not wanted or address == wanted):
            _await_follower(client, master, address, end)
            _await_agreement(client, stack, address, end)
            _gather(client, stack, address, end)
            return address
        if not pause(1.0, end):
            raise Unhealthy(_("the master role did not move from {master}").format(master=master), _("invoke status"))
        if address:
            # Another replica was chosen: the Sentinels' next choice starts from there.
            master = next((c for c in _names(client, stack) if _address(client, stack, c) == address), master)


def _hand_over(client: Any, stack: Stack, master: str, target: str, wanted: str, sentinel: str, end: float) -> str:
    """One try. Returns the new master's address, "" if the role stayed."""

    def hold() -> None:
        demand(client, master, "redis-ask", "client", "pause", str(PAUSE_MS), "write")

    hold()
    try:
        if not _level(client, master, wanted, end):
            return ""
        old = _address(client, stack, master)
        address = _by_sentinel(client, sentinel, old, hold, end) if sentinel else _by_hand(client, stack, master, target, wanted)
        if address:
            # The Sentinels would tell the old master only after 8 s (4 × SENTINEL_PUBLISH_PERIOD, src/sentinel.c of Redis); writes
            # that it took until then would be lost. It becomes a replica before its clients may write again.
            demand(client, master, "redis-ask", "replicaof", address, "6379")
            demand(client, master, "redis-ask", "config", "rewrite")
        return address
    finally:
        execute(client, master, ("redis-ask", "client", "unpause"))


def _names(client: Any, stack: Stack) -> list[str]:
    listed = client.containers(filters={"label": f"io.silverlining.stack={stack.name}"})
    return [e["Names"][0].lstrip("/") for e in listed if "-redis-" in e["Names"][0]]


def _address(client: Any, stack: Stack, container: str) -> str:
    network = client.inspect_container(container)["NetworkSettings"]["Networks"][stack.network.name]
    return str(network["IPAddress"] or address_of(stack.network.subnet, 0))


def _info(client: Any, node: str) -> dict[str, str]:
    return redis_fields(execute(client, node, REPLICATION).text)


def _online(client: Any, master: str) -> set[str]:
    """The addresses of the replicas that are in step with the master."""
    rows = [value for key, value in _info(client, master).items() if key.startswith("slave") and key[5:].isdigit() and "state=online" in value]
    return {field.removeprefix("ip=") for row in rows for field in row.split(",") if field.startswith("ip=")}


def _await_replicas(client: Any, master: str, wanted: str, end: float) -> None:
    """Waits until `wanted` (or any replica) follows with its link up."""
    while not ((found := _online(client, master)) and (not wanted or wanted in found)):
        if not pause(0.2, end):
            raise Unhealthy(_("no replica of {master} is in step, so that its role can't move").format(master=master), _("invoke status"))


def _await_candidates(client: Any, sentinel: str, master: str, end: float) -> None:
    """Waits until the Sentinel would choose among the replicas that are in step: not one that is gone, and has not been missed yet."""
    told = False
    while True:
        rows = replicas_of(client, sentinel)
        good = {row.get("ip", "") for row in rows if row.get("flags") == "slave" and row.get("master-link-status") == "ok"}
        alive = {row.get("ip", "") for row in rows if row.get("flags") == "slave"}
        online = _online(client, master)
        if good == alive == online:
            return
        if not told and alive != online:
            demand(client, sentinel, "redis-ask", "-p", "26379", "sentinel", "reset", "master")
            told = True
        if not pause(0.1, end):
            raise Unhealthy(_("{sentinel} does not see the replicas that stand").format(sentinel=sentinel), _("invoke status"))


def _await_fresh(client: Any, stack: Stack, end: float) -> None:
    """Waits until no Sentinel remembers a replica as a master, as right after another failover.

    One that does would take the node that is promoted now for a master that has been wrong for long, and make it a replica again
    (+convert-to-slave). If it stays so, it is another matter, and the move goes on.
    """
    while any(row.get("role-reported") == "master" for name in running(client, stack.name) for row in replicas_of(client, name)):
        if not pause(0.5, end):
            return


def _level(client: Any, master: str, wanted: str, end: float) -> bool:
    """Whether the replicas come to have all that the master has written, while writes are held."""
    end = min(end, time.monotonic() + PAUSE_MS / 2000)
    while True:
        facts = _info(client, master)
        rows = [value for key, value in facts.items() if key.startswith("slave") and key[5:].isdigit()]
        behind = [row for row in rows if (not wanted or f"ip={wanted}," in row) and f"offset={facts['master_repl_offset']}," not in row]
        if rows and not behind:
            return True
        if not pause(0.05, end):
            return False


def _by_sentinel(client: Any, sentinel: str, old_address: str, hold: Callable[[], None], end: float) -> str:
    """Lets the Sentinel choose. A failover that is going on is awaited, whoever began it: writes stay held until it is over."""
    answer = execute(client, sentinel, ("redis-ask", "-p", "26379", "sentinel", "failover", "master"))
    if answer.text.strip() != "OK" and "INPROG" not in answer.text:
        return ""
    while True:
        flags = master_of(client, sentinel).get("flags", "")
        said = execute(client, sentinel, ("redis-ask", "-p", "26379", "sentinel", "get-master-addr-by-name", "master")).text.splitlines()
        if said and said[0] != old_address:
            return said[0]
        if flags and "failover_in_progress" not in flags:
            return ""
        hold()
        if not pause(0.1, end):
            raise Unhealthy(_("the Sentinels did not end their failover"), _("invoke status"))


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


def _gather(client: Any, stack: Stack, address: str, end: float) -> None:
    """Every replica follows the new master: the Sentinels tell only those that they know, and one that came a moment ago may be none of them."""
    for node in _names(client, stack):
        facts = _info(client, node)
        if facts.get("role") == "slave" and facts.get("master_host") != address:
            demand(client, node, "redis-ask", "replicaof", address, "6379")
            demand(client, node, "redis-ask", "config", "rewrite")
            _await_follower(client, node, address, end)


def _await_agreement(client: Any, stack: Stack, address: str, end: float) -> None:
    """Waits until all Sentinels that answer name the new master and none is still at work: a node that starts now asks any of them."""
    for sentinel in running(client, stack.name):
        while True:
            answer = execute(client, sentinel, SENTINEL_MASTER)
            facts = next(iter(sentinel_rows(answer)), {})
            if not answer.ok or (facts.get("ip") == address and "failover_in_progress" not in facts.get("flags", "")):
                break
            if not pause(0.1, end):
                words = _("{sentinel} does not name the new master {address}").format(sentinel=sentinel, address=address)
                raise Unhealthy(words, _("invoke status"))


def reset_sentinels(client: Any, sentinels: tuple[str, ...], replicas: int, deadline: float, report: Callable[[str], None]) -> None:
    """SENTINEL RESET on one after another, each awaited until it knows all again.

    One at a time, so that the others can still elect (redis.io, Sentinel, "Adding or removing Sentinels").
    """
    with attentive(client, sentinels):
        for sentinel in sentinels:
            report(_("{sentinel} looks anew").format(sentinel=sentinel))
            demand(client, sentinel, "redis-ask", "-p", "26379", "sentinel", "reset", "master")
            end = time.monotonic() + deadline
            while True:
                facts = master_of(client, sentinel)
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
                        _("run the same command again; `invoke status` shows who sees what"),
                    )
