"""The SVG pictures: read back, they say what the topology says, each part once; nothing overlaps, crosses or is cut off; both themes can be read."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest

import steps
from silverlining.model import svg
from silverlining.model.diagram import Live
from silverlining.model.stack import Stack
from silverlining.model.svg_style import DARK, LIGHT

from .builders import stack
from .svg_reader import Picture, faults, read

SIZES: dict[str, dict[str, Any]] = {
    "plain": {},
    "scaled": {"counts_ping_app": 9, "counts_redis_slave": 5, "counts_sentinel": 5},
    "one": {"stack": "a", "counts_ping_app": 1, "counts_redis_slave": 1, "counts_sentinel": 3},
    "most": {"counts_ping_app": 90, "counts_redis_slave": 9, "counts_sentinel": 9, "stack": "w" * 31, "ports_web": 65535},
}
EVERY = [(step, size) for step in steps.NAMES for size in SIZES]


def before(step: str, **given: Any) -> Stack | None:
    """The stack of the step that this one derives from."""
    topology = getattr(steps.load(step), "BEFORE", None)
    return stack(topology.step, **given) if topology else None


def drawn(step: str, size: str = "plain", **more: Any) -> tuple[Stack, Picture]:
    made = stack(step, **SIZES[size])
    return made, read(svg.draw(made, before(step, **SIZES[size]), title=f"{step}: {steps.load(step).LESSON.title}", **more))


def after_failover(made: Stack) -> Live:
    """A replica has become the master; an app is missing."""
    master = made.of("redis-slave")[-1].name
    words = {c.name: "" for c in made.containers}
    words |= {c.name: "master" if c.name == master else "replica, link down" for c in made.containers if c.service.startswith("redis")}
    missing = made.of("ping-app")[-1].name
    return Live(words | {missing: "missing"}, frozenset({missing}), master, ("ping-app 2 of 3", "nginx as well"))


@pytest.mark.parametrize(("step", "size"), EVERY)
def test_everything_of_the_topology_is_there_once(step: str, size: str) -> None:
    made, picture = drawn(step, size)
    topology = made.topology
    services = {s.name for s in topology.services}
    ports = {f"port-{outside}" for c in made.containers for _a, outside, _i in c.ports}
    assert picture.boxes.keys() == services | ports | ({"client"} if topology.entry else set())
    assert {name: service for name, (service, _area) in picture.cells.items()} == {c.name: c.service for c in made.containers}
    links = sorted((s.name, other, alias) for s in topology.services for other, alias in s.links)
    assert sorted((line.source, line.target, line.link) for line in picture.lines if line.link) == links
    for line in picture.lines:
        assert [words for words in line.words if words.startswith("link ")] == ([f"link {line.link}"] if line.link else [])
    for c in made.containers:
        for address, outside, inside in c.ports:
            assert picture.words[f"port-{outside}"] == [f"{address or '*'}:{outside} → {inside}"]
            assert [line.target for line in picture.lines if line.source == f"port-{outside}"] == [c.service]
    assert {"host", "network"} >= picture.rooms.keys() and ("network" in picture.rooms) == bool(services)


@pytest.mark.parametrize("step", steps.NAMES)
def test_each_container_with_name_image_address_and_volumes(step: str) -> None:
    made, picture = drawn(step)
    for c in made.containers:
        alike = step == "step09-compose" and made.topology.service(c.service).scaled
        assert c.name in picture.words[c.name] and ("any address" if alike else c.address) in picture.words[c.name]
        assert c.image.reference in picture.words[c.service] and c.service in picture.words[c.service]
        own = [(("" if alike else m.source), m.target) for m in c.mounts if m.kind == "volume" and m.source == c.name]
        assert [(volume, target) for name, volume, target, _area in picture.drums if name == c.name] == own
    shared = {(c.service, f"{m.source}:{m.target}{':ro' * m.read_only}") for c in made.containers for m in c.mounts if m.source != c.name}
    assert sorted(picture.mounts) == sorted(shared)
    text = svg.draw(made)
    assert (made.network.name in text and made.network.subnet in text) == bool(made.containers)


@pytest.mark.parametrize(("step", "size"), EVERY[len(SIZES) :])
def test_the_way_of_a_request_leads_from_the_client_to_redis(step: str, size: str) -> None:
    made, picture = drawn(step, size)
    way = {line.source: line for line in picture.lines if "way" in line.kinds}
    at, seen = "client", [picture.boxes["client"].top]
    while at in way:
        line = way.pop(at)
        assert line.points[0][0] == line.points[-1][0], f"{at} → {line.target} is not straight down"
        at = line.target
        seen.append(picture.boxes[at].top)
        assert sum((picture.boxes[at].left, picture.boxes[at].right)) / 2 == pytest.approx(line.points[0][0], abs=0.1), f"{at} is not in the middle"
    assert not way and seen == sorted(seen)
    assert at == ("redis-master" if made.topology.has("redis-master") else made.topology.services[0].name)


def test_redis_and_sentinel_edges() -> None:
    _made, picture = drawn("step05-sentinel")
    found = {(line.source, line.target, kind) for line in picture.lines for kind in line.kinds & {"replication", "sentinel"}}
    assert found == {
        ("redis-master", "redis-slave", "replication"),
        ("ping-app", "sentinel", "sentinel"),
        ("sentinel", "redis-master", "sentinel"),
        ("sentinel", "redis-slave", "sentinel"),
    }


@pytest.mark.parametrize(("step", "size"), EVERY)
def test_nothing_overlaps_crosses_or_is_cut_off(step: str, size: str) -> None:
    _made, picture = drawn(step, size)
    assert list(faults(picture)) == []


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("step", [name for name in steps.NAMES if steps.load(name).TOPOLOGY.has("sentinel")])
def test_nor_after_a_failover(step: str, size: str) -> None:
    live = after_failover(stack(step, **SIZES[size]))
    made, picture = drawn(step, size, live=live)
    assert list(faults(picture)) == []
    way = [(line.source, line.target) for line in picture.lines if "way" in line.kinds]
    assert ("ping-app", "redis-slave") in way and ("ping-app", "redis-master") not in way
    assert sorted((line.source, line.target) for line in picture.lines if line.link) == sorted(
        (s.name, other) for s in made.topology.services for other, _alias in s.links
    )
    assert "master" in picture.words[live.master] and "fault" in picture.marks[made.of("ping-app")[-1].name]


@pytest.mark.parametrize("step", [name for name in steps.NAMES if steps.load(name).TOPOLOGY.has("redis-master")])
def test_where_no_redis_is_master_a_request_does_not_come_so_far(step: str) -> None:
    made = stack(step)
    picture = read(svg.draw(made, live=Live({c.name: "" for c in made.containers})))
    assert list(faults(picture)) == []
    assert not any("way" in line.kinds and line.target.startswith("redis") for line in picture.lines)
    assert not any("replication" in line.kinds for line in picture.lines)
    assert [line.link for line in picture.lines if line.target == "redis-master" and line.source in ("django", "ping-app")] == ["db"]


def test_a_pair_of_words_in_another_script_is_measured_wide() -> None:
    made = stack("step08-netdata")
    assert list(faults(read(svg.draw(made, title="容器" * 30, live=Live(differences=("服务" * 40,)))))) == []


@pytest.mark.parametrize(
    ("part", "instead", "fault"),
    (
        (r'(class="service" data-service="etcd"><rect class="box" x=)"[-\d.]+"', r'\g<1>"-90"', "the boxes haproxy and etcd overlap"),
        (r'(silver-ping-app-2"><rect class="box" x=)"[-\d.]+"', r'\g<1>"-900"', "silver-ping-app-2 leaves ping-app"),
        (r'(silver-ping-app-2"><rect class="box" x=)"[-\d.]+"', r'\g<1>"-200"', "the boxes silver-ping-app-1 and silver-ping-app-2 overlap"),
        (r'(data-target="redis-slave"><polyline class="line" points=)"-40,', r'\g<1>"-140,', "redis-master → redis-slave runs aslant"),
        (r'(data-source="ping-app" data-target="sentinel"><polyline class="line" points=)"', r'\g<1>"0,0 ', "passes through"),
        (r'(data-link="etcd"><polyline class="line" points=")[-\d.]+', r"\g<1>170", "haproxy → etcd does not join the two"),
        (r'(<text class="label" x="[-\d.]+" y=")[-\d.]+(" \S+ text-anchor="end">HTTP)', r"\g<1>220\2", "'HTTP, in turn' lie on haproxy"),
        (r'(<text class="label" x=")[-\d.]+(" y="[-\d.]+" \S+ text-anchor="end">HTTP)', r"\g<1>20\2", "runs through the words 'HTTP, in turn'"),
        (r'(<text class="label" x="[-\d.]+" y=")[-\d.]+(" \S+ text-anchor="end">HTTP)', r"\g<1>158\2", "on the border of the room network"),
        (r">registered by key<", f">{'registered ' * 30}<", "is cut off"),
        (r'(class="name mono" x="[-\d.]+" y=")([-\d.]+)(" font-size="12">silver-etcd-1)', r"\g<1>258\3", "overlap"),
        (r'(viewBox="\S+) \S+ ', r"\g<1> 900 ", "is cut off"),
    ),
)
def test_the_checks_of_a_picture_can_fail(part: str, instead: str, fault: str) -> None:
    good = svg.draw(stack("step08-netdata"))
    broken, times = re.subn(part, instead, good, count=1)
    assert times == 1 and broken != good
    assert any(fault in found for found in faults(read(broken))), list(faults(read(broken)))


def test_what_is_there_twice_is_found() -> None:
    good = svg.draw(stack("step08-netdata"))
    group = re.search(r'<g class="port" data-port="8404".*?</g>', good)
    assert group
    with pytest.raises(AssertionError, match="port-8404 is there twice"):
        read(good.replace(group[0], group[0] * 2))


def test_what_is_new_is_marked() -> None:
    _made, picture = drawn("step05-sentinel")
    marked = {name for name, kinds in picture.marks.items() if "new" in kinds}
    assert marked == {
        "redis-slave",
        "sentinel",
        *(f"silver-{name}" for name in ("redis-slave-1", "redis-slave-2", *(f"sentinel-{n}" for n in (1, 2, 3)))),
    }
    assert {name for name, kinds in picture.marks.items() if "changed" in kinds} == {"silver-ping-app-1"}
    fresh = {(line.source, line.target) for line in picture.lines if "new" in line.kinds}
    assert ("sentinel", "redis-master") in fresh and ("ping-app", "redis-master") not in fresh and ("client", "port-8080") not in fresh
    texts = [text.what for text, _owner in picture.texts]
    assert "since step04-image, new: redis-slave, sentinel; changed: ping-app" in texts
    assert any("gone: nginx" in text.what for text, _owner in drawn("step02-django")[1].texts)
    assert any("new: ping-app +2, haproxy" in text.what for text, _owner in drawn("step06-haproxy")[1].texts)
    assert any("the same services" in text.what for text, _owner in drawn("step09-compose")[1].texts)


def test_without_a_step_before_nothing_is_marked() -> None:
    picture = read(svg.draw(stack("step08-netdata")))
    assert not any({"new", "changed"} & kinds for kinds in picture.marks.values())
    assert not any("new" in line.kinds for line in picture.lines)


def test_the_client_is_on_the_host_where_only_that_can_reach_it() -> None:
    inside = {step for step in steps.NAMES[1:] for picture in (drawn(step)[1],) if picture.rooms["host"].holds(picture.boxes["client"])}
    assert inside == {"step02-django", "step03-redis", "step04-image", "step05-sentinel", "step06-lvs"}


def test_it_is_one_document_with_words_that_can_be_selected() -> None:
    text = svg.draw(stack("step08-netdata"), title="a < b & c")
    root = ElementTree.fromstring(text)
    assert root.find("{http://www.w3.org/2000/svg}title") is not None and "a &lt; b &amp; c" in text
    assert (
        "foreignObject" not in text
        and "<image" not in text
        and "http" not in text.replace("http://www.w3.org/2000/svg", "").replace("http://localhost", "")
    )
    assert "user-select" not in text and "pointer-events" not in text


def luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("colours", (LIGHT, DARK))
def test_words_and_lines_stand_out_in_light_and_in_dark(colours: dict[str, str]) -> None:
    def contrast(a: str, b: str) -> float:
        low, high = sorted((luminance(colours[a]), luminance(colours[b])))
        return (high + 0.05) / (low + 0.05)

    for ground in ("page", "host", "net", "card", "cell", "drum"):
        assert contrast("text", ground) >= 7, ground
    for word in ("muted", "new", "changed", "request", "fault"):
        assert all(contrast(word, ground) >= 4.5 for ground in ("page", "host", "net", "card", "cell")), word
    for line in ("request", "link", "replication", "sentinel", "registry"):
        assert all(contrast(line, ground) >= 3 for ground in ("host", "net", "halo")), line


def test_both_themes_have_every_colour() -> None:
    text = svg.draw(stack("step01-nginx"))
    used = set(re.findall(r"var\(--([\w-]+)\)", text))
    assert used == LIGHT.keys() == DARK.keys() and "prefers-color-scheme: dark" in text
