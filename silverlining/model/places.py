"""How large the parts of a picture are, and where they stand."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .diagram import APPS, CLIENT, ENTRIES, Card, Cell, Diagram
from .paper import CHANNEL, GAP, LINE, PAD, PILL, SIDE, Box, Drawing, text_width
from .text import _


def cell_size(cell: Cell) -> tuple[float, float]:
    """Width and height of a container's box."""
    second = text_width(cell.address, "small") + (text_width(cell.word or cell.mark, "tag") + GAP if cell.word or cell.mark else 0)
    third = text_width(cell.mark, "tag") if cell.word and cell.mark else 0
    volumes = [text_width(volume_words(name, target), "small") + 30 for name, target in cell.volumes]
    wide = max(text_width(cell.name, "name"), second + (third + GAP if third else 0), *volumes, 0)
    return wide + 2 * PAD, 42 + 24.0 * len(cell.volumes)


def volume_words(name: str, target: str) -> str:
    """What stands in a volume's box; its name is the container's, or none."""
    return (_("volume {target}") if name else _("anonymous volume {target}")).format(target=target)


def columns(card: Card) -> int:
    """How many containers stand side by side."""
    count = len(card.cells)
    if card.service == "sentinel":
        return 1 if count <= 5 else 2
    return count if count <= 3 else 2 if count == 4 else 3 if count <= 9 else math.ceil(math.sqrt(count / 2.5))


HEAD = 46.0


def _card_size(card: Card) -> tuple[float, float]:
    sizes = [cell_size(cell) for cell in card.cells]
    wide, high = max(w for w, _h in sizes), max(h for _w, h in sizes)
    across = columns(card)
    down = math.ceil(len(sizes) / across)
    head = text_width(card.service, "service") + (text_width(card.mark, "tag") + 2 * GAP if card.mark else 0)
    lines = [text_width(words, "small") + 22 for _kind, words in card.mounts] + [text_width(words, "small") for words in card.facts]
    inner = max(across * wide + (across - 1) * GAP, head, text_width(card.image, "image"), *lines, 0)
    return inner + 2 * PAD, HEAD + down * high + (down - 1) * GAP + LINE * len(lines) + PAD + (6 if lines else 0)


def _put(drawing: Drawing, card: Card, box: Box) -> None:
    """The card at its place, and its containers inside; what the box has in height beyond their need lies between them."""
    drawing.places[card.service] = box
    sizes = [cell_size(cell) for cell in card.cells]
    wide, high = max(w for w, _h in sizes), max(h for _w, h in sizes)
    across = columns(card)
    down = math.ceil(len(sizes) / across)
    gap = GAP + (box.h - _card_size(card)[1]) / max(1, down - 1)
    left = box.x + (box.w - across * wide - (across - 1) * GAP) / 2
    for n, cell in enumerate(card.cells):
        column, row = n % across, n // across
        drawing.cells[cell.name] = Box(left + column * (wide + GAP), box.y + HEAD + row * (high + gap), wide, high)


# ---- where they stand


def place(drawing: Drawing) -> None:
    """Gives the client, the published ports, the services and their containers their places, row by row."""
    diagram = drawing.diagram
    names = [card.service for card in diagram.cards]
    apps = next((name for name in names if name in APPS), "")
    front = next((name for name in names if name in ENTRIES), apps)
    data = [name for name in ("redis-master", "redis-slave") if name in names]
    right = [name for name in ("etcd",) if name in names]
    left = [name for name in names if name not in (front, apps, "sentinel", *data, *right)]
    y = 0.0
    if diagram.client:
        wide = max(text_width(diagram.client, "name"), text_width(_("client"), "service")) + 2 * PAD
        drawing.places[CLIENT] = Box(-wide / 2, y, wide, 44)
        y += 44 + (44 if diagram.inside else 60)
    top = y + (PILL if diagram.pills else 0) + 52
    if not front:
        return
    row = _first_row(drawing, front, left, right, top)
    for name in row:
        drawing.places |= _pills_at(drawing, name, 0.0 if name == front else drawing.places[name].middle[0], y)
    bottom = max(drawing.places[name].bottom for name in row)
    if apps and apps != front:
        wide, _high = _card_size(_card(diagram, apps))
        bottom = _stand(drawing, apps, -wide / 2, bottom + CHANNEL).bottom
    _place_data(drawing, data, bottom + CHANNEL)


def _first_row(drawing: Drawing, front: str, left: Sequence[str], right: Sequence[str], top: float) -> tuple[str, ...]:
    """What takes the requests in the middle, wide enough for all of its ports to stand above it; the others beside it."""
    diagram = drawing.diagram
    wide, _high = _card_size(_card(diagram, front))
    pills = _pills_at(drawing, front, 0.0, 0.0).values()
    wide = max(wide, _pills_width(diagram, front), *(2 * (abs(pill.middle[0]) + 2 * PAD) for pill in pills))
    start = _stand(drawing, front, -wide / 2, top, wide).x
    end = max([wide / 2, *(pill.right for pill in pills)])
    for name in right:
        words = [text_width(line, "label") + 34 for e in diagram.edges if (e.source, e.target) == (front, name) for line in e.lines]
        end = _stand(drawing, name, end + max(SIDE, *words, 0.0), top).right
    for name in reversed(left):
        wide = max(_card_size(_card(diagram, name))[0], _pills_width(diagram, name))
        start = _stand(drawing, name, start - SIDE - wide, top).x
    return (front, *left, *right)


def _stand(drawing: Drawing, name: str, x: float, top: float, wide: float = 0.0) -> Box:
    """Puts a service's card there, as wide as it must be or is to be."""
    card = _card(drawing.diagram, name)
    least, high = _card_size(card)
    _put(drawing, card, Box(x, top, max(wide, least, _pills_width(drawing.diagram, name)), high))
    return drawing.places[name]


def _card(diagram: Diagram, name: str) -> Card:
    card = diagram.card(name)
    if card is None:
        raise KeyError(name)
    return card


def _pill_width(words: str) -> float:
    return text_width(words, "small") + 2 * PAD


def _pills_width(diagram: Diagram, service: str) -> float:
    widths = [_pill_width(pill.words) for pill in diagram.pills if pill.service == service]
    return sum(widths) + GAP * max(0, len(widths) - 1)


def _pills_at(drawing: Drawing, service: str, x: float, y: float) -> dict[str, Box]:
    """A service's published ports in a row: the one for requests exactly at `x` and the others to its right, or all of them around `x`."""
    pills = sorted((p for p in drawing.diagram.pills if p.service == service), key=lambda p: not p.entry)
    if not pills:
        return {}
    first = _pill_width(pills[0].words)
    left = x - (first if pills[0].entry else _pills_width(drawing.diagram, service)) / 2
    found = {}
    for pill in pills:
        found[pill.key] = Box(left, y, _pill_width(pill.words), PILL)
        left = found[pill.key].right + GAP
    return found


def _place_data(drawing: Drawing, names: Sequence[str], top: float) -> None:
    """Redis one under the other, and the Sentinels beside them, as high as they are together."""
    diagram = drawing.diagram
    y = top
    for name in names:
        wide, _high = _card_size(_card(diagram, name))
        y = _stand(drawing, name, -wide / 2, y).bottom + CHANNEL
    card = diagram.card("sentinel")
    if card:
        gap = max((text_width(line, "label") for e in diagram.edges if e.source == "sentinel" for line in e.lines), default=0.0) + 34
        wide, high = _card_size(card)
        left = max((drawing.places[name].right for name in names), default=0.0) + gap
        _put(drawing, card, Box(left, top, wide, max(high, y - CHANNEL - top)))
