"""What Sentinels say, and how they look more often than usual while somebody waits for what they see."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from ..host.exec import execute
from ..host.redis_facts import SENTINEL_MASTER, sentinel_rows
from ..model import labels

USUAL, OFTEN = 10_000, 1_000  # milliseconds between two INFO of a Sentinel to a node; OFTEN is what it does by itself during a failover


@contextmanager
def attentive(client: Any, names: Iterable[str]) -> Iterator[None]:
    """Inside the block these Sentinels ask the nodes for their roles and replicas every second instead of every 10.

    SENTINEL DEBUG INFO-PERIOD came with Redis 7.0 (its release notes, and sentinelSetDebugConfigParameters in src/sentinel.c). An older one
    refuses, and what is awaited comes later. The period lives in the process: a Sentinel that starts anew has the usual one.
    """
    names = list(names)

    def every(milliseconds: int) -> None:
        argv = ("redis-ask", "-p", "26379", "sentinel", "debug", "info-period", str(milliseconds))
        with ThreadPoolExecutor(max(1, len(names))) as pool:
            list(pool.map(lambda name: execute(client, name, argv), names))

    try:
        every(OFTEN)
        yield
    finally:
        every(USUAL)


def running(client: Any, stack: str) -> list[str]:
    """The Sentinels of a stack that run, by name."""
    listed = client.containers(filters={"label": [f"{labels.STACK}={stack}", f"{labels.SERVICE}=sentinel"], "status": "running"})
    return [entry["Names"][0].lstrip("/") for entry in listed]


def master_of(client: Any, sentinel: str) -> dict[str, str]:
    """What a Sentinel says of the master, by field; empty if it doesn't answer."""
    return next(iter(sentinel_rows(execute(client, sentinel, SENTINEL_MASTER))), {})


def replicas_of(client: Any, sentinel: str) -> list[dict[str, str]]:
    """What a Sentinel says of each replica that it knows, by field; empty if it doesn't answer."""
    return sentinel_rows(execute(client, sentinel, ("redis-ask", "-p", "26379", "sentinel", "replicas", "master")))
