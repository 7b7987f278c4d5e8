"""What Redis and the Sentinels need while Compose runs them: the role on the node that stays, replicas attached, no ghosts."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..host.exec import execute, pause
from ..host.redis_facts import SENTINEL_MASTER, sentinel_view
from ..model import actions as do
from ..model.commands import Argv, commands
from ..model.errors import Unhealthy
from ..model.observed import Observed
from ..model.plan_redis import ANCHOR
from ..model.stack import Stack
from ..model.text import _
from .apply import Applier
from .readiness import Report
from .sentinels import attentive

# Seconds. A Sentinel of before Redis 7 asks a node for its replicas every 10 s; a new one finds the others by their greetings, every 2 s.
PATIENCE = 12.0


def role_to_anchor(applier: Applier, stack: Stack, seen: Observed, show: Callable[[Argv], bool], report: Report) -> None:
    """The master role moves to redis-master-1, awaited, if another node has it."""
    anchor = stack.of(ANCHOR)[0].name
    if not seen.master or seen.master == anchor or anchor not in seen.redis:
        return
    action = do.MoveMaster(seen.master, anchor, next(iter(seen.sentinels), ""))
    for argv in commands(action):
        show(argv)
    applier.apply(action, report)


def mend_redis(applier: Applier, stack: Stack, seen: Observed, show: Callable[[Argv], bool], report: Report) -> None:
    """Each node follows the master, and each Sentinel knows exactly what stands. Raises Unhealthy at the deadline."""
    master = seen.container(seen.master)
    if master is None:
        return
    for name, node in seen.redis.items():
        if name == seen.master:
            continue
        if node.role == "master" or node.master != master.address:
            action = do.AttachReplica(name, master.address)
            for argv in commands(action):
                show(argv)
            applier.apply(action, report)
        elif not node.link_up:
            applier.await_link(name, master.address, report)
    sentinels = tuple(c.name for c in stack.of("sentinel") if c.name in seen.sentinels)
    if not sentinels:
        return
    replicas = len(seen.redis) - 1
    with attentive(applier.client, sentinels):
        known = _know(applier, sentinels, master.address, replicas)
    if not known:
        action_ = do.ResetSentinels(sentinels, replicas)
        for argv in commands(action_):
            show(argv)
        applier.apply(action_, report)


def _know(applier: Applier, sentinels: tuple[str, ...], address: str, replicas: int) -> bool:
    """Whether the Sentinels come to know all that stands by themselves. What they know too much they forget only when told to."""
    end = time.monotonic() + PATIENCE
    right = (address, len(sentinels) - 1, replicas)
    while True:
        views = [sentinel_view(execute(applier.client, name, SENTINEL_MASTER)) for name in sentinels]
        known = [(view.master, view.sentinels, view.replicas) if view else ("", 0, 0) for view in views]
        if all(one == right for one in known):
            return True
        if wrong := [one[0] for one in known if one[0] not in ("", address)]:
            if not pause(0.2, end):
                raise Unhealthy(_("the Sentinels name {wrong} as master, it is {address}").format(wrong=wrong[0], address=address), "invoke status")
            continue
        if any(one[1] > right[1] or one[2] > right[2] for one in known) or not pause(0.2, end):
            return False
