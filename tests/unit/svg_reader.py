"""Reads a picture back from its SVG, as one that knows nothing of how it was made, and says what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from xml.etree import ElementTree

SVG = "{http://www.w3.org/2000/svg}"
# Parts of the font size that a character takes at most in wide fonts (DejaVu): monospaced, bold, other.
MONO, BOLD, PLAIN = 0.603, 0.67, 0.6
AIR = 3.0

Point = tuple[float, float]


@dataclass(frozen=True)
class Area:
    """A rectangle, with what it is."""

    what: str
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Area, air: float = 0.0) -> bool:
        return self.left < other.right + air and other.left < self.right + air and self.top < other.bottom + air and other.top < self.bottom + air

    def holds(self, other: Area) -> bool:
        return self.left <= other.left and self.top <= other.top and self.right >= other.right and self.bottom >= other.bottom

    def on_edge(self, point: Point) -> bool:
        x, y = point
        inside = self.left - 0.2 <= x <= self.right + 0.2 and self.top - 0.2 <= y <= self.bottom + 0.2
        return inside and (min(abs(x - self.left), abs(x - self.right)) < 0.2 or min(abs(y - self.top), abs(y - self.bottom)) < 0.2)


@dataclass(frozen=True)
class Line:
    """An edge as it is drawn."""

    source: str
    target: str
    kinds: frozenset[str]
    link: str
    points: tuple[Point, ...]
    words: tuple[str, ...]

    @property
    def segments(self) -> list[Area]:
        what = f"{self.source} → {self.target}"
        return [Area(what, min(a[0], b[0]), min(a[1], b[1]), max(a[0], b[0]), max(a[1], b[1])) for a, b in pairwise(self.points)]


@dataclass
class Picture:
    """What is in it. `boxes` are the client, ports and services by key; `owners` says in which area each text has to be."""

    page: Area
    boxes: dict[str, Area] = field(default_factory=dict)
    cells: dict[str, tuple[str, Area]] = field(default_factory=dict)
    rooms: dict[str, Area] = field(default_factory=dict)
    drums: list[tuple[str, str, str, Area]] = field(default_factory=list)
    mounts: list[tuple[str, str]] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    texts: list[tuple[Area, Area | None]] = field(default_factory=list)
    marks: dict[str, frozenset[str]] = field(default_factory=dict)
    words: dict[str, list[str]] = field(default_factory=dict)


def read(svg: str) -> Picture:
    """The picture in an SVG document."""
    root = ElementTree.fromstring(svg)
    x, y, w, h = map(float, root.attrib["viewBox"].split())
    picture = Picture(Area("page", x, y, x + w, y + h))
    _walk(root, picture, None, "", "")
    return picture


def _walk(node: ElementTree.Element, picture: Picture, owner: Area | None, service: str, cell: str) -> None:
    for child in node:
        kinds = frozenset(child.attrib.get("class", "").split())
        if child.tag == f"{SVG}text":
            text = _text(child)
            picture.texts.append((text, owner))
            picture.words.setdefault(cell or service, []).append(text.what)
        elif child.tag == f"{SVG}g":
            inner, name, inside = owner, service, cell
            facts = child.attrib
            if "edge" in kinds:
                picture.lines.append(_line(child, kinds))
            elif "room" in kinds:
                key = next(iter(kinds - {"room"}))
                inner = picture.rooms[key] = _rect(child, key)
            elif "client" in kinds or ("port" in kinds and "data-port" in facts) or "service" in kinds:
                key = "client" if "client" in kinds else f"port-{facts['data-port']}" if "port" in kinds else facts["data-service"]
                assert key not in picture.boxes, f"{key} is there twice"
                inner = picture.boxes[key] = _rect(child, key)
                name, picture.marks[key] = key, kinds
            elif "container" in kinds:
                inside = facts["data-name"]
                assert inside not in picture.cells, f"{inside} is there twice"
                inner = _rect(child, inside)
                picture.cells[inside] = service, inner
                picture.marks[inside] = kinds
            elif "volume" in kinds and "data-volume" in facts:
                inner = _drum(child)
                picture.drums.append((cell, facts["data-volume"], facts["data-target"], inner))
            elif "mount" in kinds:
                picture.mounts.append((service, facts["data-mount"]))
            _walk(child, picture, inner, name, inside)


def _rect(group: ElementTree.Element, what: str) -> Area:
    rects = group.findall(f"{SVG}rect")
    assert len(rects) == 1, what
    x, y, w, h = (float(rects[0].attrib[name]) for name in ("x", "y", "width", "height"))
    return Area(what, x, y, x + w, y + h)


def _drum(group: ElementTree.Element) -> Area:
    path = group.find(f"{SVG}path")
    assert path is not None
    found = re.match(r"M([-\d.]+),([-\d.]+) H([-\d.]+) A([-\d.]+),\S+ 0 0 1 \S+,([-\d.]+)", path.attrib["d"])
    assert found, path.attrib["d"]
    left, top, right, bow, bottom = map(float, found.groups())
    return Area("volume", left - bow, top, right + bow, bottom)


def _line(group: ElementTree.Element, kinds: frozenset[str]) -> Line:
    drawn = [line for line in group.findall(f"{SVG}polyline") if line.attrib["class"] == "line"]
    assert len(drawn) == 1
    points = tuple((float(x), float(y)) for x, y in (pair.split(",") for pair in drawn[0].attrib["points"].split()))
    words = tuple(text.text or "" for text in group.findall(f"{SVG}text"))
    facts = group.attrib
    return Line(facts["data-source"], facts["data-target"], kinds - {"edge"}, facts.get("data-link", ""), points, words)


def _text(node: ElementTree.Element) -> Area:
    kinds = node.attrib["class"].split()
    size, words = float(node.attrib["font-size"]), node.text or ""
    part = MONO if "mono" in kinds else BOLD if {"title", "service", "tag"} & set(kinds) else PLAIN
    wide = size * sum(1.0 if ord(c) > 0x2E80 else part for c in words)
    left = float(node.attrib["x"]) - {"start": 0.0, "middle": wide / 2, "end": wide}[node.attrib.get("text-anchor", "start")]
    base = float(node.attrib["y"])
    return Area(words, left, base - 0.8 * size, left + wide, base + 0.25 * size)


def faults(picture: Picture) -> Iterator[str]:
    """Everything that makes the picture hard to read: nothing may overlap, be cut off, or run through something else."""
    for a, b in combinations(picture.boxes.values(), 2):
        if a.meets(b, AIR):
            yield f"the boxes {a.what} and {b.what} overlap"
    for (_s, a), (_t, b) in combinations(picture.cells.values(), 2):
        if a.meets(b, AIR):
            yield f"the boxes {a.what} and {b.what} overlap"
    yield from _outside(picture)
    for line in picture.lines:
        yield from _line_faults(picture, line)
    for first, second in combinations(picture.lines, 2):
        if any(a.meets(b, 1) for a in first.segments for b in second.segments):
            yield f"the edges {first.source} → {first.target} and {second.source} → {second.target} meet"
    texts = [text for text, _owner in picture.texts]
    for a, b in combinations(texts, 2):
        if a.meets(b):
            yield f"the words {a.what!r} and {b.what!r} overlap"
    for text, owner in picture.texts:
        if owner and not owner.holds(text):
            yield f"the words {text.what!r} leave {owner.what}"
        for room in picture.rooms.values() if owner is None else ():
            if room.meets(text) and not room.holds(text):
                yield f"the words {text.what!r} lie on the border of the room {room.what}"
        for box in picture.boxes.values() if owner is None or owner in picture.rooms.values() else ():
            if text.meets(box):
                yield f"the words {text.what!r} lie on {box.what}"


def _outside(picture: Picture) -> Iterator[str]:
    for name, (service, cell) in picture.cells.items():
        if not picture.boxes[service].holds(cell):
            yield f"{name} leaves {service}"
    for name, _volume, _target, drum in picture.drums:
        if not picture.cells[name][1].holds(drum):
            yield f"a volume leaves {name}"
    host, network = picture.rooms["host"], picture.rooms.get("network")
    for key, box in picture.boxes.items():
        if key.startswith("port-") and (not host.holds(box) or (network and network.meets(box))):
            yield f"{key} is not between host and network"
        if key != "client" and not key.startswith("port-") and not (network and network.holds(box)):
            yield f"{key} leaves the network"
    if network and not host.holds(network):
        yield "the network leaves the host"
    points = [Area("an edge", x, y, x, y) for line in picture.lines for x, y in line.points]
    for area in [*picture.boxes.values(), *picture.rooms.values(), *points, *(text for text, _owner in picture.texts)]:
        if not picture.page.holds(area):
            yield f"{area.what!r} is cut off"


def _line_faults(picture: Picture, line: Line) -> Iterator[str]:
    what = f"{line.source} → {line.target}"
    if not picture.boxes[line.source].on_edge(line.points[0]) or not picture.boxes[line.target].on_edge(line.points[-1]):
        yield f"{what} does not join the two"
    for segment in line.segments:
        if segment.left != segment.right and segment.top != segment.bottom:
            yield f"{what} runs aslant"
        for key, box in picture.boxes.items():
            # Its own two boxes it may touch, but not enter.
            if segment.meets(box, -0.2 if key in (line.source, line.target) else AIR):
                yield f"{what} passes through {key}"
        for text, _owner in picture.texts:
            if segment.meets(text):
                yield f"{what} runs through the words {text.what!r}"
