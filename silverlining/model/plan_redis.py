"""The part of the plan that keeps Redis' data: the master role moves, awaited, before its node stops; nobody starts over newer data.

Everything turns around one node, the holder: the one that has the newest data, awake or asleep. Where it can't be told which one
that is, there is no plan but an error, before anything has changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from .actions import Action, AttachReplica, ForgetMaster, Mend, MoveMaster, Remove, Replace, ResetSentinels, Run, SeedReplica, Start, Unpause
from .draft import Draft
from .errors import Unhealthy
from .observed import Observed, RedisNode, SeenContainer
from .scale import majority
from .stack import Container, Stack
from .text import _

ANCHOR = "redis-master"
NODES = (ANCHOR, "redis-slave")
AWAKE = ("running", "paused", "restarting")


def plan_redis(draft: Draft, stack: Stack, seen: Observed, spares: Mapping[str, Container]) -> None:
    """Adds to the draft what the Redis nodes and Sentinels need beyond running. Raises Unhealthy if data could get lost."""
    by_hand = None
    if not stack.topology.has(ANCHOR):
        # Everything of Redis goes: the Sentinels first, so that they don't elect a master from what is being taken away.
        _sentinels_before(draft, [r for old in seen.containers if old.service in NODES and (r := draft.removal_of(old.name))])
    elif holder := find_holder(draft, stack, seen):
        keeper = Keeper(draft, stack, seen, holder, spares)
        keeper.wake()
        keeper.follow()
        by_hand = keeper.move()
    _forget(draft, stack, seen, by_hand)
    _reset(draft, stack, seen)


def find_holder(draft: Draft, stack: Stack, seen: Observed) -> str:
    """The node that has the newest data; "" if there is none, or if nothing that is planned could harm it. Raises Unhealthy in doubt."""
    if seen.master:
        return seen.master
    silent = sorted(c.name for c in seen.containers if c.service in NODES and c.state in AWAKE and c.name not in seen.redis)
    masters = [name for name, node in seen.sleeping.items() if _is_master(node)]
    holder = _elected(seen, {*silent, *masters})
    if not holder and not (silent and masters):
        # Of several silent nodes any will do: whoever starts now starts as a replica, and the next plan knows the master.
        holder = silent[0] if silent else max(masters, key=lambda name: seen.sleeping[name].offset, default="")
    others = sorted({*seen.redis, *seen.sleeping})
    if holder in masters or not (silent or others):
        return holder
    nodes = [c.name for service in NODES for c in stack.of(service)]
    starting = [name for name in nodes if name not in silent and isinstance(draft.change_of(name), (Run, Start, Replace))]
    if any(_parts_with_data(draft, seen, name) for name in silent) or (starting and not holder):
        raise Unhealthy(
            _("no Redis master answers, and {names} may hold the newest data").format(names=", ".join(silent or others)),
            _hint(stack, seen, silent, others),
        )
    return holder


def _hint(stack: Stack, seen: Observed, silent: list[str], others: list[str]) -> str:
    """How a person brings a master back."""
    if silent:
        return _("docker unpause (or restart) {name}, then run this again").format(name=silent[0])
    if seen.redis:
        # A replica that finds no master has no offset. Of equals the anchor is named: its volume is the one that outlives everything.
        anchor = stack.of(ANCHOR)[0].name
        return _("run this again when the Sentinels have elected one; without them: docker exec {name} redis-ask replicaof no one").format(
            name=max(seen.redis, key=lambda name: (seen.redis[name].offset, name == anchor))
        )
    newest = max(others, key=lambda name: seen.sleeping[name].offset)
    return f"docker run --rm --mount type=volume,source={newest},target=/data {stack.of(ANCHOR)[0].image.reference} redis-seed no one"


def _elected(seen: Observed, names: set[str]) -> str:
    """Which of the nodes most Sentinels call the master, though it doesn't answer."""
    by_address = {c.address: c.name for c in seen.containers if c.name in names}
    votes = Counter(by_address[view.master] for view in seen.sentinels.values() if view.master in by_address)
    return next((name for name, _count in votes.most_common(1)), "")


def _is_master(node: RedisNode) -> bool:
    """By its own word; a volume may also say `replicaof no one`."""
    return node.role == "master" or node.master == "no"


def _moves_volume(old: SeenContainer | None) -> bool:
    """Compose gives each replica and each Sentinel a volume without a name: our container in its place has another one."""
    return old is not None and old.compose and old.service != ANCHOR


