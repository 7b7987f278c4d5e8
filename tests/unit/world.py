"""A tiny simulator of a host: applies a plan's actions one by one, as strictly as a real host would, and fails when a rule is broken."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

from silverlining.model import actions as do
from silverlining.model.observed import Observed, RedisNode, SeenContainer, SentinelView
from silverlining.model.plan import plan
from silverlining.model.stack import Container, Stack, server_key

from .builders import seen, spares


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


class World:
    """A host in a state. `apply` does one action and asserts the rules of DESIGN that it could break."""

    def __init__(self, seed: int = 0) -> None:
        self.boxes: dict[str, Box] = {}
        self.disks: dict[str, Disk] = {}
        self.subnet = ""
        self.secrets = False
        self.keys: dict[str, str] = {}
        self.drained: set[str] = set()
        self.ids = 0
        self.random = random.Random(seed)
        self.target: Stack | None = None
        self.serving = False

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
            "redis": {n: RedisNode("slave" if b.master else "master", b.master, bool(b.master), b.disk.hits) for n, b in live.items()},
            "sleeping": {n: RedisNode("slave" if d.master else "master", d.master or "", offset=d.hits) for n, d in asleep.items()},
            "sentinels": {n: self._view(b) for n, b in self.sentinels().items()},
            "keys": dict(self.keys) if self.alive("etcd") else None,
        }
        return Observed(**{**facts, **changes})

    def _view(self, box: Box) -> SentinelView:
        known = box.disk.known
        addresses = {k for k in known if isinstance(k, str)} - {box.disk.master}
        return SentinelView(box.disk.master or "", len({k for k in known if isinstance(k, int)} - {box.disk.id}), len(addresses))

    def copy(self) -> World:
        """The same host once more."""
        other = World()
        other.subnet, other.secrets, other.ids, other.target = self.subnet, self.secrets, self.ids, self.target
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
        box.seen = seen(c, health=health, compose=box.seen.compose, ports=ports)

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
        box = Box(c, seen(c, compose=compose), Disk() if anonymous or not own else self.disks[c.name])
        self.boxes[c.name] = box
        self.start(box)
        if compose:
            box.seen = seen(c, compose=True, spec="compose", address=address or c.address)

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
                assert f"app{box.made.index}" in self.drained, f"{name} stops while it is in rotation"

    def serves_by_proxy(self, stack: Stack) -> bool:
        """HAProxy stands, and will stand, and has more than one server of the same kind before and after."""
        box = self.boxes.get("silver-haproxy-1")
        registry = "etcd" if self.alive("etcd") else "static"
        servers = [b for b in self.boxes.values() if b.made.service == "ping-app" and b.runs]
        return bool(box and box.runs and stack.topology.registry == registry and len(stack.of("ping-app")) > 1 < len(servers))

    def apply(self, action: do.Action) -> None:
        """Does one action."""
        getattr(self, type(action).__name__)(action)
        self.settle()

    def CreateNetwork(self, a: do.CreateNetwork) -> None:
        assert not self.subnet
        self.subnet = a.network.subnet

    def CreateVolume(self, a: do.CreateVolume) -> None:
        assert a.volume.name not in self.disks
        self.disks[a.volume.name] = Disk()

    def MakeSecrets(self, a: do.MakeSecrets) -> None:
        assert a.volume in self.disks
        self.secrets = True

    def Run(self, a: do.Run) -> None:
        self.run(a.container)

    def Replace(self, a: do.Replace) -> None:
        name = a.container.name
        self.stop(name, "replace")
        del self.boxes[name]
        self.run(a.container)

    def Remove(self, a: do.Remove) -> None:
        self.stop(a.old.name, "remove")
        assert a.old.id in ("", self.boxes[a.old.name].seen.id)
        del self.boxes[a.old.name]

    def Start(self, a: do.Start) -> None:
        box = self.boxes[a.container.name]
        assert box.seen.state in ("exited", "created") and box.made.spec == a.container.spec
        self.start(box)

    def Unpause(self, a: do.Unpause) -> None:
        box = self.boxes[a.container.name]
        assert box.seen.state == "paused"
        box.seen = seen(box.made)
        if box.made.service.startswith("redis"):
            assert box.master or not [m for m in self.masters() if m != a.container.name] or self.sentinels(), "two masters and nobody to tell them"

    def Mend(self, a: do.Mend) -> None:
        self.stop(a.container.name, "mend")
        self.start(self.boxes[a.container.name])

    def MoveMaster(self, a: do.MoveMaster) -> None:
        assert self.masters() == [a.master], f"the role is to move from {a.master}, but {self.masters()} has it"
        old = self.redis()[a.master]
        able = [n for n, b in self.redis().items() if b.master == old.seen.address]
        assert able, f"nobody follows {a.master}"
        if a.sentinel:
            assert a.sentinel in self.sentinels(), f"{a.sentinel} is asked for a failover, but doesn't run"
            prior = [n for n in able if self.redis()[n].made.service == "redis-master"]
            new = (prior or self.random.sample(able, 1))[0]
            assert not a.target or new == a.target, f"Sentinel chooses {new}, not {a.target}"
        else:
            assert not self.sentinels(), "the role moves by hand behind the Sentinels' back"
            new = a.target
            assert new in able
        address = self.boxes[new].seen.address
        for name, box in self.redis().items():
            box.master = box.disk.master = "" if name == new else address
        epoch = 1 + max((d.epoch for d in self.every_disk().values()), default=0)
        for box in self.sentinels().values():
            box.disk.master, box.disk.epoch = address, epoch

    def AttachReplica(self, a: do.AttachReplica) -> None:
        assert a.node in self.redis()
        above = self.at(a.master_address)
        assert above and not above.master and above.runs and above.made.name != a.node
        self.boxes[a.node].master = a.master_address

    def SeedReplica(self, a: do.SeedReplica) -> None:
        assert a.volume in self.disks
        box = self.boxes.get(a.volume)
        assert not (box and box.runs and not box.master and box.disk is self.disks[a.volume] and len(self.masters()) == 1), "the master is seeded"
        self.disks[a.volume].master = a.master_address

    def ForgetMaster(self, a: do.ForgetMaster) -> None:
        for name in a.volumes:
            box = self.boxes.get(name)
            assert not (box and box.runs and box.disk is self.disks[name]), f"{name} runs while its memory is cleared"
            self.disks[name] = Disk()
            if box and not box.seen.compose:
                box.disk = self.disks[name]

    def ResetSentinels(self, a: do.ResetSentinels) -> None:
        live = self.redis()
        assert len(live) == a.replicas + 1, f"reset with {sorted(live)} there"
        assert set(a.sentinels) == set(self.sentinels())
        for box in self.sentinels().values():
            box.disk.known = {b.seen.address for b in live.values()} | {b.disk.id for b in self.sentinels().values()}

    def Drain(self, a: do.Drain) -> None:
        assert self.boxes[a.haproxy].runs
        self.drained.add(a.server)

    def Readmit(self, a: do.Readmit) -> None:
        assert self.boxes[a.haproxy].runs
        self.drained.remove(a.server)

    def PutKey(self, a: do.PutKey) -> None:
        assert self.alive("etcd")
        self.keys[a.key] = a.value

    def DeleteKey(self, a: do.DeleteKey) -> None:
        assert self.alive("etcd")
        self.keys.pop(a.key, None)

    # What tests do to it

    def hit(self, times: int = 1) -> None:
        for name in self.masters():
            self.boxes[name].disk.hits += times
        self.settle()

    def fail_over(self, name: str) -> None:
        """The Sentinels make another node the master."""
        address = self.boxes[name].seen.address
        for other, box in self.redis().items():
            box.master = box.disk.master = "" if other == name else address
        epoch = 1 + max(d.epoch for d in self.every_disk().values())
        for box in self.sentinels().values():
            box.disk.master, box.disk.epoch = address, epoch
        self.settle()

    def become(self, name: str, state: str) -> None:
        """A container is paused, exited, unhealthy, …"""
        box = self.boxes[name]
        health = "unhealthy" if state == "unhealthy" else ""
        real = "running" if state == "unhealthy" else state
        box.seen = seen(box.made, state=real, health=health, ports=box.seen.ports if real in ("running", "paused") else ())

    def teardown(self) -> None:
        """Containers and the network go, volumes stay."""
        self.boxes, self.subnet, self.drained = {}, "", set()


def play(world: World, stack: Stack, ways: int = 2, *, settled: bool = True, **changes: Any) -> do.Plan:
    """Plans from what is seen of the world to the stack, applies the plan in several orders, and asserts that it leads there.

    Not `settled`: a second plan may find something that the first could not see.
    """
    observed = world.observed(**changes)
    made = plan(stack, observed, spares() if observed.sleeping else {})
    check_order(made, world, stack)
    hits = max((d.hits for n, d in world.every_disk().items() if "-redis-" in n), default=0)
    last = world
    for order in orders(made, ways):
        last = world.copy()
        last.target, last.serving = stack, world.serves_by_proxy(stack)
        for action in order:
            last.apply(action)
        if settled:
            check_end(last, stack, hits)
    last.target = None
    vars(world).update(vars(last))
    return made


def check_order(made: do.Plan, world: World, stack: Stack) -> None:
    """What may not happen side by side is ordered by the actions' needs."""
    earlier = before(made)
    for group in (("ping-app",), ("redis-master", "redis-slave"), ("sentinel",)):
        stopping = [a.id for a in made.actions if isinstance(a, (do.Replace, do.Mend)) and a.container.service in group]
        for one, other in combinations(stopping, 2):
            assert one in earlier[other] or other in earlier[one], f"{one} and {other} side by side"
    for arrival in made.actions:
        if isinstance(arrival, (do.Run, do.Replace, do.Start)):
            ports = {p for _a, p, _i in arrival.container.ports}
            for leave in made.actions:
                if isinstance(leave, (do.Remove, do.Replace)) and leave is not arrival and ports & set(leave.old.ports):
                    assert leave.id in earlier[arrival.id], f"{arrival.id} needs a port that {leave.id} frees"
    for arrival in made.actions:
        if isinstance(arrival, (do.Run, do.Replace, do.Start)) and arrival.container.service in ("redis-master", "redis-slave", "sentinel"):
            upon = [i for i in earlier[arrival.id] if "-ping-app-" in i or "-django-" in i]
            assert not upon, f"{arrival.id} waits for an app that is well only with Redis and Sentinel: {upon}"
    master = world.observed().master
    for leave in made.actions:
        if isinstance(leave, do.Replace) and leave.container.name == master and not made.of(do.MoveMaster):
            for other in made.actions:
                if isinstance(other, (do.Run, do.Replace, do.Start)) and other.container.service == "sentinel":
                    assert leave.id in earlier[other.id], f"{other.id} while the master is replaced in place"


