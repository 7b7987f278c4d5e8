"""A tiny simulator: applies a plan's actions to a simulated host, one by one, and does to the host what tests want done."""

from __future__ import annotations

from silverlining.model import actions as do
from silverlining.model import labels
from silverlining.model.scale import read_note

from .builders import seen
from .state import Disk, State


class World(State):
    """A host to which actions can be applied."""

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
        if labels.SCALED in dict(a.volume.labels):
            self.scaled = read_note(dict(a.volume.labels)[labels.SCALED])
            return
        self.remembered = self.remembered or self.subnet

    def RemoveVolume(self, a: do.RemoveVolume) -> None:
        assert a.name == "silver-scaled", f"{a.name} holds data"
        del self.disks[a.name]
        self.scaled = {}

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
        if self.steadfast and a.old.service == "sentinel":
            for name, box in self.sentinels().items():
                known = sum(isinstance(one, int) for one in box.disk.known | {box.disk.id})
                assert len(self.sentinels()) > known // 2, f"{name} knows {known}, of which {len(self.sentinels())} are no majority"

    def Start(self, a: do.Start) -> None:
        box = self.boxes[a.container.name]
        assert box.seen.state in ("exited", "created") and box.made.spec == a.container.spec
        self.start(box)

    def Unpause(self, a: do.Unpause) -> None:
        box = self.boxes[a.container.name]
        assert box.seen.state == "paused"
        box.seen = seen(box.made, id=box.seen.id)
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
        app = self.at(a.value.partition(":")[0])
        assert self.alive("etcd") and app and app.runs, f"{a.key} is put before {a.value} serves"
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
        box.seen = seen(box.made, id=box.seen.id, state=real, health=health, ports=box.seen.ports if real in ("running", "paused") else ())

    def teardown(self) -> None:
        """Containers and the network go, volumes stay."""
        self.boxes, self.subnet, self.drained = {}, "", set()
