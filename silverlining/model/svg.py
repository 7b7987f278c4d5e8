"""Draws a stack as SVG: readable in light and in dark, its words real text, its parts marked with data attributes."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from .diagram import CLIENT, NEW, Card, Cell, Diagram, Live, Pill
from .diagram_of import make
from .layout import lay_out
from .paper import FONTS, LINE, PAD, Box, Drawing, Route, text_width
from .places import volume_words
from .stack import Stack
from .svg_style import STYLE
from .text import _

MARGIN = 20.0
NARROWEST = 600.0
MONO = ("image", "name", "small")
KINDS = ("request", "answer", "port", "link", "replication", "sentinel", "registry")


def draw(stack: Stack, before: Stack | None = None, *, title: str = "", live: Live | None = None) -> str:
    """The picture of a stack as an SVG document.

    What is not in `before` (the stack of an earlier step) is marked as new. `title` stands above, by default the step's name;
    `live` says what stands now (roles, states, differences).
    """
    drawing = lay_out(make(stack, before, live))
    return "\n".join(_document(drawing, title or stack.topology.step)) + "\n"


def _document(drawing: Drawing, title: str) -> Iterator[str]:
    diagram = drawing.diagram
    host = drawing.rooms["host"]
    everything = [host, *drawing.places.values()]
    left, right = min(b.x for b in everything), max(b.right for b in everything)
    wide = max(right - left, NARROWEST, text_width(title, "title"))
    x = (left + right - wide) / 2
    notes = [line for note in diagram.notes for line in textwrap.wrap(note, max(20, int(wide / text_width("n", "note"))))]
    top = min(b.y for b in everything)
    head = top - 20 - LINE * len(notes)
    legend = list(_legend(diagram, x, wide, host.bottom + 30))
    low = (max(y for _part, y in legend) if legend else host.bottom) + MARGIN
    view = Box(x - MARGIN, head - 28, wide + 2 * MARGIN, low - head + 28)
    name = f"sl-{diagram.step}"
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="sl-picture" role="img" aria-labelledby="{name}-title {name}-words"'
        f' viewBox="{_px(view.x)} {_px(view.y)} {_px(view.w)} {_px(view.h)}" width="{_px(view.w)}" height="{_px(view.h)}">'
    )
    yield f'<title id="{name}-title">{escape(title)}</title>'
    yield f'<desc id="{name}-words">{escape(_in_words(diagram))}</desc>'
    yield f"<style>{STYLE}</style>"
    yield "<defs>"
    for kind in KINDS:
        yield (
            f'<marker id="{name}-{kind}" class="arrow {kind}" viewBox="0 0 10 10" refX="9.5" refY="5" markerWidth="10" markerHeight="10"'
            ' markerUnits="userSpaceOnUse" orient="auto"><path d="M0,0.8 L10,5 L0,9.2 z"/></marker>'
        )
    yield "</defs>"
    yield _rect(view, "page")
    yield _text(title, x, head, "title")
    for n, note in enumerate(notes, 1):
        yield _text(note, x, head + 4 + LINE * n, "note", "muted")
    for key, words in (("host", diagram.host), ("network", diagram.network)):
        if key in drawing.rooms:
            box = drawing.rooms[key]
            yield f'<g class="room {key}">{_rect(box, "", 10)}{_text(words, box.x + 14, box.bottom - 12, "room", "muted")}</g>'
    if not diagram.cards:
        yield _text(_("The engine answers. No container stands yet."), host.middle[0], host.y + 46, "note", "", "middle")
    for route in drawing.routes:
        yield _edge(route, name)
    if CLIENT in drawing.places:
        box = drawing.places[CLIENT]
        yield f'<g class="client">{_rect(box, "box", 22)}{_text(_("client"), box.middle[0], box.y + 18, "service", "", "middle")}'
        yield _text(diagram.client, box.middle[0], box.y + 34, "name", "", "middle") + "</g>"
    yield from (_pill(pill, drawing.places[pill.key]) for pill in diagram.pills)
    for card in diagram.cards:
        yield from _card(card, drawing)
    yield from (part for part, _y in legend)
    yield "</svg>"


def _in_words(diagram: Diagram) -> str:
    """The picture for who can't see it: the request's way and the services."""
    ports = {pill.key: pill.words for pill in diagram.pills}
    way = " → ".join(ports.get(station, station) for station in diagram.way)
    services = ", ".join(f"{card.service} ({len(card.cells)})" for card in diagram.cards)
    return " ".join(filter(None, (_("A request's way: {way}.").format(way=way) if way else "", f"{services}." if services else "", *diagram.notes)))


# ---- parts


def _edge(route: Route, name: str) -> str:
    edge = route.edge
    points = " ".join(f"{_px(x)},{_px(y)}" for x, y in route.points)
    facts = f'data-source="{edge.source}" data-target="{edge.target}"' + (f" data-link={quoteattr(edge.link)}" if edge.link else "")
    halo = f'<polyline class="halo" points="{points}"/>' if edge.mark else ""
    words = "".join(_text(line, x, y, "label", "", route.anchor) for line, (x, y) in route.words)
    classes = " ".join(filter(None, ("edge", edge.kind, "way" if edge.way else "", edge.mark)))
    line = f'<polyline class="line" points="{points}" marker-end="url(#{name}-{edge.kind})"/>'
    return f'<g class="{classes}" {facts}>{halo}{line}{words}</g>'


def _pill(pill: Pill, box: Box) -> str:
    classes = " ".join(filter(None, ("port", "public" if not pill.address else "", pill.mark)))
    words = _text(pill.words, box.middle[0], box.y + 17, "small", "", "middle")
    return f'<g class="{classes}" data-port="{pill.outside}" data-service="{pill.service}">{_rect(box, "box", 13)}{words}</g>'


def _card(card: Card, drawing: Drawing) -> Iterator[str]:
    box = drawing.places[card.service]
    yield f'<g class="{_classes("service", card.mark)}" data-service="{card.service}">{_rect(box, "box", 8)}'
    yield _text(card.service, box.x + PAD, box.y + 20, "service") + _text(card.image, box.x + PAD, box.y + 36, "image", "muted")
    if card.mark:
        yield _text(_mark_words(card.mark), box.right - PAD, box.y + 20, "tag", "fresh", "end")
    for cell in card.cells:
        yield _cell(cell, drawing.cells[cell.name], bool(card.mark))
    y = max(drawing.cells[cell.name].bottom for cell in card.cells) + 6
    for words in card.facts:
        y += LINE
        yield _text(words, box.x + PAD, y, "small", "muted")
    for kind, words in card.mounts:
        y += LINE
        icon = _cylinder(Box(box.x + PAD, y - 9, 15, 10), "icon") if kind == "volume" else _folder(box.x + PAD, y - 10)
        yield f'<g class="mount" data-mount={quoteattr(words)}>{icon}{_text(words, box.x + PAD + 22, y, "small", "muted")}</g>'
    yield "</g>"


def _cell(cell: Cell, box: Box, told: bool) -> str:
    parts = [f'<g class="{_classes("container", cell.mark, "fault" if cell.fault else "")}" data-name="{cell.name}">', _rect(box, "box", 5)]
    parts += [_text(cell.name, box.x + PAD, box.y + 17, "name"), _text(cell.address, box.x + PAD, box.y + 33, "small", "muted")]
    right = box.right - PAD
    if cell.mark and not told:
        parts.append(_text(_mark_words(cell.mark), right, box.y + 33, "tag", "fresh" if cell.mark == NEW else "otherwise", "end"))
        right -= text_width(_mark_words(cell.mark), "tag") + 8
    if cell.word:
        parts.append(_text(cell.word, right, box.y + 33, "tag", "word", "end"))
    for n, (name, target) in enumerate(cell.volumes):
        place = Box(box.x + PAD, box.y + 40 + 24 * n, box.w - 2 * PAD, 20)
        facts = f"data-volume={quoteattr(name)} data-target={quoteattr(target)}"
        hover = f"<title>{escape(name)}</title>" if name else ""
        parts.append(f'<g class="volume" {facts}>{hover}{_cylinder(place, "drum")}')
        parts.append(_text(volume_words(name, target), place.x + 18, place.y + 14, "small") + "</g>")
    return "".join(parts) + "</g>"


def _mark_words(mark: str) -> str:
    return _("new") if mark == NEW else _("changed")


def _classes(*names: str) -> str:
    return " ".join(filter(None, names))


def _legend(diagram: Diagram, x: float, wide: float, y: float) -> Iterator[tuple[str, float]]:
    """The signs and what they mean, only those that are there; each part with the height that it reaches down to."""
    names = {
        "request": _("a request's way"),
        "answer": _("the answer's way"),
        "link": _("Docker link"),
        "replication": _("data copied"),
        "sentinel": _("Sentinel: watches, tells"),
        "registry": _("the list of servers"),
        "port": _("published port, this host only"),
    }
    there = {edge.kind for edge in diagram.edges}
    items = [(kind, words) for kind, words in names.items() if kind in there]
    marks = [edge.mark for edge in diagram.edges] + [pill.mark for pill in diagram.pills] + [c.mark for card in diagram.cards for c in card.cells]
    if NEW in marks:
        items.append((NEW, _("new since {step}").format(step=diagram.since)))
    if any(name for card in diagram.cards for cell in card.cells for name, _target in cell.volumes):
        items.append(("volume", _("volume, named as its container")))
    at = x
    for kind, words in items:
        needed = 42 + text_width(words, "label")
        if at > x and at + needed > x + wide:
            at, y = x, y + 22
        if kind == NEW:
            sample = _rect(Box(at, y - 11, 32, 14), "box", 4)
        elif kind == "volume":
            sample = _cylinder(Box(at, y - 11, 32, 14), "drum")
        else:
            sample = f'<polyline class="line" points="{_px(at)},{_px(y - 4)} {_px(at + 32)},{_px(y - 4)}"/>'
        yield f'<g class="legend {kind}">{sample}{_text(words, at + 40, y, "label")}</g>', y
        at += needed + 22


# ---- elements


def _px(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")


def _rect(box: Box, css: str, round: float = 0) -> str:
    corner = f' rx="{_px(round)}"' if round else ""
    return f'<rect class="{css}" x="{_px(box.x)}" y="{_px(box.y)}" width="{_px(box.w)}" height="{_px(box.h)}"{corner}/>'


def _text(words: str, x: float, y: float, font: str, css: str = "", anchor: str = "start") -> str:
    where = f' text-anchor="{anchor}"' if anchor != "start" else ""
    classes = _classes(font, "mono" if font in MONO else "", css)
    return f'<text class="{classes}" x="{_px(x)}" y="{_px(y)}" font-size="{FONTS[font][0]:g}"{where}>{escape(words)}</text>'


def _cylinder(box: Box, css: str) -> str:
    """A drum that lies on its side."""
    bow = box.h / 4
    x, y, right, bottom = _px(box.x + bow), _px(box.y), _px(box.right - bow), _px(box.bottom)
    arc = f"{_px(bow)},{_px(box.h / 2)} 0 0"
    return f'<path class="{css}" d="M{x},{y} H{right} A{arc} 1 {right},{bottom} H{x} A{arc} 1 {x},{y} A{arc} 1 {x},{bottom}"/>'


def _folder(x: float, y: float) -> str:
    return f'<path class="icon" d="M{_px(x)},{_px(y + 11)} v-10 h5 l2,2 h8 v8 z"/>'
