"""Paper to draw on: boxes, words with the room that they take, and what a drawing consists of. All lengths in pixels."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field

from .diagram import Diagram, Edge

# Size, and the room that a character takes as part of it: more than common fonts need, so that words never meet.
FONTS: dict[str, tuple[float, float]] = {
    "title": (17, 0.68),
    "note": (12, 0.62),
    "service": (14, 0.70),
    "image": (11, 0.62),
    "name": (12, 0.62),
    "small": (11, 0.62),
    "label": (11.5, 0.62),
    "room": (12, 0.62),
    "tag": (11, 0.70),
}
PAD, GAP, CHANNEL, LINE = 12.0, 10.0, 68.0, 15.0
SIDE = 48.0
PILL = 26.0

Point = tuple[float, float]


def text_width(words: str, font: str) -> float:
    """The most that the words may take: exact, so that every Python draws the same (its own sum adds more exactly since 3.12)."""
    size, part = FONTS[font]
    return size * math.fsum(1.0 if unicodedata.east_asian_width(c) in "WF" else part for c in words)


@dataclass(frozen=True)
class Box:
    """A rectangle."""

    x: float
    y: float
    w: float
    h: float

    @property
    def right(self) -> float:
        """The right side."""
        return self.x + self.w

    @property
    def bottom(self) -> float:
        """The lower side."""
        return self.y + self.h

    @property
    def middle(self) -> Point:
        """The centre."""
        return self.x + self.w / 2, self.y + self.h / 2


@dataclass(frozen=True)
class Route:
    """An edge's way: points, and its words, each with the place where it begins (`anchor` "start"), ends ("end") or has its middle."""

    edge: Edge
    points: tuple[Point, ...]
    words: tuple[tuple[str, Point], ...]
    anchor: str

    @property
    def word_boxes(self) -> tuple[Box, ...]:
        """The room that its words take."""
        return tuple(words_box(words, at, "label", self.anchor) for words, at in self.words)


def words_box(words: str, at: Point, font: str, anchor: str = "start") -> Box:
    """The room that words take whose baseline is at a place."""
    wide, (size, _part) = text_width(words, font), FONTS[font]
    left = at[0] - {"start": 0.0, "end": wide, "middle": wide / 2}[anchor]
    return Box(left, at[1] - size, wide, size * 1.3)


@dataclass
class Drawing:
    """Everything with its place. `places` holds each node's box by key: the client, ports by `port-N`, services; `cells` containers by name."""

    diagram: Diagram
    places: dict[str, Box] = field(default_factory=dict)
    cells: dict[str, Box] = field(default_factory=dict)
    routes: list[Route] = field(default_factory=list)
    rooms: dict[str, Box] = field(default_factory=dict)
    page: Box = field(default_factory=lambda: Box(0, 0, 0, 0))


def around(boxes: Iterable[Box], pad: float) -> Box:
    """The smallest box around all of them, with some air."""
    many = list(boxes)
    left, top = min(b.x for b in many) - pad, min(b.y for b in many) - pad
    return Box(left, top, max(b.right for b in many) + pad - left, max(b.bottom for b in many) + pad - top)
