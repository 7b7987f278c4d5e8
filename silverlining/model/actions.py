"""Actions: the changes that a plan is made of. Pure data; commands.py writes each as docker commands, ops/apply.py does it."""

from __future__ import annotations

from dataclasses import dataclass, field

from .hold import Hold
from .observed import SeenContainer
from .stack import Container, ImageRef, NamedVolume, Network


@dataclass(frozen=True)
class Action:
    """One change. `needs` holds the ids of the actions that must be done (and healthy) before it."""

    needs: frozenset[str] = field(default=frozenset(), kw_only=True)

    @property
    def id(self) -> str:
        """Unique in a plan."""
        return f"{type(self).__name__}:{self.subject}"

    @property
    def subject(self) -> str:
        """The name of what is changed."""
        raise NotImplementedError


@dataclass(frozen=True)
class CreateNetwork(Action):
    """Makes the stack's network."""

    network: Network

    @property
    def subject(self) -> str:
        return self.network.name


@dataclass(frozen=True)
class CreateVolume(Action):
    """Makes a named volume with its labels."""

    volume: NamedVolume

    @property
    def subject(self) -> str:
        return self.volume.name


@dataclass(frozen=True)
class RemoveVolume(Action):
    """Removes a volume that holds nothing: the note of what was scaled."""

    name: str

    @property
    def subject(self) -> str:
        return self.name


@dataclass(frozen=True)
class MakeSecrets(Action):
    """Generates the secrets that are missing, in a short-lived container on the host."""

    volume: str
    tools: ImageRef

    @property
    def subject(self) -> str:
        return self.volume


@dataclass(frozen=True)
class Run(Action):
    """Creates and starts a container, and awaits its health."""

    container: Container

    @property
    def subject(self) -> str:
        return self.container.name


@dataclass(frozen=True)
class Replace(Action):
    """Stops and removes a container, then runs the one that takes its place. `why` says what differs; `hold`, which ports wait meanwhile."""

    old: SeenContainer
    container: Container
    why: str = ""
    hold: Hold | None = None

    @property
    def subject(self) -> str:
        return self.container.name


@dataclass(frozen=True)
class Start(Action):
    """Starts a container that is stopped."""

    container: Container

    @property
    def subject(self) -> str:
        return self.container.name


@dataclass(frozen=True)
class Unpause(Action):
    """Lets a paused container run on."""

    container: Container

    @property
    def subject(self) -> str:
        return self.container.name


@dataclass(frozen=True)
class Mend(Action):
    """Repairs a container that runs but isn't healthy: by its own `mend` command, or else by a restart."""

    container: Container
    why: str = ""

    @property
    def subject(self) -> str:
        return self.container.name


@dataclass(frozen=True)
class Remove(Action):
    """Stops and removes a container that the topology doesn't have."""

    old: SeenContainer
    grace: int = 10

    @property
    def subject(self) -> str:
        return self.old.name


@dataclass(frozen=True)
class MoveMaster(Action):
    """Makes `target` the Redis master by a failover that the Sentinels carry out, and awaits it. `sentinel` is asked.

    `master` is the node that gives the role up; `replicas` may take it when `target` is "" (any node but `master`).
    """

    master: str
    target: str
    sentinel: str

    @property
    def subject(self) -> str:
        return self.master


@dataclass(frozen=True)
class AttachReplica(Action):
    """Tells a Redis node whose replica it is, and awaits the link."""

    node: str
    master_address: str

    @property
    def subject(self) -> str:
        return self.node


@dataclass(frozen=True)
class SeedReplica(Action):
    """Writes into a stopped node's volume whose replica it is, before it starts: no Redis starts as master over newer data."""

    volume: str
    image: ImageRef
    master_address: str

    @property
    def subject(self) -> str:
        return self.volume


@dataclass(frozen=True)
class ForgetMaster(Action):
    """Removes what stopped Sentinels noted in their volumes; they look for the master anew when they start."""

    volumes: tuple[str, ...]
    tools: ImageRef

    @property
    def subject(self) -> str:
        return ",".join(self.volumes)


@dataclass(frozen=True)
class ResetSentinels(Action):
    """Lets each Sentinel in turn forget what no longer stands, and awaits that its counts are right again."""

    sentinels: tuple[str, ...]
    replicas: int

    @property
    def subject(self) -> str:
        return ",".join(self.sentinels)


@dataclass(frozen=True)
class Drain(Action):
    """Takes an app server out of HAProxy's rotation and awaits that its requests are done."""

    haproxy: str
    server: str

    @property
    def subject(self) -> str:
        return self.server


@dataclass(frozen=True)
class Readmit(Action):
    """Puts a drained app server back into rotation."""

    haproxy: str
    server: str

    @property
    def subject(self) -> str:
        return self.server


@dataclass(frozen=True)
class PutKey(Action):
    """Registers an app server in etcd."""

    etcd: str
    key: str
    value: str

    @property
    def subject(self) -> str:
        return self.key


@dataclass(frozen=True)
class DeleteKey(Action):
    """Takes an app server out of etcd, and awaits that HAProxy no longer uses it."""

    etcd: str
    haproxy: str
    key: str

    @property
    def subject(self) -> str:
        return self.key


@dataclass(frozen=True)
class Plan:
    """Actions in an order in which they can be done one after another; `needs` says what may go side by side."""

    actions: tuple[Action, ...]

    def __bool__(self) -> bool:
        return bool(self.actions)

    def of(self, kind: type[Action]) -> tuple[Action, ...]:
        """The actions of one kind."""
        return tuple(a for a in self.actions if isinstance(a, kind))
