"""Draws a stack as text for the terminal: the way of a request from the client down to Redis."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from .diagram import Cell, Diagram
from .stack import Container, Stack
from .text import _

LAYERS: tuple[tuple[str, ...], ...] = (
    ("nginx",),
    ("haproxy", "lvs", "etcd"),
    ("django", "ping-app"),
    ("redis-master", "redis-slave"),
    ("sentinel",),
    ("netdata",),
)


def draw(stack: Stack, width: int = 80, diagram: Diagram | None = None) -> str:
    """The picture as lines of at most `width` columns. With the stack's diagram it also tells roles, what is new, and who talks to whom."""
    lines: list[str] = []
    told = {cell.name: cell for card in diagram.cards for cell in card.cells} if diagram else {}
    for layer in LAYERS:
        boxes = [c for service in layer for c in stack.of(service)]
        if not boxes:
            continue
        if lines:
            lines.append("  " + " " * 8 + "│")
        lines += row_of([_box(c, told.get(c.name)) for c in boxes], width)
    if diagram:
        lines += ["", *_talks(diagram, width)]
    return "\n".join(lines)


def _talks(diagram: Diagram, width: int) -> Iterator[str]:
    """The request's way, then every other edge on a line of its own, then what is new or differs."""
    ports = {pill.key: f"{pill.address or '*'}:{pill.outside}" for pill in diagram.pills}

    def said(words: str, indent: str) -> list[str]:
        return textwrap.wrap(words, width, initial_indent="  ", subsequent_indent=indent, break_on_hyphens=False)

    if diagram.way:
        yield from said(" ═▶ ".join(ports.get(station, station) for station in diagram.way), "     ")
    others = [edge for edge in diagram.edges if not edge.way and edge.kind != "port"]
    column = max((len(edge.source) + len(edge.target) + 4 for edge in others), default=0)
    for edge in others:
        yield from said(f"{f'{edge.source} ─▶ {edge.target}'.ljust(column)}  {', '.join(edge.lines)}", "     ")
    for note in diagram.notes:
        yield from said(note, "     ")


def row_of(boxes: list[list[str]], width: int) -> list[str]:
    """Boxes side by side, each given as its lines; in further rows where `width` columns are not enough."""
    lines: list[str] = []
    row: list[list[str]] = []
    used = 2
    for box in boxes:
        if row and used + len(box[0]) + 1 > width:
            lines += _joined(row)
            row, used = [], 2
        row.append(box)
        used += len(box[0]) + 1
    return lines + _joined(row)


def _joined(row: list[list[str]]) -> list[str]:
    high = max(map(len, row))
    equal = [[*box[:-1], *[f"│{' ' * (len(box[0]) - 2)}│"] * (high - len(box)), box[-1]] for box in row]
    return ["  " + " ".join(parts).rstrip() for parts in zip(*equal, strict=True)]


def _box(c: Container, cell: Cell | None) -> list[str]:
    ports = " ".join(f"{'' if address else '*'}:{outside}" for address, outside, _inside in c.ports)
    lines = [f"{c.service} {c.index}", c.address, ports or _("private")]
    if cell and (more := " · ".join(filter(None, (cell.word, cell.mark and _(cell.mark))))):
        lines.append(more)
    inner = max(map(len, lines))
    return [f"┌─{'─' * inner}─┐", *(f"│ {text.ljust(inner)} │" for text in lines), f"└─{'─' * inner}─┘"]
