"""Tables as lines: cells stand below each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .fold import fold

GAP = "  "


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows as lines."""
    widths = _widths(rows)
    return [_line(row, widths) for row in rows]


def fitted(rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """The rows as lines. Where a line would be wider than `width` columns, the row's last cell goes on lines of its own, under its second."""
    return list(_fitted(rows, width))


def _fitted(rows: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    widths = _widths(rows)
    for row in rows:
        line = _line(row, widths)
        if len(line) <= width or len(row) < 3:
            yield line
            continue
        yield _line(row[:-1], widths)
        indent = " " * (widths[0] + len(GAP))
        yield from (indent + part for part in fold(str(row[-1]), width - len(indent)))


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(len(str(row[i])) for row in rows) for i in range(len(rows[0]))]


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    return GAP.join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip()