def _parts_with_data(draft: Draft, seen: Observed, name: str) -> bool:
    return bool(draft.removal_of(name) or (isinstance(draft.change_of(name), Replace) and _moves_volume(seen.container(name))))


def _sentinels_before(draft: Draft, actions: list[Action]) -> None:
    """Sentinels that leave do so before a master stops whose role can't move: they would start a failover."""
    for removal in [a for a in draft.actions.values() if isinstance(a, Remove) and a.old.service == "sentinel"]:
        for action in actions:
            draft.need(action, removal)


class Keeper:
    """Plans around the holder of the newest data."""

    def __init__(self, draft: Draft, stack: Stack, seen: Observed, holder: str, spares: Mapping[str, Container]) -> None:
        self.draft, self.stack, self.seen, self.holder, self.spares = draft, stack, seen, holder, spares
        self.nodes = {c.name: c for service in NODES for c in stack.of(service)}
        self.old = seen.container(holder)
        self.live = holder == seen.master
        self.address = self.old.address if self.old and self.old.address else (self.nodes.get(holder) or spares[holder]).address
        self.anchor = stack.of(ANCHOR)[0]

    def wake(self) -> None:
        """A holder that sleeps and that the topology doesn't have runs until it has handed its data over."""
        if self.live or self.holder in self.nodes:
            return
        spare, draft = self.spares[self.holder], self.draft
        draft.bring_up(spare)
        stand_in = self.old or SeenContainer("", spare.name, spare.service, spare.index, spare.spec, spare.step, "running", "", spare.address, "")
        removal = draft.add(Remove(replace(stand_in, id=""), grace=spare.stop_grace))
        draft.need(removal, draft.change_of(self.holder))

    def follow(self) -> None:
        """Every other node follows the holder: what would start as somebody else's replica, or as a master, is told so before its start."""
        draft, seen = self.draft, self.seen
        for name, node in self.nodes.items():
            if name == self.holder:
                continue
            change = draft.change_of(name)
            starts = isinstance(change, (Run, Start, Replace, Mend))
            if change and starts and not self.live:
                # Nobody with older data is there to be elected before the holder is up.
                draft.need(change, draft.change_of(self.holder))
            state = seen.redis.get(name) or seen.sleeping.get(name)
            if state and not _is_master(state) and state.master == self.address and not _moves_volume(seen.container(name)):
                continue
            if change and starts:
                self.seed(node, change, self.address)
            elif self.live and (name in seen.redis or isinstance(change, Unpause)):
                draft.need(draft.add(AttachReplica(name, self.address)), change)

    def seed(self, node: Container, start: Action, address: str, *after: Action) -> None:
        """Before `start`, the node's volume is told whose replica it is."""
        seed = self.draft.add(SeedReplica(node.name, node.image, address))
        self.draft.need(seed, self.draft.actions.get(f"CreateVolume:{node.name}"), *after)
        self.draft.need(start, seed)

    def move(self) -> Action | None:
        """The holder's node is to go or to be replaced: another node is ready, then takes the role, then the holder may stop.

        Returns the move if it is made without the Sentinels.
        """
        draft, change = self.draft, self.draft.change_of(self.holder)
        leaving = draft.removal_of(self.holder) or change
        parts = _parts_with_data(draft, self.seen, self.holder)
        if leaving is None or not (parts or (self.live and isinstance(leaving, Replace))):
            return None
        sentinel = self.agent()
        others = [name for name in self.nodes if name != self.holder and (parts or sentinel or name in self.seen.redis)]
        if not others:
            # The only node: it is replaced where it is, and no Sentinel may take that for a failure.
            _sentinels_before(draft, [leaving])
            for service in ("redis-slave", "sentinel"):
                for arrival in draft.changes_of(service):
                    draft.need(arrival, leaving)
            return None
        target = self.anchor.name if parts else "" if sentinel else others[0]
        move = draft.add(MoveMaster(self.holder, target, sentinel))
        back = draft.change_of(sentinel)
        draft.need(move, None if isinstance(back, Replace) else back, None if change is leaving else change)
        for name in others:
            draft.need(move, draft.change_of(name), draft.actions.get(f"AttachReplica:{name}"))
        draft.need(leaving, move)
        if isinstance(leaving, Replace) and parts:
            self.seed(self.nodes[self.holder], leaving, self.anchor.address, move)
        self.make_way(move, leaving, sentinel)
        return None if sentinel else move

    def agent(self) -> str:
        """The Sentinel that carries the move out: one that answers, or else one that stays and comes back; "" if there is none."""
        staying = (c.name for c in self.stack.of("sentinel") if (old := self.seen.container(c.name)) and old.state in AWAKE)
        return next(iter((*self.seen.sentinels, *staying)), "")

    def make_way(self, move: Action, leaving: Action, sentinel: str) -> None:
        """What leaves or is replaced beside the holder does so on the right side of the move."""
        draft = self.draft
        for removal in [a for a in draft.actions.values() if isinstance(a, Remove) and a.id != leaving.id]:
            if removal.old.service == "sentinel":
                draft.need(removal, move)
            elif removal.old.service == "redis-slave":
                # With a target it can wait; a free choice must not fall on a node that goes.
                draft.need(*((removal, move) if isinstance(move, MoveMaster) and move.target else (move, removal)))
        for change in draft.changes_of("sentinel"):
            if not sentinel:
                draft.need(change, leaving)
            elif isinstance(change, Replace):
                draft.need(change, move, leaving if isinstance(leaving, Replace) else None)


