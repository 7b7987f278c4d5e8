"""The part of the plan that keeps Redis' data: the master role moves, awaited, before its node stops; nobody starts over newer data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .actions import Action, AttachReplica, ForgetMaster, MoveMaster, Remove, Replace, ResetSentinels, Run, SeedReplica
from .observed import Observed
from .stack import Container, Stack

if TYPE_CHECKING:
    from .plan import Draft

ANCHOR = "redis-master"


def plan_redis(draft: Draft, stack: Stack, seen: Observed, spares: Mapping[str, Container]) -> None:
    """Adds to the draft what the Redis nodes and Sentinels need beyond running."""
    if not stack.topology.has(ANCHOR):
        return
    nodes = {c.name: c for service in (ANCHOR, "redis-slave") for c in stack.of(service)}
    holder = seen.master or _sleeping_holder(seen)
    if not holder:
        return
    live = bool(seen.master)
    address = _address(holder, nodes, seen, spares)
    if not live and holder not in nodes:
        _wake(draft, holder, spares)
    _seed(draft, nodes, seen, holder, address)
    _attach(draft, nodes, seen, holder, address)
    leaving = draft.actions.get(f"Remove:{holder}") or draft.actions.get(f"Replace:{holder}")
    if leaving:
        _move_away(draft, stack, seen, nodes, holder, leaving)
    _forget(draft, stack, seen)


def _sleeping_holder(seen: Observed) -> str:
    """The node whose stopped volume holds the newest data: a master by its own word, the one with the largest offset; "" if none."""
    best = max(seen.sleeping.items(), key=lambda item: (item[1].role == "master", item[1].offset), default=None)
    return best[0] if best else ""


def _address(name: str, nodes: Mapping[str, Container], seen: Observed, spares: Mapping[str, Container]) -> str:
    old = seen.container(name)
    if old and old.address:
        return old.address
    return (nodes.get(name) or spares[name]).address


def _wake(draft: Draft, holder: str, spares: Mapping[str, Container]) -> None:
    """A node that the topology doesn't have holds the newest data: it runs until it has handed it over."""
    spare = spares[holder]
    old = draft.seen.container(holder)
    draft.actions.pop(f"Remove:{holder}", None)
    from .actions import Start
    from .observed import SeenContainer

    run: Action = draft.add(Start(spare) if old else Run(spare))
    draft.rest_on_foundations(run, spare)
    stand_in = old or SeenContainer("", spare.name, spare.service, spare.index, spare.spec, spare.step, "running", "", spare.address, "")
    removal = draft.add(Remove(stand_in, grace=spare.stop_grace))
    draft.need(removal, run)


def _seed(draft: Draft, nodes: Mapping[str, Container], seen: Observed, holder: str, address: str) -> None:
    """A node that would start as a master beside the one that holds the data is told before its start whose replica it is."""
    for name, node in nodes.items():
        change = draft.change_of(name)
        if name == holder or not change or name in seen.redis:
            continue
        asleep = seen.sleeping.get(name)
        if asleep and asleep.role == "slave" and asleep.master == address:
            continue
        seed = draft.add(SeedReplica(name, node.image, address))
        draft.need(seed, draft.actions.get(f"CreateVolume:{name}"))
        draft.need(change, seed)
        if not seen.master:
            draft.need(change, draft.change_of(holder))


def _attach(draft: Draft, nodes: Mapping[str, Container], seen: Observed, holder: str, address: str) -> None:
    """A node that runs but follows nobody, or somebody else, is attached to the master."""
    if holder != seen.master:
        return
    for name in nodes:
        node = seen.redis.get(name)
        if node and name != holder and (node.role == "master" or node.master != address):
            attach = draft.add(AttachReplica(name, address))
            draft.need(attach, draft.change_of(name))


def _move_away(draft: Draft, stack: Stack, seen: Observed, nodes: Mapping[str, Container], holder: str, leaving: Action) -> None:
    """The master's node is to go or to be replaced: first another node is ready, then it takes the role, then the node may stop."""
    anchor = stack.of(ANCHOR)[0].name
    others = [name for name in nodes if name != holder and (name in seen.redis or draft.change_of(name))]
    if isinstance(leaving, Replace):
        others = [name for name in others if name in seen.redis]
    if not others:
        return
    sentinel = next((name for name, view in seen.sentinels.items() if view.master), "")
    target = anchor if isinstance(leaving, Remove) else ""
    if not sentinel and not target:
        target = others[0]
    move = draft.add(MoveMaster(holder, target, sentinel))
    if not sentinel:
        _let_sentinels_forget(draft, stack, seen, move)
    for name in others:
        draft.need(move, draft.change_of(name), draft.actions.get(f"AttachReplica:{name}"))
    draft.need(leaving, move)
    for old in seen.containers:
        removal = draft.removal_of(old.name)
        if removal and removal.id != leaving.id and old.service in ("sentinel", "redis-slave"):
            draft.need(removal, move)
    for sentinel_change in draft.changes_of("sentinel"):
        if isinstance(sentinel_change, Replace):
            draft.need(sentinel_change, move, leaving if isinstance(leaving, Replace) else None)
    if isinstance(leaving, Run):
        draft.need(move, leaving)
    woken = draft.change_of(holder) or draft.actions.get(f"Run:{holder}") or draft.actions.get(f"Start:{holder}")
    if woken and woken.id != leaving.id:
        draft.need(move, woken)


def _let_sentinels_forget(draft: Draft, stack: Stack, seen: Observed, move: Action) -> None:
    """Sentinels that didn't see the role move would come back with the old master in mind: their volumes start anew."""
    volumes = tuple(sorted(v for v in seen.volumes if v.startswith(f"{stack.name}-sentinel-")))
    if volumes:
        draft.need(draft.add(ForgetMaster(volumes, stack.tools)), move)


def _forget(draft: Draft, stack: Stack, seen: Observed) -> None:
    """Sentinels that know more than stands forget it; otherwise ghosts would raise the majority that an election needs."""
    sentinels = stack.of("sentinel")
    if not sentinels or not seen.sentinels:
        return
    replicas = len(stack.of("redis-slave"))
    going = [a for a in draft.actions.values() if isinstance(a, Remove) and a.old.service in ("redis-slave", "sentinel")]
    known = any(view.sentinels > len(sentinels) - 1 or view.replicas > replicas for view in seen.sentinels.values())
    if going or known:
        reset = draft.add(ResetSentinels(tuple(c.name for c in sentinels), replicas))
        draft.need(reset, *going, *draft.changes_of("sentinel"), *draft.changes_of("redis-slave"), *draft.changes_of(ANCHOR))
        draft.need(reset, *(a for a in draft.actions.values() if isinstance(a, MoveMaster)))
