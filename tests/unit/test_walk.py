"""The walkthrough as a machine: what each key means where, where it goes on, and which container a page talks about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest

import steps
from silverlining.model.difference import counted
from silverlining.model.explain import explain, way
from silverlining.model.lesson import Act, Lesson
from silverlining.model.sketch import sketch
from silverlining.model.stack import Stack
from silverlining.model.walk import BACK, ENTER, EXPLAIN, OPENING, QUIT, SHELL, STANDS, Move, Place, Route, resume, talked_about, turn

from .builders import stack

ACTS = {name: len(steps.load(name).LESSON.acts) for name in steps.NAMES}
SERVICES: Mapping[str, frozenset[str]] = {name: frozenset(s.name for s in steps.load(name).TOPOLOGY.services) for name in steps.NAMES}
ROUTE = Route(ACTS, steps.NAMES[-1])


def played(route: Route, first: str) -> list[Move]:
    """All moves from a step's first page to the end, by Enter alone."""
    moves = [Move("open", Place(first))]
    while moves[-1].deed != "end":
        moves.append(turn(route, moves[-1].place, ENTER))
    return moves


def test_enter_plays_every_act_of_every_step_once_and_in_order() -> None:
    moves = played(ROUTE, steps.NAMES[0])
    assert [m.place.step for m in moves if m.deed == "open"] == list(steps.NAMES)
    assert [m.place.step for m in moves if m.deed == "bring"] == list(steps.NAMES)
    assert [(m.place.step, m.place.act) for m in moves if m.deed == "play"] == [(s, n) for s in steps.NAMES for n in range(1, ACTS[s] + 1)]


def test_it_ends_with_the_last_act_of_the_last_step() -> None:
    moves = played(Route(ACTS, "step02-django"), "step01-nginx")
    assert {m.place.step for m in moves} == {"step01-nginx", "step02-django"}
    assert moves[-1].place == Place("step02-django", ACTS["step02-django"])


@pytest.mark.parametrize("act", (OPENING, STANDS, 1, 2))
def test_back_is_the_step_before_wherever_one_is(act: int) -> None:
    assert turn(ROUTE, Place("step03-redis", act), BACK) == Move("back", Place("step02-django", STANDS))
    # After going back, the lesson of the earlier step is played, then the later one is opened again.
    assert turn(ROUTE, Place("step02-django", STANDS), ENTER) == Move("play", Place("step02-django", 1))


def test_before_the_first_step_there_is_nothing() -> None:
    assert turn(ROUTE, Place(steps.NAMES[0], 1), BACK).deed == ""


@pytest.mark.parametrize(("key", "deed"), ((SHELL, "shell"), (EXPLAIN, "explain"), (QUIT, "quit"), ("x", "")))
def test_the_other_keys_stay_where_they_are(key: str, deed: str) -> None:
    place = Place("step04-image", 2)
    assert turn(ROUTE, place, key) == Move(deed, place)


@pytest.mark.parametrize(
    ("step", "extra", "goes_on"),
    (
        ("step00-install", (), "step00-install"),
        ("step03-redis", (), "step03-redis"),  # exactly there, or something is missing
        ("step02-django", ("redis-master",), "step03-redis"),
        ("step02-django", ("nginx",), "step02-django"),  # what the step takes away was not gone yet
        ("step04-image", ("redis-slave", "sentinel"), "step05-sentinel"),
        ("step05-sentinel", ("haproxy",), "step06-haproxy"),
        ("step05-sentinel", ("lvs",), "step06-lvs"),
        ("step06-haproxy", ("lvs",), "step06-haproxy"),
        ("step06-haproxy", ("etcd",), "step07-etcd-confd"),
        ("step07-etcd-confd", ("netdata",), "step08-netdata"),
    ),
)
def test_where_it_goes_on(step: str, extra: tuple[str, ...], goes_on: str) -> None:
    assert resume(step, frozenset(extra), SERVICES) == goes_on


@pytest.mark.parametrize(
    ("step", "title", "container"),
    (
        ("step01-nginx", "Inside", "silver-nginx-1"),
        ("step01-nginx", "Bridge and veth pair", "silver-nginx-1"),
        ("step03-redis", "Each hit adds one", "silver-django-1"),
        ("step04-image", "First by hand: commit", "silver-ping-app-1"),
        ("step05-sentinel", "Sentinels", "silver-sentinel-1"),
        ("step05-sentinel", "Failover", "silver-redis-master-1"),
        ("step06-lvs", "Requests spread", "silver-lvs-1"),
        ("step06-haproxy", "Statistics", "silver-haproxy-1"),
        ("step07-etcd-confd", "A key put by hand", "silver-etcd-1"),
        ("step08-netdata", "Who uses what", "silver-netdata-1"),
    ),
)
def test_the_container_that_an_act_talks_about(step: str, title: str, container: str) -> None:
    lesson: Lesson = steps.load(step).LESSON
    (act,) = (act for act in lesson.acts if act.title == title)
    assert talked_about(act, stack(step)) == container


def cut_down() -> Iterator[Stack]:
    """Each step's stack without one of its containers, and with that one alone: what a run that was ended on the way leaves."""
    for whole in map(stack, steps.NAMES):
        for one in whole.containers:
            yield replace(whole, containers=tuple(c for c in whole.containers if c != one))
            yield replace(whole, containers=(one,))


@pytest.mark.parametrize("part", list(cut_down()), ids=lambda part: f"{part.topology.step}-{len(part.containers)}")
def test_a_stack_that_stands_in_part_is_drawn_and_explained_and_one_of_its_containers_talked_about(part: Stack) -> None:
    names = {c.name for c in part.containers}
    for act in (None, *steps.load(part.topology.step).LESSON.acts):
        assert talked_about(act, part) in (names or {""})
    drawn = "\n".join(sketch(part, 80, {}))
    assert all(f"{c.service} {c.index}" in drawn for c in part.containers), drawn
    assert {title for _service, title, _words in explain(part)} == {counted(c.service, len(part.of(c.service))) for c in part.containers}
    assert way(part).startswith("you")


def test_a_numbered_placeholder_is_that_container() -> None:
    act = Act("", "", ("docker exec {ping_app_2} true", "docker exec {etcd} true"))
    assert talked_about(act, stack("step08-netdata")) == "silver-ping-app-2"


@pytest.mark.parametrize(
    ("step", "container"),
    (
        ("step00-install", ""),
        ("step01-nginx", "silver-nginx-1"),
        ("step03-redis", "silver-django-1"),
        ("step06-lvs", "silver-lvs-1"),
        ("step08-netdata", "silver-haproxy-1"),
    ),
)
def test_without_an_act_it_is_the_one_that_serves(step: str, container: str) -> None:
    assert talked_about(None, stack(step)) == container
