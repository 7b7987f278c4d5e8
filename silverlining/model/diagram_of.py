"""Derives the diagram from a stack: its cards, its published ports, and its edges, which say who talks to whom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from .compose import STEP as COMPOSE
from .diagram import APPS, CHANGED, CLIENT, NEW, Card, Cell, Diagram, Edge, Live, Pill
from .entry import entry_of, url_of
from .stack import Container, Mount, Stack
from .text import _


def make(stack: Stack, before: Stack | None = None, live: Live | None = None) -> Diagram:
    """The diagram of a stack; what is not in `before` is marked as new. With `live` it shows roles and states as they are now."""
    live = live or Live()
    specs = {c.name: c.spec for c in before.containers} if before else {c.name: c.spec for c in stack.containers}
    cards = tuple(_card(stack, s.name, specs, live) for s in stack.topology.services)
    # A failover makes other edges, and they are not the step's news.
    fresh = {edge.identity for edge in _edges(stack, Live())} - {edge.identity for edge in _edges(before or stack, Live())}
    edges = tuple(replace(edge, mark=NEW if edge.identity in fresh else "") for edge in _edges(stack, live))
    pills = tuple(_pills(stack, set(_ports(before or stack))))
    return Diagram(
        step=stack.topology.step,
        stack=stack.name,
        since=before.topology.step if before else "",
        notes=tuple(_notes(stack, before, cards, live)),
        client=url_of(stack),
        inside=not any(pill.entry and not pill.address for pill in pills),
        host=_("docker host"),
        network=_network_words(stack),
        cards=cards,
        pills=pills,
        edges=edges,
    )


def _network_words(stack: Stack) -> str:
    if not stack.containers:
        return ""
    words = _("network {name} · {subnet}").format(name=stack.network.name, subnet=stack.network.subnet)
    return f"{words} · {_('made by Docker Compose')}" if stack.topology.step == COMPOSE else words


def _notes(stack: Stack, before: Stack | None, cards: tuple[Card, ...], live: Live) -> Iterator[str]:
    if live.differences:
        yield _("as it stands: {differences}").format(differences="; ".join(live.differences))
    if not before:
        return
    there = {s.name for s in before.topology.services}
    new = []
    for card in cards:
        more = sum(cell.mark == NEW for cell in card.cells)
        if card.mark or more:
            new.append(f"{card.service} +{more}" if card.service in there else card.service)
    groups = (
        (_("new"), new),
        (_("changed"), [card.service for card in cards if any(cell.mark == CHANGED for cell in card.cells)]),
        (_("gone"), [s.name for s in before.topology.services if not stack.topology.has(s.name)]),
    )
    words = "; ".join(f"{word}: {', '.join(names)}" for word, names in groups if names)
    yield _("since {step}, {words}").format(step=before.topology.step, words=words or _("the same services"))


def _card(stack: Stack, name: str, specs: Mapping[str, str], live: Live) -> Card:
    containers = stack.of(name)
    facts = [_("address {vip} as well").format(vip=stack.vip)] if stack.topology.vip and name == "lvs" else []
    facts += [_("{vip} on lo as well").format(vip=stack.vip)] if stack.topology.vip and name in APPS else []
    mounts = tuple((m.kind, _mount_words(m)) for m in containers[0].mounts if not _own(containers[0], m))
    return Card(name, _short(containers[0].image.reference), tuple(_cell(stack, c, specs, live) for c in containers), mounts, tuple(facts))


def _cell(stack: Stack, c: Container, specs: Mapping[str, str], live: Live) -> Cell:
    # Compose's containers of a scaled service have addresses and volumes of Docker's choice; what stands has told its address.
    alike = stack.topology.step == COMPOSE and stack.topology.service(c.service).scaled
    volumes = tuple(("" if alike else m.source, m.target) for m in c.mounts if _own(c, m))
    mark = NEW if c.name not in specs else CHANGED if specs[c.name] != c.spec else ""
    return Cell(
        c.name,
        _("any address") if alike and c.name not in live.words else c.address,
        live.words.get(c.name, ""),
        volumes,
        mark,
        c.name in live.faults,
    )


def _own(c: Container, mount: Mount) -> bool:
    return mount.kind == "volume" and mount.source == c.name


def _mount_words(mount: Mount) -> str:
    return f"{_short(mount.source)}:{mount.target}{':ro' if mount.read_only else ''}"


def _short(words: str, most: int = 48) -> str:
    """A reference or path that is not too long for a box: its end says most."""
    words = words.split("@sha256:")[0]
    return words if len(words) <= most else "…" + words[1 - most :]


def _ports(stack: Stack) -> Iterator[tuple[str, str, int, int]]:
    for c in stack.containers:
        for address, outside, inside in c.ports:
            yield c.service, address, outside, inside


def _pills(stack: Stack, known: set[tuple[str, str, int, int]]) -> Iterator[Pill]:
    entry = entry_of(stack)
    for port in _ports(stack):
        service, address, outside, inside = port
        yield Pill(service, address, outside, inside, entry is not None and outside == entry[1], "" if port in known else NEW)


def _edges(stack: Stack, live: Live) -> Iterator[Edge]:
    """Each edge once; a link that runs along another edge in the same direction is told by that one."""
    links = {(s.name, other): alias for s in stack.topology.services for other, alias in s.links}
    for edge in _talks(stack, live):
        alias = links.pop((edge.source, edge.target), "") if edge.kind != "replication" else ""
        yield replace(edge, link=alias)
    for (source, target), alias in links.items():
        yield Edge(source, target, "link", link=alias)


def _talks(stack: Stack, live: Live) -> Iterator[Edge]:
    topology = stack.topology
    names = [s.name for s in topology.services]
    apps = [name for name in APPS if name in names]
    balancer = next((name for name in ("haproxy", "lvs") if name in names), "")
    for pill in _pills(stack, set()):
        if pill.entry:
            yield Edge(CLIENT, pill.key, "request", way=True)
        yield Edge(pill.key, pill.service, "request" if pill.entry else "port", way=pill.entry)
    if topology.vip and balancer:
        yield Edge(CLIENT, balancer, "request", _("virtual address {vip}").format(vip=stack.vip), way=True)
    for app in apps:
        if balancer:
            yield Edge(balancer, app, "request", _("same packet, new MAC") if topology.vip else _("HTTP, in turn"), way=True)
        if topology.vip:
            yield Edge(app, CLIENT, "answer", _("answers, straight back"))
    if topology.registry == "etcd":
        yield Edge("haproxy", "etcd", "registry", _("confd watches"))
        yield from (Edge(app, "etcd", "registry", _("registered by key")) for app in apps)
    yield from _redis_talks(stack, live, apps)


def _redis_talks(stack: Stack, live: Live, apps: list[str]) -> Iterator[Edge]:
    nodes = [s.name for s in stack.topology.services if s.name.startswith("redis-")]
    master = next((c.service for c in stack.containers if c.name == live.master), "redis-master" if not live.words else "")
    linked = {s.name for s in stack.topology.services for other, _alias in s.links if other in nodes}
    for app in apps:
        if app in linked and master in nodes:
            yield Edge(app, master, "request", "" if master == "redis-master" else _("the master now"), way=True)
        if "SENTINELS" in dict(stack.topology.service(app).environment):
            yield Edge(app, "sentinel", "sentinel", _("asks for the master"))
    if master:
        yield from (Edge(master, other, "replication", _("replication")) for other in nodes if other != master)
    if stack.topology.has("sentinel"):
        yield from (Edge("sentinel", node, "sentinel", _("watches")) for node in nodes)
