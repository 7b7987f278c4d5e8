"""What was seen on a host: plain data, so that a plan can be made and tested without an engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network

from .errors import Conflict
from .settings import Settings
from .text import _


@dataclass(frozen=True)
class SeenContainer:
    """A container of our stack. `state` is Docker's word, `health` "healthy", "unhealthy", "starting" or "" (no check)."""

    id: str
    name: str
    service: str
    index: int
    spec: str
    step: str
    state: str
    health: str
    address: str
    image: str
    ports: tuple[int, ...] = ()
    compose: bool = False

    @property
    def running(self) -> bool:
        """Runs and isn't paused."""
        return self.state == "running"

    @property
    def on_network(self) -> bool:
        """Whether it is on the stack's network. One of ours has its address there for good, also while it doesn't run."""
        return bool(self.address)


@dataclass(frozen=True)
class RedisNode:
    """What a Redis node says of itself: role "master" or "slave", its master's address, link up, offset in bytes."""

    role: str
    master: str = ""
    link_up: bool = False
    offset: int = 0
    replicas: int = 0
    keys: int = 0


@dataclass(frozen=True)
class SentinelView:
    """What one Sentinel knows: the master's address, how many other Sentinels and replicas, and its flags."""

    master: str
    sentinels: int
    replicas: int
    flags: str = "master"


@dataclass(frozen=True)
class Foreign:
    """Something that isn't ours: its kind, name and, for a container, the host ports that it publishes."""

    kind: str
    name: str
    ports: tuple[int, ...] = ()


@dataclass(frozen=True)
class Observed:
    """The state of a host as far as a stack goes.

    `keys` is what etcd holds under /app/servers (None: no answer); `proxy_fault` what HAProxy's own health check complains of;
    `withheld` are the servers that HAProxy was told to give no requests.
    `remembered` is the subnet that the stack's volumes belong to; `subnets` are those of all other networks of the engine.
    `scaled` is what the last `scale` has set, by service, until the next deploy.
    `sleeping` is what the volumes of Redis nodes that don't run say: the role in which the node would start.
    """

    stack: str
    containers: tuple[SeenContainer, ...] = ()
    subnet: str = ""
    remembered: str = ""
    volumes: frozenset[str] = frozenset()
    scaled: Mapping[str, int] = field(default_factory=dict)
    redis: Mapping[str, RedisNode] = field(default_factory=dict)
    sleeping: Mapping[str, RedisNode] = field(default_factory=dict)
    sentinels: Mapping[str, SentinelView] = field(default_factory=dict)
    keys: Mapping[str, str] | None = None
    proxy_fault: str = ""
    withheld: frozenset[str] = frozenset()
    foreign: tuple[Foreign, ...] = ()
    subnets: tuple[str, ...] = ()

    def container(self, name: str) -> SeenContainer | None:
        """Our container of that name, or None."""
        return next((c for c in self.containers if c.name == name), None)

    @property
    def master(self) -> str:
        """The name of the container that is the Redis master now, by most Sentinels' word, else by its own; "" if none says so."""
        by_address = {c.address: c.name for c in self.containers}
        votes: dict[str, int] = {}
        for view in self.sentinels.values():
            votes[view.master] = votes.get(view.master, 0) + 1
        for address in sorted(votes, key=lambda a: -votes[a]):
            name = by_address.get(address, "")
            node = self.redis.get(name)
            if node and node.role == "master":
                return name
        masters = [name for name, node in self.redis.items() if node.role == "master"]
        return max(masters, key=lambda n: (self.redis[n].replicas, self.redis[n].offset), default="")


def choose_subnet(settings: Settings, seen: Observed) -> str:
    """The subnet of the stack's network: the one that stands, the setting's, or the first free /24 of the pool. Raises Conflict."""
    if seen.subnet:
        if settings.network.subnet and settings.network.subnet != seen.subnet:
            raise Conflict(
                _("network {name} stands with {seen}, the setting network.subnet says {wanted}; a network can't be changed").format(
                    name=settings.stack, seen=seen.subnet, wanted=settings.network.subnet
                ),
                _("keep that subnet; or `invoke backup FILE`, `invoke teardown --volumes`, and then again: the volumes remember addresses"),
            )
        return seen.subnet
    wish = settings.network.subnet or seen.remembered
    if seen.remembered and wish != seen.remembered:
        raise Conflict(
            _("the volumes of {name} belong to {remembered}, the setting network.subnet says {wanted}").format(
                name=settings.stack, remembered=seen.remembered, wanted=wish
            ),
            _("Redis and Sentinel note addresses in their volumes: keep the subnet, or remove the data (invoke teardown --volumes)"),
        )
    taken = [IPv4Network(subnet) for subnet in seen.subnets if ":" not in subnet]
    if wish:
        wanted = IPv4Network(wish)
        clash = next((other for other in taken if other.overlaps(wanted)), None)
        if clash:
            raise Conflict(
                _("subnet {wanted} is taken: another network holds {clash}").format(wanted=wanted, clash=clash),
                _("remove that network, or set network.subnet to a free one (nothing: the first free one of the pool)"),
            )
        return str(wanted)
    for candidate in IPv4Network(settings.network.pool).subnets(new_prefix=24):
        if not any(candidate.overlaps(other) for other in taken):
            return str(candidate)
    raise Conflict(_("no free /24 in the pool {pool}").format(pool=settings.network.pool), _("set network.pool or network.subnet to free addresses"))


def likely_subnet(settings: Settings, seen: Observed) -> str:
    """The subnet that the stack has, or would have if nothing stood in its way: to look at what stands where choose_subnet refuses."""
    return seen.subnet or settings.network.subnet or seen.remembered or str(next(IPv4Network(settings.network.pool).subnets(new_prefix=24)))
