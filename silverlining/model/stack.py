"""A stack: a topology made concrete for one host, every name, address, port, label and hash settled."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from ipaddress import IPv4Network
from typing import Any

from . import labels
from .service import Bind, Health, Service
from .settings import Settings
from .topology import Topology

VIP = 9
FIRST_DYNAMIC = 128
# What a service writes as the source of a bind that is the application's own directory.
CODE = "{code}"
LOG_OPTIONS = {"max-size": "10m", "max-file": "3"}


@dataclass(frozen=True)
class ImageRef:
    """An image as it is on the host: the reference to run, and the hash of what it is made from (whichever rung it came by)."""

    name: str
    reference: str
    fingerprint: str


@dataclass(frozen=True)
class Mount:
    """A volume (`kind` "volume", by name) or a directory of the host ("bind", by path) at `target`."""

    kind: str
    source: str
    target: str
    read_only: bool


@dataclass(frozen=True)
class Copy:
    """A directory of the machine where this runs whose content goes to `target` before the container starts; `digest` stands for that content."""

    source: str
    target: str
    digest: str


@dataclass(frozen=True)
class Code:
    """The application's directory. Without a `digest` it is mounted from where it is; with one the docker host can't, and it is copied there."""

    path: str
    digest: str = ""


@dataclass(frozen=True)
class Network:
    """The stack's one network. `ip_range` is what Docker hands out by itself; the fixed addresses lie outside it."""

    name: str
    subnet: str
    labels: tuple[tuple[str, str], ...]

    @property
    def gateway(self) -> str:
        """The bridge's address."""
        return address_of(self.subnet, 1)

    @property
    def ip_range(self) -> str:
        """The second half of the first /24 of the subnet."""
        return f"{address_of(self.subnet, FIRST_DYNAMIC)}/25"


@dataclass(frozen=True)
class NamedVolume:
    """A named volume to be there before a container uses it."""

    name: str
    labels: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Container:
    """One container with everything that `docker run` is told about it. Memory in MiB, times in seconds."""

    name: str
    service: str
    index: int
    stack: str
    step: str
    image: ImageRef
    network: str
    address: str
    command: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    ports: tuple[tuple[str, int, int], ...]
    mounts: tuple[Mount, ...]
    tmpfs: tuple[str, ...]
    links: tuple[tuple[str, str], ...]
    aliases: tuple[str, ...]
    health: Health | None
    health_interval: int
    mend: tuple[str, ...]
    after: tuple[str, ...]
    user: str
    cap_add: tuple[str, ...]
    sysctls: tuple[tuple[str, str], ...]
    read_only: bool
    memory: int
    cpus: float
    restart: str
    stop_signal: str
    stop_grace: int
    copies: tuple[Copy, ...] = ()

    @cached_property
    def spec(self) -> str:
        """Hash of the definition: 12 hex digits. The step that made it, and the rung the image came by, are not part of it."""
        facts = asdict(self) | {"log": LOG_OPTIONS}
        for aside in ("step", "after", "mend", "copies"):
            del facts[aside]
        facts["image"] = self.image.fingerprint
        if self.copies:
            facts["copies"] = [(copy.target, copy.digest) for copy in self.copies]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def labels(self) -> dict[str, str]:
        """The labels that the container carries."""
        return {
            labels.STACK: self.stack,
            labels.SERVICE: self.service,
            labels.INDEX: str(self.index),
            labels.SPEC: self.spec,
            labels.MADE_BY: self.step,
        }

    @property
    def uses_secrets(self) -> bool:
        """Whether the stack's secrets are mounted."""
        return any(mount.source == f"{self.stack}-secrets" for mount in self.mounts)


@dataclass(frozen=True)
class Stack:
    """What must stand on the host. `scaled` are the counts that are not those of the settings and hold until the next deploy."""

    name: str
    topology: Topology
    settings: Settings
    network: Network
    volumes: tuple[NamedVolume, ...]
    containers: tuple[Container, ...]
    tools: ImageRef
    scaled: Mapping[str, int] = field(default_factory=dict)

    def of(self, service: str) -> tuple[Container, ...]:
        """The containers of a service, in order of their number."""
        return tuple(c for c in self.containers if c.service == service)

    @property
    def vip(self) -> str:
        """The virtual address of step06-lvs."""
        return address_of(self.network.subnet, VIP)

    @property
    def secrets(self) -> str:
        """The name of the volume with the stack's secrets."""
        return f"{self.name}-secrets"

    @property
    def note(self) -> str:
        """The name of the volume whose label says what was scaled."""
        return f"{self.name}-scaled"

    def servers(self) -> dict[str, str]:
        """What etcd must hold: key → address:port of each app container, where the registry is etcd."""
        if self.topology.registry != "etcd":
            return {}
        return {server_key(c.index): f"{c.address}:8000" for c in self.of("ping-app")}


# Step07's lesson puts it and deletes it again; what is left of a lesson that was killed, the next run deletes.
LESSON_KEY = "/app/servers/lesson"