def check_end(world: World, stack: Stack, hits: int) -> None:
    """The host is as the stack says, nothing is lost, and a second run has nothing to do."""
    assert sorted(world.boxes) == sorted(c.name for c in stack.containers)
    for c in stack.containers:
        assert world.boxes[c.name].seen.spec == c.spec
        assert world.boxes[c.name].runs
    nodes = world.redis()
    if nodes:
        (master,) = world.masters()
        assert {b.master for n, b in nodes.items() if n != master} <= {nodes[master].seen.address}
        assert {b.disk.hits for b in nodes.values()} == {hits}, "hits are lost"
        for name, box in world.sentinels().items():
            view = world._view(box)
            want = (nodes[master].seen.address, len(world.sentinels()) - 1, len(nodes) - 1)
            assert (view.master, view.sentinels, view.replicas) == want, f"{name} knows {view}, {want} stand"
    if stack.servers():
        assert world.keys == stack.servers()
    assert not world.drained
    again = plan(stack, world.observed(), spares())
    assert not again, [a.id for a in again.actions]


def before(made: do.Plan) -> dict[str, set[str]]:
    """For each action all that is certainly done before it starts."""
    closure: dict[str, set[str]] = {}
    for action in made.actions:
        closure[action.id] = set(action.needs).union(*(closure[n] for n in action.needs))
    return closure


def orders(made: do.Plan, count: int, seed: int = 0) -> Sequence[list[do.Action]]:
    """Some of the orders in which the actions may end: the plan's own, and random ones."""
    chosen = [list(made.actions)]
    dice = random.Random(seed)
    for _n in range(count - 1):
        done: list[do.Action] = []
        ids: set[str] = set()
        waiting = list(made.actions)
        while waiting:
            ready = [a for a in waiting if a.needs <= ids]
            action = dice.choice(ready)
            waiting.remove(action)
            done.append(action)
            ids.add(action.id)
        chosen.append(done)
    return chosen
