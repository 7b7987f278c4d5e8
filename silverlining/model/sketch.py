"""The picture for a page: as low as the page asks for, and what is new, made anew or gone in a frame of its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial

from .picture import LAYERS, row_of
from .stack import Container, Stack
from .text import _

# Corners, side and line of the frame by sign: told apart without colour, too.
FRAMES = {sign: tuple(frame) for sign, frame in {"": "┌┐└┘│─", "+": "┏┓┗┛┃━", "~": "╔╗╚╝║═", "-": "╭╮╰╯┊╌"}.items()}
Paint = Callable[[str, str], str]


def sketch(stack: Stack, width: int, signs: Mapping[str, str], most: int = 0) -> list[str]:
    """The picture in lines of at most `width` columns; `signs` are those of containers by name.

    Where it would have more than `most` lines (0: as many as it likes), its boxes are made lower, then put without air between them.
    """
    ways = [_drawn(stack, width, signs, low, air) for low, air in ((False, True), (True, True), (True, False))]
    return next((way for way in ways if not most or len(way) <= most), ways[-1])


def painted(line: str, paint: Paint) -> str:
    """A line of the picture with what stands in a frame of its own painted by paint(sign, text)."""
    for sign in filter(None, FRAMES):
        left, right, bottom, end, side, _line = FRAMES[sign]
        piece = f"{left}[^{right}]*{right}|{bottom}[^{end}]*{end}|{side}[^{side}]*{side}"
        line = re.sub(piece, partial(_paint, paint, sign), line)
    return line


def _paint(paint: Paint, sign: str, found: re.Match[str]) -> str:
    return paint(sign, found[0])


def _drawn(stack: Stack, width: int, signs: Mapping[str, str], low: bool, air: bool) -> list[str]:
    drawn: list[str] = []
    for layer in LAYERS:
        boxes = [_box(c, signs.get(c.name, ""), low) for service in layer for c in stack.of(service)]
        if drawn and boxes and air:
            drawn.append(" " * 10 + "│")
        drawn += row_of(boxes, width) if boxes else []
    return drawn


def _box(c: Container, sign: str, low: bool) -> list[str]:
    ports = " ".join(f"{'' if address else '*'}:{outside}" for address, outside, _inside in c.ports)
    lines = [f"{c.service} {c.index} {ports}".rstrip()] if low else [f"{c.service} {c.index}", c.address, ports or _("private")]
    inner = max(map(len, lines))
    left, right, bottom, end, side, line = FRAMES[sign]
    head = f"{line} {sign} {line * (inner - 2)}" if sign else line * (inner + 2)
    return [f"{left}{head}{right}", *(f"{side} {text.ljust(inner)} {side}" for text in lines), f"{bottom}{line * (inner + 2)}{end}"]
