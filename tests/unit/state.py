"""The state of a simulated host, and how it moves by itself: replication, Sentinels' gossip, what a program finds at its start.

It is as strict as a real host, and fails when one of the rules of DESIGN is broken. world.py applies actions to it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from silverlining.model.observed import Observed, RedisNode, SeenContainer, SentinelView
from silverlining.model.stack import Container, Stack, server_key

from .builders import seen

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass
class Disk:
    """A volume. Redis: the address of the master that is noted ("" none: it is one; None: nothing noted) and the number of hits.

    Sentinel: the address that it monitors, the epoch of that decision, its id, and all that it ever met.
    """

    master: str | None = None
    hits: int = 0
    epoch: int = 0
    id: int = 0
    known: set[object] = field(default_factory=set)


@dataclass
class Box:
    """A container: what it was made from, Docker's state, its volume, and a Redis' role in memory."""

    made: Container
    seen: SeenContainer
    disk: Disk
    master: str = ""

    @property
    def runs(self) -> bool:
        return self.seen.state == "running" and self.seen.health != "unhealthy"


class State:
    """A host in a state."""

    def __init__(self, seed: int = 0) -> None:
        self.boxes: dict[str, Box] = {}
        self.disks: dict[str, Disk] = {}
        self.subnet = self.remembered = ""
        self.secrets = False
        self.scaled: dict[str, int] = {}
        self.keys: dict[str, str] = {}
        self.drained: set[str] = set()
        self.ids = 0
        self.random = random.Random(seed)
        self.target: Stack | None = None
        self.serving = False
        # Whether a majority of the Sentinels must stay whatever is removed.
        self.steadfast = False

    # What is there

    def redis(self) -> dict[str, Box]:
        return {n: b for n, b in self.boxes.items() if b.made.service.startswith("redis") and b.runs}

    def sentinels(self) -> dict[str, Box]:
        return {n: b for n, b in self.boxes.items() if b.made.service == "sentinel" and b.runs}

    def at(self, address: str) -> Box | None:
        return next((b for b in self.boxes.values() if b.seen.address == address), None)

    def masters(self) -> list[str]:
        return [n for n, b in self.redis().items() if not b.master]

    def alive(self, service: str) -> bool:
        return any(b.made.service == service and b.runs for b in self.boxes.values())

    def observed(self, stack: str = "silver", **changes: Any) -> Observed:
        live = self.redis()
        awake = {n for n, b in self.boxes.items() if b.seen.state in ("running", "paused", "restarting")}
        asleep = {n: d for n, d in self.disks.items() if "-redis-" in n and n not in awake and d.master is not None}
        facts: dict[str, Any] = {
            "stack": stack,
            "containers": tuple(b.seen for b in self.boxes.values()),
            "subnet": self.subnet,
            "volumes": frozenset(self.disks),
            "scaled": dict(self.scaled),
            "remembered": self.remembered if self.disks else "",
            "redis": {n: RedisNode("slave" if b.master else "master", b.master, bool(b.master), b.disk.hits) for n, b in live.items()},
            "sleeping": {n: RedisNode("slave" if d.master else "master", d.master or "", offset=d.hits) for n, d in asleep.items()},
            "sentinels": {n: self.view(b) for n, b in self.sentinels().items()},
            "keys": dict(self.keys) if self.alive("etcd") else None,
            "withheld": frozenset(self.drained) if self.alive("haproxy") else frozenset(),
        }
        return Observed(**{**facts, **changes})

    def view(self, box: Box) -> SentinelView:
        known = box.disk.known
        addresses = {k for k in known if isinstance(k, str)} - {box.disk.master}
        return SentinelView(box.disk.master or "", len({k for k in known if isinstance(k, int)} - {box.disk.id}), len(addresses))

    def copy(self) -> Self:
        """The same host once more."""
        other = type(self)()
        other.subnet, other.remembered, other.secrets, other.ids, other.target = self.subnet, self.remembered, self.secrets, self.ids, self.target
        other.scaled, other.steadfast = dict(self.scaled), self.steadfast
        other.keys, other.drained, other.random = dict(self.keys), set(self.drained), random.Random(self.ids)
        twins: dict[int, Disk] = {id(d): replace(d, known=set(d.known)) for d in (*self.disks.values(), *(b.disk for b in self.boxes.values()))}
        other.disks = {n: twins[id(d)] for n, d in self.disks.items()}
        other.boxes = {n: replace(b, disk=twins[id(b.disk)]) for n, b in self.boxes.items()}
        return other

    # What happens to it

    def settle(self) -> None:
        """Replication and the Sentinels' gossip, until nothing moves. Newer data must never be overwritten."""
        live = self.redis()
        for name, box in live.items():
            above = self.at(box.master) if box.master else None
            if above and above.made.name in live and not above.master:
                assert box.disk.hits <= above.disk.hits, f"{name} with newer data is made a replica of {above.made.name}"
                box.disk.hits = above.disk.hits
        masters = self.masters()
        watchers = self.sentinels()
        for box in watchers.values():
            if box.disk.master is None and len(masters) == 1:
                peers = [b.disk for b in watchers.values() if b.disk.master is not None]
                best = max(peers, key=lambda d: d.epoch, default=Disk(live[masters[0]].seen.address))
                box.disk.master, box.disk.epoch = best.master, best.epoch
        best = max((b.disk for b in watchers.values()), key=lambda d: d.epoch, default=None)
        for name, box in watchers.items():
            if best and best.epoch > box.disk.epoch:
                box.disk.master, box.disk.epoch = best.master, best.epoch
            box.disk.known |= {b.seen.address for b in live.values()} | {b.disk.id for b in watchers.values()}
            if masters and box.disk.master is not None:
                assert box.disk.master in [live[m].seen.address for m in masters], f"{name} believes in {box.disk.master}: it will fail over"

    def start(self, box: Box) -> None:
        """A container's program starts: what its volume says counts."""
        c = box.made
        health = "healthy" if c.health else ""
        ports = tuple(p for _a, p, _i in c.ports)
        for other in self.boxes.values():
            busy = set(ports) & set(other.seen.ports) if other is not box and other.seen.state in ("running", "paused") else set()
            assert not busy, f"{c.name} starts while {other.made.name} holds port {busy}"
        assert self.subnet, f"{c.name} starts without its network"
        assert not c.uses_secrets or self.secrets, f"{c.name} starts without secrets"
        if c.service.startswith("redis"):
            if box.disk.master is None:
                box.disk.master = self.anchor(c) if "--replicaof" in c.command else ""
            box.master = box.disk.master
            if not box.master:
                others = [n for n in self.masters() if n != c.name]
                assert not others, f"{c.name} starts as a master beside {others}"
                newer = [n for n, d in self.every_disk().items() if "-redis-" in n and d.hits > box.disk.hits]
                assert not newer, f"{c.name} starts as a master while {newer} holds newer data"
        if c.service == "sentinel" and not box.disk.id:
            self.ids += 1
            box.disk.id = self.ids
        box.seen = seen(c, health=health, compose=box.seen.compose, ports=ports, id=box.seen.id)

    def every_disk(self) -> dict[str, Disk]:
        return {**self.disks, **{n: b.disk for n, b in self.boxes.items()}}

    @staticmethod
    def anchor(c: Container) -> str:
        return c.address.rsplit(".", 1)[0] + ".10"

    def run(self, c: Container, *, compose: bool = False, address: str = "") -> None:
        assert c.name not in self.boxes, f"{c.name} is there already"
        own = [m.source for m in c.mounts if m.kind == "volume" and m.source == c.name]
        for mount in c.mounts:
            assert mount.kind != "volume" or mount.source in self.disks, f"{c.name} starts before its volume {mount.source}"
        anonymous = compose and c.service in ("redis-slave", "sentinel", "ping-app")
        self.ids += 1
        box = Box(c, seen(c, compose=compose, id=f"{c.name}-{self.ids}"), Disk() if anonymous or not own else self.disks[c.name])
        self.boxes[c.name] = box
        self.start(box)
        if compose:
            box.seen = replace(box.seen, spec="compose", address=address or c.address)

    def stop(self, name: str, why: str) -> None:
        """A container stops for good; the rules on masters and on servers in rotation."""
        box = self.boxes[name]
        stack = self.target
        if name in self.masters() and len(self.masters()) == 1 and stack and stack.topology.has("redis-master"):
            stays = {c.name for c in stack.containers}
            others = [n for n in self.redis() if n in stays and n != name]
            assert why == "replace" and not others, f"the master {name} stops ({why}) before its role has moved; {others} could take it"
            assert not self.sentinels() or len(self.redis()) == 1, f"the Sentinels fail over while {name} is replaced in place"
            assert not box.seen.compose or box.made.service == "redis-master", f"{name} leaves its data behind in Compose's volume"
        key = server_key(box.made.index)
        if box.made.service == "ping-app" and self.serving and stack and box.runs:
            if stack.topology.registry == "etcd" and self.alive("etcd"):
                assert self.keys.get(key) != f"{box.seen.address}:8000", f"{name} stops while its key is in etcd"
            elif stack.topology.registry == "static" and why == "replace":
                assert self.drained == {f"app{box.made.index}"}, f"{name} stops while {self.drained} and nobody else is out of rotation"

    def serves_by_proxy(self, stack: Stack) -> bool:
        """HAProxy stands, and will stand, and has more than one server of the same kind before and after."""
        box = self.boxes.get("silver-haproxy-1")
        registry = "etcd" if self.alive("etcd") else "static"
        servers = [b for b in self.boxes.values() if b.made.service == "ping-app" and b.runs]
        return bool(box and box.runs and stack.topology.registry == registry and len(stack.of("ping-app")) > 1 < len(servers))
