"""A service says all about itself: everything that becomes a flag of `docker run`, a line of Compose and part of the hash."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

SECRETS = "secrets"


@dataclass(frozen=True)
class Port:
    """A container port published on the host port that the setting `ports.<setting>` names; beyond loopback only if `public`."""

    container: int
    setting: str
    public: bool = False


@dataclass(frozen=True)
class Volume:
    """A named volume at `target`: the container's own (`<stack>-<service>-N`), or the stack's `shared` one (`<stack>-<shared>`)."""

    target: str
    shared: str = ""
    read_only: bool = False


@dataclass(frozen=True)
class Bind:
    """A directory of the docker host at `target`. Only netdata (/proc, /sys) and step03's code use one."""

    source: str
    target: str
    read_only: bool = True


@dataclass(frozen=True)
class Health:
    """A shell command inside the container that exits with 0 when it is healthy. Times in seconds."""

    command: str
    timeout: int = 3
    retries: int = 3
    start_period: int = 20


@dataclass(frozen=True)
class Service:
    """One service of a topology; `count` containers of it, `scaled` by the setting `counts.<name>`.

    Texts in `command`, `environment` and `binds` may hold the placeholders that `stack.resolve` fills: {stack}, {vip}, …
    `address` is the host number of the first container inside the stack's subnet; the next container has the next one.
    `after` names services that must be healthy before a container of this one is replaced.
    """

    name: str
    image: str
    address: int
    count: int = 1
    scaled: bool = False
    command: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    ports: tuple[Port, ...] = ()
    volumes: tuple[Volume, ...] = ()
    binds: tuple[Bind, ...] = ()
    tmpfs: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    aliases: tuple[str, ...] = ()
    numbered_alias: str = ""
    after: tuple[str, ...] = ()
    health: Health | None = None
    mend: tuple[str, ...] = ()
    user: str = ""
    cap_add: tuple[str, ...] = ()
    sysctls: tuple[tuple[str, str], ...] = ()
    read_only: bool = True
    memory: int = 128
    cpus: float = 1.0
    restart: str = "unless-stopped"
    stop_signal: str = "SIGTERM"
    stop_grace: int = 10
    entry: str = ""

    def but(self, **changes: Any) -> Service:
        """The same service with some fields changed."""
        return replace(self, **changes)

    @property
    def uses_secrets(self) -> bool:
        """Whether a volume of the stack's secrets is mounted."""
        return any(volume.shared == SECRETS for volume in self.volumes)
