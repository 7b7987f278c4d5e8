"""Places a diagram on paper: the request's way is a straight line down the middle, everything else stands beside it.

Row by row: the client, the published ports, what takes the requests (netdata to its left, etcd to its right), the apps, Redis with its
replicas below and the Sentinels to its right. Around them the rooms: the stack's network, and the docker host.
"""

from __future__ import annotations

from .diagram import CLIENT, Diagram
from .paper import Box, Drawing, around, text_width
from .places import place
from .routes import route

AIR, SIGN = 22.0, 28.0


def lay_out(diagram: Diagram) -> Drawing:
    """The diagram with a place for everything. A room's words stand in its lower left corner, where no edge goes."""
    drawing = Drawing(diagram)
    place(drawing)
    route(drawing)
    _build_rooms(drawing)
    return drawing


def _build_rooms(drawing: Drawing) -> None:
    diagram = drawing.diagram
    cards = [drawing.places[card.service] for card in diagram.cards]
    outside = {CLIENT} if not diagram.inside else set()
    within = [box for key, box in drawing.places.items() if key not in outside]
    if cards:
        top = min(box.y for box in cards)
        low = [Box(x, y, 0, 0) for r in drawing.routes for x, y in r.points if y >= top]
        words = [box for r in drawing.routes for box in r.word_boxes if box.y >= top]
        drawing.rooms["network"] = _room([*cards, *low, *words], diagram.network)
        within += [drawing.rooms["network"], *(Box(x, y, 0, 0) for r in drawing.routes for x, y in r.points if y >= top - AIR)]
    drawing.rooms["host"] = _room(within or [Box(-160, 0, 320, 40)], diagram.host)


def _room(boxes: list[Box], words: str) -> Box:
    box = around(boxes, AIR)
    missing = max(0.0, text_width(words, "room") + 2 * AIR - box.w)
    return Box(box.x - missing / 2, box.y, box.w + missing, box.h + SIGN - AIR / 2)
