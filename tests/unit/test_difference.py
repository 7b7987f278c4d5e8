"""Before and after: what is new, made anew, gone, and what else has changed, each with its sign."""

from __future__ import annotations

from dataclasses import replace

import pytest

from silverlining.model.actions import Replace, Run
from silverlining.model.brief import brief
from silverlining.model.commands import commands
from silverlining.model.difference import Difference, compare, forecast
from silverlining.model.explain import WORDS, explain, way
from silverlining.model.observed import Observed, RedisNode
from silverlining.model.picture import LAYERS, draw
from silverlining.model.plan import plan
from silverlining.model.sketch import painted, sketch

from .builders import ALL, REDIS, stack, standing

NOTHING = Observed("silver")


def defined(step: str, seen: Observed) -> set[str]:
    wanted = {c.name: c.spec for c in stack(step).containers}
    return {c.name for c in seen.containers if wanted.get(c.name) == c.spec}


def ahead(now: str, step: str) -> Difference:
    seen = standing(stack(now))
    return forecast(seen, stack(step), defined(step, seen))


def test_what_a_step_will_change() -> None:
    expected = ahead("step02-django", "step03-redis")
    assert expected.before == (("", "django"),)
    assert expected.after == (("~", "django"), ("+", "redis-master"))
    assert expected.changes == {"+": ("redis-master",), "~": ("django",)}
    assert expected.signs == {"silver-django-1": "~", "silver-redis-master-1": "+"}


def test_what_serves_and_goes_is_told() -> None:
    assert ahead("step01-nginx", "step02-django").changes["-"] == ("nginx (serves now)",)
    assert ahead("step01-nginx", "step02-django").before == (("-", "nginx"),)
    # django's port goes on to ping-app: nothing that serves is lost
    assert ahead("step03-redis", "step04-image").changes["-"] == ("django",)


@pytest.mark.parametrize("step", ALL)
def test_a_step_that_stands_changes_nothing(step: str) -> None:
    expected = ahead(step, step)
    assert not expected.changes and not expected.signs and expected.before == expected.after


def test_the_forecast_of_a_bare_host_is_all_new() -> None:
    expected = forecast(NOTHING, stack("step08-netdata"), set())
    assert expected.before == () and {sign for sign, _words in expected.after} == {"+"}
    assert ("+", "sentinel ×3") in expected.after


def test_what_has_changed_between_two_looks() -> None:
    found = compare(standing(stack("step03-redis")), standing(stack("step04-image")))
    assert found.changes["+"][0] == "ping-app" and found.changes["-"][0] == "django"
    same = compare(standing(stack("step03-redis")), standing(stack("step03-redis")))
    assert same.changes == {} and same.signs == {}


def test_a_container_made_anew_and_one_that_was_paused() -> None:
    before = standing(stack("step03-redis"))
    anew = replace(before, containers=tuple(replace(c, id="other") if c.service == "django" else c for c in before.containers))
    assert compare(before, anew).changes == {"~": ("django made anew",)}
    paused = replace(before, containers=tuple(replace(c, state="paused") if c.service == "django" else c for c in before.containers))
    assert compare(before, paused).changes == {"~": ("silver-django-1 running → paused",)}


def test_the_masters_role_the_network_volumes_and_keys() -> None:
    before = standing(stack("step08-netdata"))
    nodes = {name: RedisNode("master" if name == REDIS[1] else "slave", "", True, 9) for name in REDIS}
    moved = replace(before, redis=nodes, sentinels={}, keys={**(before.keys or {}), "/app/servers/by-hand": "x"})
    found = compare(before, moved).changes
    assert found["~"] == (f"the Redis master: {REDIS[0]} → {REDIS[1]}",) and found["+"] == ("in etcd by-hand",)
    first = compare(NOTHING, standing(stack("step01-nginx"))).changes
    assert first == {"+": ("nginx", "network 10.0.7.0/24")}
    assert "the network" in compare(standing(stack("step01-nginx")), NOTHING).changes["-"]
    volumes = compare(replace(before, volumes=frozenset()), replace(before, volumes=frozenset("ab"))).changes
    assert volumes == {"+": ("2 volumes",)}