def _forget(draft: Draft, stack: Stack, seen: Observed, by_hand: Action | None) -> None:
    """What Sentinels have noted in their volumes is cleared where it can't be true any more.

    That is when the role moves without them, when the network has other addresses than before, and when they come back after Compose's.
    """
    changes = draft.changes_of("sentinel")
    for change in changes:
        draft.need(change, by_hand)
    own = [v for v in sorted(seen.volumes) if v.startswith(f"{stack.name}-sentinel-")]
    stale = [v for v in own if not ((c := seen.container(v)) and c.state in AWAKE and not c.compose and not draft.removal_of(v))]
    elsewhere = not seen.subnet and seen.remembered != stack.network.subnet and stack.containers
    reason = by_hand or elsewhere or any(c.service == "sentinel" and _moves_volume(c) for c in seen.containers)
    if not stale or not reason:
        return
    forget = draft.add(ForgetMaster(tuple(stale), stack.tools))
    draft.need(forget, by_hand, *(draft.removal_of(v) for v in stale))
    for change in changes:
        draft.need(change, forget)


def _reset(draft: Draft, stack: Stack, seen: Observed) -> None:
    """Sentinels that know more than stands forget it; otherwise ghosts would raise the majority that an election needs."""
    sentinels = stack.of("sentinel")
    if not sentinels or not seen.sentinels:
        return
    replicas = len(stack.of("redis-slave"))
    kinds = ("redis-slave", "sentinel")
    going = [a for a in draft.actions.values() if isinstance(a, Remove) and a.old.service in kinds]
    moved = any(old.compose and old.service in kinds for old in seen.containers)
    ghosts = any(view.sentinels > len(sentinels) - 1 or view.replicas > replicas for view in seen.sentinels.values())
    if not (going or moved or ghosts):
        return
    changes = [change for service in (*NODES, "sentinel") for change in draft.changes_of(service)]
    leaving = sorted((a for a in going if a.old.service == "sentinel"), key=lambda a: -a.old.index)
    roles = [a for a in draft.actions.values() if isinstance(a, (AttachReplica, MoveMaster))]
    before = [*changes, *roles, *(a for a in going if a.old.service != "sentinel")]
    last = ResetSentinels(tuple(c.name for c in sentinels), replicas)
    if not any(draft.waits_for(change, removal) for change in changes for removal in leaving):
        known = max(len(sentinels) + len(leaving), *(view.sentinels + 1 for view in seen.sentinels.values()))
        _in_waves(draft, last, known, leaving, before)
    draft.need(draft.add(last), *before, *leaving)


def _in_waves(draft: Draft, last: ResetSentinels, known: int, leaving: list[Remove], before: list[Action]) -> None:
    """Of many Sentinels only so many leave at a time that a majority of those that are known stays: they could elect a master meanwhile.

    The others forget those before the next leave. `last` is how they look anew in the end, `before` what must be done before they do.
    """
    while leaving and len(last.sentinels) < majority(known):
        standing = len(last.sentinels) + len(leaving)
        gone = max(standing - majority(known), 0)
        if not gone and known == standing:
            return  # of two no one can leave
        first, leaving = leaving[:gone], leaving[gone:]
        look = draft.add(replace(last, sentinels=(*last.sentinels, *(removal.old.name for removal in leaving))))
        draft.need(look, *before, *first)
        for removal in leaving:
            draft.need(removal, look)
        before, known = [look], standing - gone
