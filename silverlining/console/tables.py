"""Tables as lines: cells stand below each other, and nothing runs over the edge of a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from .fold import fold

GAP = "  "


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows as lines, as wide as they are."""
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(rows[0]))]
    return [_line(list(map(str, row)), widths) for row in rows]


def fitted(rows: Sequence[Sequence[str]], width: int) -> list[list[str]]:
    """The lines of each row, none wider than `width`. What has no room beside a row's first cells goes below, under the second of them."""
    lines = columns(rows)
    if all(len(line) <= width for line in lines):
        return [[line] for line in lines]
    cells = [_stripped(row) for row in rows]
    # A cell with nothing behind it is in nobody's way: it makes its column no wider.
    widths = [max((len(row[i]) for row in cells if len(row) > i + 1), default=0) for i in range(len(rows[0]))]
    under = widths[0] + len(GAP)
    # What goes on in a further line is indented once more.
    if any(len(word) > width - under - len(GAP) for row in cells for cell in row[1:] for word in cell.split()):
        under = len(GAP)
    # So many cells stand side by side in every row that is broken.
    beside = max((n for n in range(1, len(widths) + 1) if sum(widths[:n]) + len(GAP) * (n - 1) <= width), default=1)
    return [_broken(row, widths, beside, under, width) for row in cells]


def _broken(row: list[str], widths: list[int], beside: int, under: int, width: int) -> list[str]:
    """The lines of one row: its line as it is, or its first cells and the others under them."""
    if len(line := _line(row, widths)) <= width:
        return [line]
    count = next((n for n in range(beside, 1, -1) if len(_line(row[:n], widths)) <= width), 1)
    first = fold(_line(row[:count], widths), width)
    others = [" " * under + line for line in _packed(row[count:], widths[count:], width - under)]
    if count == 1 and others and len(first[-1]) + len(GAP) <= under:
        # The second cell's place is free.
        first, others = [*first[:-1], first[-1] + others[0][len(first[-1]) :]], others[1:]
    return [*first, *others]


def _packed(cells: list[str], widths: list[int], width: int) -> list[str]:
    """Cells below those of other rows if that can be, else as many on a line as there is room for."""
    if len(line := _line(cells, widths)) <= width:
        return [line] if line else []
    lines: list[str] = []
    for cell in filter(None, cells):
        if lines and len(lines[-1]) + len(GAP) + len(cell) <= width:
            lines[-1] += GAP + cell
        else:
            lines += fold(cell, width)
    return lines


def _stripped(row: Sequence[str]) -> list[str]:
    """The cells without empty ones at the end."""
    cells = [str(cell) for cell in row]
    while len(cells) > 1 and not cells[-1]:
        cells.pop()
    return cells


def _line(cells: list[str], widths: list[int]) -> str:
    return GAP.join(cell.ljust(width) for cell, width in zip(cells, widths, strict=False)).rstrip()
