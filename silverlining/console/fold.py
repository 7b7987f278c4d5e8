"""Lines and pages for a screen of a given size: nothing wider than it, nothing that scrolls away."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

STYLE = re.compile(r"\x1b\[[0-9;]*m")
WORD = re.compile(r"\s+|(?:\x1b\[[0-9;]*m|\S)+")
# What a program may send to move the cursor or to clear: on a page it would do that to us.
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-ln-z]|\x1b[^\[]|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f]")
BREAK = None


def columns(text: str) -> int:
    """How many columns the text takes; styles take none, a Chinese character two."""
    from rich.cells import cell_len

    return cell_len(STYLE.sub("", text))


def fold(line: str, width: int) -> list[str]:
    """The line in lines of at most `width` columns, broken between words where that can be, the further ones under its beginning."""
    line = CONTROL.sub("", line.expandtabs())
    if columns(line) <= width:
        return [line]
    indent = " " * min(len(line) - len(line.lstrip(" ")) + 2, width // 2)
    lines, current, used = [], "", 0
    for word in WORD.findall(line):
        size = columns(word)
        if used + size > width and current.strip():
            lines.append(current.rstrip())
            if word.isspace():
                current, used = indent, len(indent)
                continue
            current, used = indent, len(indent)
        for part in _pieces(word, width - used, width - len(indent)):
            if used + columns(part) > width:
                lines.append(current)
                current, used = indent, len(indent)
            current += part
            used += columns(part)
    return [*lines, current.rstrip()]


def _pieces(word: str, first: int, others: int) -> list[str]:
    """A word in pieces of which the first takes at most `first` columns, the others at most `others`; styles stay whole."""
    if columns(word) <= first:
        return [word]
    pieces, piece, room = [], "", max(first, 1)
    for bit in re.findall(r"\x1b\[[0-9;]*m|.", word):
        if piece and columns(piece + bit) > room:
            pieces.append(piece)
            piece, room = "", others
        piece += bit
    return [*pieces, piece]


def pages(lines: Sequence[str | None], room: int) -> list[list[str]]:
    """The lines in pages of at most `room`. Where more than one is needed, a page ends at a BREAK if that can be. At least one page."""
    blocks: list[list[str]] = [[]]
    for line in lines:
        if line is BREAK:
            blocks.append([])
        else:
            blocks[-1].append(line)
    if sum(map(len, blocks)) <= room:
        return [_trimmed(line for block in blocks for line in block)]
    found: list[list[str]] = [[]]
    for block in map(_trimmed, blocks):
        # A page that is less than half full takes the beginning of what doesn't fit.
        if len(found[-1]) * 2 >= room and len(found[-1]) + 1 + len(block) > room:
            found.append([])
        elif found[-1] and block:
            found[-1].append("")
        for line in block:
            if len(found[-1]) >= room:
                found.append([])
            found[-1].append(line)
    return [page for page in found if page] or [[]]


def _trimmed(lines: Iterable[str]) -> list[str]:
    """The lines without empty ones at the beginning and at the end."""
    kept = list(lines)
    while kept and not kept[0].strip():
        kept.pop(0)
    while kept and not kept[-1].strip():
        kept.pop()
    return kept
