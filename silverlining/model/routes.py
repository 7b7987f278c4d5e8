"""The edges' ways: straight where they can be, in the free space between the rows where they can't."""

from __future__ import annotations

from .diagram import APPS, Edge
from .paper import CHANNEL, LINE, Box, Drawing, Point, Route, text_width


def route(drawing: Drawing) -> None:
    """Gives every edge its way; what it joins must have its place."""
    edges = drawing.diagram.edges
    drawing.routes += [_way(drawing, edge) for edge in edges if edge.kind != "answer"]
    for edge in (edge for edge in edges if edge.kind == "answer"):
        # Left of all that stands and of all that is said.
        left = min(box.x for box in (*drawing.places.values(), *(box for route in drawing.routes for box in route.word_boxes)))
        drawing.routes.append(_around(edge, drawing.places[edge.source], drawing.places[edge.target], left - 28))


def _way(drawing: Drawing, edge: Edge) -> Route:
    a, b = drawing.places[edge.source], drawing.places[edge.target]
    pair = (edge.source, edge.target)
    if edge.source == "sentinel" or pair == ("haproxy", "etcd"):
        return _across(edge, a, b)
    if edge.source in APPS and edge.target == "redis-slave":
        return _past(drawing, edge, a, b)
    if edge.source in APPS and edge.target in ("sentinel", "etcd"):
        return _aside(edge, a, b)
    if edge.source.startswith("redis-"):
        side = -1 if edge.kind == "replication" else 1
        x = 40.0 * side
        return _down(edge, a, b, x, "end" if side < 0 else "start")
    return _down(edge, a, b, a.middle[0], "end")


def _beside(edge: Edge, points: tuple[Point, ...], x: float, middle: float, anchor: str) -> Route:
    """The edge with its words beside a vertical line, around the height `middle`."""
    first = middle - LINE * (len(edge.lines) - 1) / 2 + 4
    at = x + (8 if anchor == "start" else -8)
    return Route(edge, points, tuple((line, (at, first + LINE * n)) for n, line in enumerate(edge.lines)), anchor)


def _down(edge: Edge, a: Box, b: Box, x: float, anchor: str) -> Route:
    """Straight down, or straight up."""
    start, end = (a.bottom, b.y) if a.y < b.y else (a.y, b.bottom)
    return _beside(edge, ((x, start), (x, end)), x, (start + end) / 2, anchor)


def _across(edge: Edge, a: Box, b: Box) -> Route:
    """Straight to the left or right, its first words above the line and the others below it, in the space that all such lines have."""
    y = b.middle[1] if edge.source == "sentinel" else min(a.middle[1], b.middle[1])
    start, end = (a.right, b.x) if a.x < b.x else (a.x, b.right)
    wide = max((text_width(line, "label") for line in edge.lines), default=0.0)
    x = (start - wide / 2 - 14) if start > end else (end - wide / 2 - 22)
    words = tuple((line, (x, y - 6 if n == 0 else y + LINE * n)) for n, line in enumerate(edge.lines))
    return Route(edge, ((start, y), (end, y)), words, "middle")


def _aside(edge: Edge, a: Box, b: Box) -> Route:
    """To a box of the next row that stands further right: straight if they overlap, else with two bends."""
    up = b.y < a.y
    start, end = (a.y, b.bottom) if up else (a.bottom, b.y)
    low, high = max(a.x, b.x) + 24, min(a.right, b.right) - 24
    x = min(max(b.middle[0], low), high) if low <= high else b.middle[0]
    turn = start + (end - start) * 0.3
    points = ((x, start), (x, end)) if low <= high else ((a.right - 24, start), (a.right - 24, turn), (x, turn), (x, end))
    return _beside(edge, points, x, (turn + end) / 2, "start")


def _past(drawing: Drawing, edge: Edge, a: Box, b: Box) -> Route:
    """From the apps to replicas of which one is the master now: to the left of what stands between."""
    x = min(b.x, drawing.places["redis-master"].x) - 28
    start = (max(min(x, a.right), a.x + 20), a.bottom)
    y = b.middle[1]
    turn = a.bottom + CHANNEL * 0.65
    bend = () if start[0] == x else ((start[0], turn), (x, turn))
    return _beside(edge, (start, *bend, (x, y), (b.x, y)), x, drawing.places["redis-master"].middle[1], "end")


def _around(edge: Edge, a: Box, b: Box, x: float) -> Route:
    """Out to the left, up, and back to the middle, the words half-way up."""
    points = ((a.x, a.middle[1]), (x, a.middle[1]), (x, b.middle[1]), (b.x, b.middle[1]))
    return _beside(edge, points, x, a.middle[1] - (a.middle[1] - b.middle[1]) * 0.4, "end")