def test_an_etcd_that_does_not_answer_has_not_lost_its_keys() -> None:
    before = standing(stack("step08-netdata"))
    assert compare(before, replace(before, keys=None)).changes == {}


# ---- the picture with its signs, and its words


@pytest.mark.parametrize("width", (60, 80))
@pytest.mark.parametrize("step", ALL)
def test_without_signs_and_with_room_it_is_the_picture_of_the_step(step: str, width: int) -> None:
    assert sketch(stack(step), width, {}) == draw(stack(step), width).splitlines()


@pytest.mark.parametrize("sign", ("+", "~", "-"))
@pytest.mark.parametrize("step", ALL)
def test_a_marked_picture_is_as_wide_as_a_bare_one(step: str, sign: str) -> None:
    made = stack(step)
    bare, marked = sketch(made, 60, {}), sketch(made, 60, {c.name: sign for c in made.containers})
    assert [len(line) for line in bare] == [len(line) for line in marked]
    assert "\n".join(marked).count(f" {sign} ") == len(made.containers) and "┌" not in "".join(marked)


def test_only_the_new_is_marked_and_painted() -> None:
    made = stack("step08-netdata")
    lines = [painted(line, lambda sign, text: f"<{sign}{text}>") for line in sketch(made, 80, {"silver-netdata-1": "+", "silver-etcd-1": "~"})]
    text = "\n".join(lines)
    assert text.count("<+") == text.count("<~") == 5 and text.count("━ + ") == text.count("═ ~ ") == 1
    assert all(line.count("<") == line.count(">") for line in lines)


@pytest.mark.parametrize("step", ALL)
def test_a_low_picture_has_every_container_and_port(step: str) -> None:
    made = stack(step)
    lines = sketch(made, 80, {}, 18)
    assert len(lines) <= 18
    for c in made.containers:
        assert f"{c.service} {c.index}" in "\n".join(lines)
        assert all(f":{outside}" in "\n".join(lines) for _address, outside, _inside in c.ports)


def test_every_service_is_explained() -> None:
    assert set(WORDS) == {name for layer in LAYERS for name in layer}
    assert [title for _name, title, _words in explain(stack("step05-sentinel"))] == ["ping-app", "redis-master", "redis-slave ×2", "sentinel ×3"]


@pytest.mark.parametrize(
    ("step", "words"), (("step01-nginx", "you → nginx"), ("step06-lvs", "you → lvs → ping-app → redis-master"), ("step00-install", "you"))
)
def test_the_way_of_a_request(step: str, words: str) -> None:
    assert way(stack(step)) == words


# ---- a plan in few lines


@pytest.mark.parametrize("width", (56, 76))
@pytest.mark.parametrize("step", ALL)
def test_a_plan_in_few_lines(step: str, width: int) -> None:
    made = plan(stack(step), NOTHING)
    every = sum(len(commands(action)) for action in made.actions)
    lines, more = brief(made, 5, width)
    assert len(lines) == min(5, every) and len(lines) + more == every
    assert all(line.startswith("docker ") and len(line) <= width and "\n" not in line for line in lines)


def test_it_says_most_first() -> None:
    made = plan(stack("step05-sentinel"), standing(stack("step04-image")))
    lines, _more = brief(made, 3, 200)
    assert sorted(line.split("--name ")[1].split(" … ")[0] for line in lines) == ["silver-ping-app-1", "silver-redis-slave-1", "silver-sentinel-1"]
    assert all(line.endswith((":old", "redis-server")) for line in lines)


def test_one_container_is_one_line_in_full_order() -> None:
    made = plan(stack("step01-nginx"), NOTHING)
    lines, more = brief(made, 9, 500)
    assert more == 0 and [line.split()[1] for line in lines] == ["network", "run"]
    assert any(isinstance(action, (Run, Replace)) for action in made.actions)
