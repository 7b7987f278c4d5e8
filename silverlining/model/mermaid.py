"""Writes a stack as Mermaid text, which GitHub and many wikis draw by themselves: the same diagram as the SVG."""

from __future__ import annotations

from collections.abc import Iterator

from .diagram import CLIENT, NEW, Card, Diagram, Edge, Live
from .diagram_of import make
from .stack import Stack
from .text import _

# How a line is drawn: a thick one for the request's way, a dotted one for what is not about a request.
ARROWS = {"request": "==>", "answer": "-.-", "port": "-->", "link": "-->", "replication": "-.->", "sentinel": "-.->", "registry": "-.->"}
# Names of containers are long, and a name that is broken can't be copied.
SETUP = '%%{init: {"flowchart": {"wrappingWidth": 480}}}%%'
STYLES = (
    "classDef new stroke:#2da44e,stroke-width:3px",
    "classDef changed stroke:#bf8700,stroke-width:2px",
)


def draw(stack: Stack, before: Stack | None = None, live: Live | None = None) -> str:
    """The picture of a stack as a Mermaid flowchart. What is not in `before` has the class `new`; `live` says what stands now."""
    return "\n".join(_lines(make(stack, before, live))) + "\n"


def _lines(diagram: Diagram) -> Iterator[str]:
    yield SETUP
    yield "flowchart TB"
    yield from (f"%% {note}" for note in (diagram.step, *diagram.notes))
    client = [f"{CLIENT}{_words('([', '])', _('client'), diagram.client)}"] if diagram.client else []
    if not diagram.inside:
        yield from (f"    {line}" for line in client)
    yield f"    subgraph host{_words('[', ']', diagram.host)}"
    yield "        direction TB"
    if diagram.inside:
        yield from (f"        {line}" for line in client)
    for pill in diagram.pills:
        yield f"        {pill.key}{_words('{{', '}}', pill.words)}"
    if diagram.cards:
        yield f"        subgraph network{_words('[', ']', diagram.network)}"
        yield "            direction TB"
        for card in diagram.cards:
            yield from (f"            {line}" for line in _card(card))
        yield "        end"
    else:
        yield f"        engine{_words('[', ']', _('The engine answers. No container stands yet.'))}"
    yield "    end"
    yield from (f"    {_edge(edge)}" for edge in diagram.edges)
    yield from (f"    {line}" for line in _marks(diagram))


def _card(card: Card) -> Iterator[str]:
    mounts = [words for _kind, words in card.mounts]
    yield f"subgraph {card.service}{_words('[', ']', card.service)}"
    for n, cell in enumerate(card.cells, 1):
        key = f"{card.service}-{n}"
        yield f"    {key}{_words('[', ']', cell.name, card.image, cell.address, cell.word, *card.facts, *mounts)}"
        for m, (name, target) in enumerate(cell.volumes, 1):
            yield f"    {key}-volume-{m}{_words('[(', ')]', name or _('anonymous volume'), target)}"
            yield f"    {key} --- {key}-volume-{m}"
    yield "end"


def _edge(edge: Edge) -> str:
    words = f'|"{"<br>".join(map(_escaped, edge.lines))}"|' if edge.lines else ""
    # Mermaid puts what an arrow leads to below: an answer is written the other way round, without one, and the client stays on top.
    source, target = (edge.target, edge.source) if edge.kind == "answer" else (edge.source, edge.target)
    return f"{source} {ARROWS[edge.kind]}{words} {target}"


def _words(opening: str, closing: str, *lines: str) -> str:
    return f'{opening}"{"<br>".join(_escaped(line) for line in lines if line)}"{closing}'


def _escaped(words: str) -> str:
    return words.replace("&", "&amp;").replace('"', "#quot;").replace("<", "&lt;").replace(">", "&gt;")


def _marks(diagram: Diagram) -> Iterator[str]:
    yield from STYLES
    cells = [(f"{card.service}-{n}", cell.mark) for card in diagram.cards for n, cell in enumerate(card.cells, 1)]
    nodes = [*cells, *((card.service, card.mark) for card in diagram.cards), *((pill.key, pill.mark) for pill in diagram.pills)]
    for mark in (NEW, "changed"):
        if marked := [key for key, word in nodes if word == mark]:
            yield f"class {','.join(marked)} {mark}"
    # Mermaid counts the lines as they are written; those to the volumes come first.
    first = sum(len(cell.volumes) for card in diagram.cards for cell in card.cells)
    if fresh := [str(first + n) for n, edge in enumerate(diagram.edges) if edge.mark == NEW]:
        yield f"linkStyle {','.join(fresh)} stroke:#2da44e"
