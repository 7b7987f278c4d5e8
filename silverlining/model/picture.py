"""Draws a stack as text for the terminal: the way of a request from the client down to Redis."""

from __future__ import annotations

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


def draw(stack: Stack, width: int = 80) -> str:
    """The picture as lines of at most `width` columns."""
    lines: list[str] = []
    for layer in LAYERS:
        boxes = [c for service in layer for c in stack.of(service)]
        if not boxes:
            continue
        if lines:
            lines.append("  " + " " * 8 + "│")
        lines += _row(boxes, width)
    return "\n".join(lines)


def _row(boxes: list[Container], width: int) -> list[str]:
    lines: list[str] = []
    row: list[list[str]] = []
    used = 2
    for c in boxes:
        box = _box(c)
        if row and used + len(box[0]) + 1 > width:
            lines += _joined(row)
            row, used = [], 2
        row.append(box)
        used += len(box[0]) + 1
    return lines + _joined(row)


def _joined(row: list[list[str]]) -> list[str]:
    return ["  " + " ".join(parts).rstrip() for parts in zip(*row, strict=True)]


def _box(c: Container) -> list[str]:
    ports = " ".join(f"{'' if address else '*'}:{outside}" for address, outside, _inside in c.ports)
    lines = [f"{c.service} {c.index}", c.address, ports or _("private")]
    inner = max(map(len, lines))
    return [f"┌─{'─' * inner}─┐", *(f"│ {text.ljust(inner)} │" for text in lines), f"└─{'─' * inner}─┘"]
