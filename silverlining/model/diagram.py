"""What a picture shows, whichever way it is drawn: services with their containers, published ports, volumes, and who talks to whom.

diagram_of.py derives it from a stack: each service, container, published port, link and mount is in it once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .text import _

ENTRIES = ("nginx", "haproxy", "lvs")
APPS = ("django", "ping-app")
CLIENT = "client"
NEW, CHANGED = "new", "changed"


@dataclass(frozen=True)
class Live:
    """What stands on a host now: each container's role or state in a word, which of them are not well, what differs from the step.

    All by container name; each container of the stack has its word, if only "". `master` is the Redis that is master, "" where none says so.
    """

    words: Mapping[str, str] = field(default_factory=dict)
    faults: frozenset[str] = frozenset()
    master: str = ""
    differences: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cell:
    """One container. `volumes` are its own: (name, target), without a name if Docker gives one. `mark` is "", NEW or CHANGED."""

    name: str
    address: str
    word: str
    volumes: tuple[tuple[str, str], ...]
    mark: str
    fault: bool


@dataclass(frozen=True)
class Card:
    """One service. `mounts` are what all its containers share, (kind, words as `docker run --volume` takes them); `facts` further lines."""

    service: str
    image: str
    cells: tuple[Cell, ...]
    mounts: tuple[tuple[str, str], ...]
    facts: tuple[str, ...]

    @property
    def mark(self) -> str:
        """NEW if all its containers are, else ""."""
        return NEW if all(cell.mark == NEW for cell in self.cells) else ""


@dataclass(frozen=True)
class Pill:
    """A published port; `entry` if a client's request comes in by it."""

    service: str
    address: str
    outside: int
    inside: int
    entry: bool
    mark: str

    @property
    def key(self) -> str:
        """The node's name for edges."""
        return f"port-{self.outside}"

    @property
    def words(self) -> str:
        """As people read it: the host's side, the container's side. A star stands for all addresses."""
        return f"{self.address or '*'}:{self.outside} → {self.inside}"


@dataclass(frozen=True)
class Edge:
    """Who talks to whom, between services, ports and the client. `way` if a request goes along it; `link` is the alias of a Docker link.

    Kinds: request, answer, port (published, but not the request's way), link, replication, sentinel, registry.
    """

    source: str
    target: str
    kind: str
    label: str = ""
    link: str = ""
    way: bool = False
    mark: str = ""

    @property
    def lines(self) -> tuple[str, ...]:
        """What stands beside it."""
        return tuple(filter(None, (self.label, _("link {alias}").format(alias=self.link) if self.link else "")))

    @property
    def identity(self) -> tuple[str, ...]:
        """What makes it the same edge in another step."""
        return (self.source, self.target, self.kind, self.link)


@dataclass(frozen=True)
class Diagram:
    """The whole. `network` and `host` are the words on the rooms; `client` is "" where nothing serves, `inside` if it must be on the docker host."""

    step: str
    stack: str
    since: str
    notes: tuple[str, ...]
    client: str
    inside: bool
    host: str
    network: str
    cards: tuple[Card, ...]
    pills: tuple[Pill, ...]
    edges: tuple[Edge, ...]

    def card(self, service: str) -> Card | None:
        """The card of a service, or None."""
        return next((card for card in self.cards if card.service == service), None)

    @property
    def way(self) -> tuple[str, ...]:
        """The stations of a request, from the client on."""
        ahead = {edge.source: edge.target for edge in self.edges if edge.way}
        stations = [CLIENT] if CLIENT in ahead else []
        while stations and (following := ahead.get(stations[-1])):
            stations.append(following)
        return tuple(stations)