def server_key(index: int) -> str:
    """etcd's key of the app server with that number, as the article names it."""
    return f"/app/servers/app{index}"


def address_of(subnet: str, number: int) -> str:
    """The address with that host number in the subnet."""
    return str(IPv4Network(subnet)[number])


def count_of(service: Service, settings: Settings) -> int:
    """How many containers of the service there must be."""
    return settings.counts[service.name] if service.scaled else service.count


def resolve(topology: Topology, settings: Settings, subnet: str, images: Mapping[str, ImageRef], code: Code) -> Stack:
    """Makes the topology concrete. `code` is what step03 runs without an image of its own. Raises KeyError without an image."""
    name = settings.stack
    network = Network(name, subnet, tuple(labels.network(name).items()))
    fill = _placeholders(topology, settings, subnet)
    containers = tuple(
        _container(topology, service, index, settings, network, images[service.image], fill, code)
        for service in topology.services
        for index in range(1, count_of(service, settings) + 1)
    )
    names = {m.source for c in containers for m in c.mounts if m.kind == "volume" and m.source}
    volumes = tuple(NamedVolume(v, tuple(labels.volume(name, v.removeprefix(f"{name}-"), subnet).items())) for v in sorted(names))
    return Stack(name, topology, settings, network, volumes, containers, images["tools"])


def _placeholders(topology: Topology, settings: Settings, subnet: str) -> dict[str, str]:
    reals = []
    if topology.has("ping-app"):
        app = topology.service("ping-app")
        reals = [address_of(subnet, app.address + n) for n in range(count_of(app, settings))]
    return {
        "stack": settings.stack,
        "vip": address_of(subnet, VIP),
        "reals": ",".join(reals),
        "allowed_hosts": ",".join(settings.app.allowed_hosts),
        "redis_deadline": f"{settings.app.redis_deadline:g}",
    }


def _container(
    topology: Topology, service: Service, index: int, settings: Settings, network: Network, image: ImageRef, fill: Mapping[str, str], code: Code
) -> Container:
    stack = settings.stack
    name = container_name(stack, service.name, index)
    mounts = [Mount("volume", f"{stack}-{v.shared}" if v.shared else name, v.target, v.read_only) for v in service.volumes]
    copied = [b for b in service.binds if b.source == CODE and code.digest]
    mounts += [_bind(b, "" if b in copied else code.path) for b in service.binds]
    numbered = (f"{service.numbered_alias}{index}",) if service.numbered_alias else ()
    return Container(
        name=name,
        service=service.name,
        index=index,
        stack=stack,
        step=topology.step,
        image=image,
        network=network.name,
        address=address_of(network.subnet, service.address + index - 1),
        command=tuple(part.format_map(fill) for part in service.command),
        environment=tuple((key, value.format_map(fill)) for key, value in service.environment),
        ports=tuple(
            ("" if port.public else "127.0.0.1", getattr(settings.ports, port.setting) + index - 1, port.container) for port in service.ports
        ),
        mounts=tuple(mounts),
        tmpfs=service.tmpfs,
        links=tuple((container_name(stack, other, 1), alias) for other, alias in service.links),
        aliases=(service.name, *numbered, *service.aliases),
        health=service.health,
        health_interval=settings.health.interval,
        mend=service.mend,
        after=service.after,
        user=service.user,
        cap_add=service.cap_add,
        sysctls=service.sysctls,
        read_only=service.read_only,
        memory=service.memory,
        cpus=settings.app.cpus if service.name == "ping-app" else service.cpus,
        restart=service.restart,
        stop_signal=service.stop_signal,
        stop_grace=service.stop_grace,
        copies=tuple(Copy(code.path, b.target, code.digest) for b in copied),
    )


def _bind(bind: Bind, code: str) -> Mount:
    # Without a path, a volume without a name: it goes with its container, and takes the copy although the rest is read-only.
    source = bind.source.format(code=code)
    return Mount("bind", source, bind.target, bind.read_only) if source else Mount("volume", "", bind.target, False)


def container_name(stack: str, service: str, index: int) -> str:
    """`<stack>-<service>-N`, always with the number."""
    return f"{stack}-{service}-{index}"


def template_variables(settings: Settings) -> dict[str, Any]:
    """The variables that the templates in conf/ may use."""
    return {
        "stack": settings.stack,
        "app": {
            "servers": settings.counts["ping-app"],
            "worker_class": settings.app.worker_class,
            "workers": settings.app.workers,
            "threads": settings.app.threads,
        },
        "haproxy": {
            "maxconn": settings.haproxy.maxconn,
            "threads": settings.haproxy.threads,
            "check_ms": int(settings.haproxy.check * 1000),
        },
        "sentinel": {
            "quorum": settings.counts["sentinel"] // 2 + 1,
            "down_after_ms": int(settings.redis.down_after * 1000),
            "failover_timeout_ms": int(settings.redis.failover_timeout * 1000),
        },
        "etcd": {"url": "http://etcd:2379"},
        "netdata": {"update_every": 1, "retention": 1800, "look_every": 2},
    }
