"""The Mermaid text: parsed line by line, it says what the topology says, each part once."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

import pytest

import steps
from silverlining.model import mermaid

from .builders import stack
from .test_svg import EVERY, SIZES, after_failover, before

NODE = re.compile(r'([\w-]+)(\(\[|\{\{|\[\(|\[)"(.*?)"(\]\)|\}\}|\)\]|\])')
EDGE = re.compile(r'([\w-]+) (==>|-->|-\.->|-\.-|---)(?:\|"(.*?)"\|)? ([\w-]+)')


@dataclass
class Chart:
    """What a Mermaid text says: nodes and subgraphs (words, the subgraph they are in), edges, classes, marked edges."""

    nodes: dict[str, tuple[list[str], str]] = field(default_factory=dict)
    rooms: dict[str, tuple[list[str], str]] = field(default_factory=dict)
    edges: list[tuple[str, str, str, list[str]]] = field(default_factory=list)
    classes: dict[str, str] = field(default_factory=dict)
    fresh: list[int] = field(default_factory=list)


def parse(text: str) -> Chart:
    """The chart; whatever isn't understood is a failure."""
    chart, inside = Chart(), [""]
    setup, head, *lines = text.splitlines()
    assert setup.startswith("%%{init:") and head == "flowchart TB"
    for line in map(str.strip, lines):
        if line.startswith(("%% ", "classDef ")) or line == "direction TB":
            continue
        if line == "end":
            inside.pop()
        elif found := re.fullmatch(rf"subgraph {NODE.pattern}", line):
            assert found[1] not in chart.rooms, line
            chart.rooms[found[1]] = found[3].split("<br>"), inside[-1]
            inside.append(found[1])
        elif found := NODE.fullmatch(line):
            assert found[1] not in chart.nodes, line
            chart.nodes[found[1]] = found[3].split("<br>"), inside[-1]
        elif found := EDGE.fullmatch(line):
            chart.edges.append((found[1], found[4], found[2], found[3].split("<br>") if found[3] else []))
        elif found := re.fullmatch(r"class ([\w,-]+) (new|changed)", line):
            chart.classes |= dict.fromkeys(found[1].split(","), found[2])
        elif found := re.fullmatch(r"linkStyle ([\d,]+) stroke:#\w+", line):
            chart.fresh = [int(number) for number in found[1].split(",")]
        else:
            raise AssertionError(f"not understood: {line}")
    assert inside == [""], "a subgraph has no end"
    for source, target, _arrow, _words in chart.edges:
        assert {source, target} <= chart.nodes.keys() | chart.rooms.keys(), f"{source} or {target} is nowhere"
    return chart


@pytest.mark.parametrize(("step", "size"), EVERY)
def test_everything_of_the_topology_is_there_once(step: str, size: str) -> None:
    made = stack(step, **SIZES[size])
    chart = parse(mermaid.draw(made, before(step, **SIZES[size])))
    topology = made.topology
    services = [s.name for s in topology.services]
    assert Counter(chart.rooms.keys()) == Counter(["host", *(["network", *services] if services else [])])
    assert all(chart.rooms[name] == ([name], "network") for name in services)
    containers = {node[0][0]: (node[1], node[0]) for key, node in chart.nodes.items() if node[1] in services and "-volume-" not in key}
    assert {name: service for name, (service, _words) in containers.items()} == {c.name: c.service for c in made.containers}
    assert all(c.image.reference in containers[c.name][1] for c in made.containers)
    ports = {f"port-{outside}": [f"{address or '*'}:{outside} → {inside}"] for c in made.containers for address, outside, inside in c.ports}
    assert {key: words for key, (words, _room) in chart.nodes.items() if key.startswith("port-")} == ports
    links = [(source, target, words[-1]) for source, target, _arrow, words in chart.edges if words and words[-1].startswith("link ")]
    assert sorted(links) == sorted((s.name, other, f"link {alias}") for s in topology.services for other, alias in s.links)
    own = sum(m.kind == "volume" and m.source == c.name for c in made.containers for m in c.mounts)
    assert sum("-volume-" in key for key in chart.nodes) == own == sum(arrow == "---" for _s, _t, arrow, _w in chart.edges)
    assert ("client" in chart.nodes) == bool(topology.entry)


@pytest.mark.parametrize("step", steps.NAMES[1:])
def test_the_thick_lines_are_the_way_of_a_request(step: str) -> None:
    made = stack(step)
    chart = parse(mermaid.draw(made))
    thick = {source: target for source, target, arrow, _words in chart.edges if arrow == "==>"}
    at, length = "client", 0
    while at in thick:
        at, length = thick[at], length + 1
    assert length == len(thick) and at == ("redis-master" if made.topology.has("redis-master") else made.topology.services[0].name)


def test_what_is_new_is_marked() -> None:
    chart = parse(mermaid.draw(stack("step05-sentinel"), stack("step04-image")))
    assert {key for key, mark in chart.classes.items() if mark == "changed"} == {"ping-app-1"}
    assert {"redis-slave", "redis-slave-1", "sentinel", "sentinel-3"} < chart.classes.keys() and "redis-master" not in chart.classes
    fresh = {(chart.edges[n][0], chart.edges[n][1]) for n in chart.fresh}
    assert ("sentinel", "redis-slave") in fresh and ("ping-app", "redis-master") not in fresh
    assert not parse(mermaid.draw(stack("step05-sentinel"))).classes


def test_roles_as_they_are() -> None:
    made = stack("step05-sentinel")
    chart = parse(mermaid.draw(made, live=after_failover(made)))
    assert "master" in chart.nodes["redis-slave-2"][0] and "missing" in chart.nodes["ping-app-1"][0]
    assert ("ping-app", "redis-slave", "==>") in [edge[:3] for edge in chart.edges]


def test_words_that_mermaid_would_read_are_escaped() -> None:
    text = mermaid.draw(stack("step03-redis"), live=after_failover(stack("step05-sentinel")).__class__(words={"silver-django-1": 'a "b" <c>'}))
    assert "a #quot;b#quot; &lt;c&gt;" in text and parse(text)


def test_the_parser_finds_what_is_wrong() -> None:
    good = mermaid.draw(stack("step08-netdata"))
    other = good.replace('haproxy["haproxy"]', 'proxy["haproxy"]')
    for broken in (
        good.replace("        end\n", "", 1),
        good + "what is this\n",
        other,
        good + good,
    ):
        with pytest.raises(AssertionError):
            parse(broken)
