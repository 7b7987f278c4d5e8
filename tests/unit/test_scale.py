"""`scale`: what it takes, what it refuses and why, the plan that it makes, and the deploy that undoes it."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from invoke import Context

import steps
from silverlining.console.voice import Voice
from silverlining.model import actions as do
from silverlining.model import labels
from silverlining.model.commands import commands, line, title
from silverlining.model.errors import Conflict, SilverliningError
from silverlining.model.observed import Foreign
from silverlining.model.plan import plan
from silverlining.model.scale import examine, lasting, note, parse, read_note, room, scalable, undone, words
from silverlining.model.settings import LIMITS
from silverlining.model.stack import Stack
from silverlining.ops.converge import say_undone
from silverlining.ops.desk import Desk
from silverlining.ops.scale import aside, confirm, first_steps, refuse_compose
from silverlining.ops.standing import course_services

from .builders import ALL, images, settings, stack, standing
from .play import before, play
from .world import World

LAST = stack("step08-netdata")


def scaled(step: str = "step08-netdata", **counts: int) -> Stack:
    """The stack of a step as `scale` wants it: with its counts, and a note of those that the settings don't say."""
    given = {f"counts_{name}": count for name, count in counts.items()}
    named = {name.replace("_", "-"): count for name, count in counts.items()}
    return replace(stack(step, **given), scaled={n: c for n, c in named.items() if LAST.settings.counts[n] != c})


# ---- what is typed


@pytest.mark.parametrize(
    ("text", "counts"),
    (
        ("ping-app=5", {"ping-app": 5}),
        ("ping-app=5,redis-slave=3,sentinel=5", {"ping-app": 5, "redis-slave": 3, "sentinel": 5}),
        (" ping-app = 5 , sentinel=3", {"ping-app": 5, "sentinel": 3}),
        ("nobody=-2", {"nobody": -2}),
    ),
)
def test_what_is_read(text: str, counts: dict[str, int]) -> None:
    assert parse(text) == counts


@pytest.mark.parametrize(
    ("text", "says"),
    (
        ("", "at least one service"),
        ("  ", "at least one service"),
        (",", "service=number"),
        ("ping-app", "'ping-app': write it as service=number"),
        ("ping-app=5,", "service=number"),
        ("=5", "'=5'"),
        ("ping-app=", "ping-app=: the number"),
        ("ping-app=five", "ping-app=five: the number must be a whole one"),
        ("ping-app=2.5", "ping-app=2.5"),
        ("ping-app=5=6", "ping-app=5=6"),
        ("ping-app=٣", "ping-app=٣"),
        ("ping-app=5,ping-app=5", "ping-app is named twice"),
    ),
)
def test_what_is_not_written_like_that(text: str, says: str) -> None:
    with pytest.raises(SilverliningError, match=re.escape(says)) as caught:
        parse(text)
    assert "invoke scale ping-app=5" in caught.value.hint


def test_a_number_of_many_digits_is_only_too_large() -> None:
    (count,) = parse("ping-app=" + "9" * 5000).values()
    assert count > 90


# ---- what is refused


def refusal(text: str, on: Stack = LAST) -> SilverliningError:
    with pytest.raises(SilverliningError) as caught:
        examine(parse(text), on, first_steps())
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    (
        ("ping-app=0", "at least 1 must stay", "1 to 90"),
        ("redis-slave=-1", "redis-slave=-1", "1 to 9"),
        ("ping-app=91", "room for 90, the addresses 10.0.7.31 to 10.0.7.120", "1 to 90"),
        ("redis-slave=10", "room for 9, the addresses 10.0.7.11 to 10.0.7.19", "1 to 9"),
        ("sentinel=11", "room for 9, the addresses 10.0.7.20 to 10.0.7.28", "1 to 9"),
        ("sentinel=0", "also when one of them has failed", "3, 5, 7, 9"),
        ("sentinel=1", "also when one of them has failed", "3, 5, 7, 9"),
        ("sentinel=2", "also when one of them has failed", "3, 5, 7, 9"),
        ("sentinel=4", "4 stand the loss of 1, as 3 do, and need one more for a majority", "3, 5, 7, 9"),
        ("pingapp=3", "pingapp: there is no such service", "did you mean ping-app? (what can be scaled here: ping-app, redis-slave, sentinel)"),
        ("zzz=3", "zzz: there is no such service", "what can be scaled here"),
        ("redis-master=2", "redis-master can't be scaled: the course has exactly one of it", "what can be scaled here"),
        ("haproxy=2", "haproxy can't be scaled", "what can be scaled here"),
        ("nginx=2", "nginx does not stand at step08-netdata", "what can be scaled here"),
        ("ping-app=5,haproxy=2", "haproxy can't be scaled", "what can be scaled here"),
    ),
)
def test_what_is_refused_and_why(text: str, what: str, hint: str) -> None:
    error = refusal(text)
    assert what in error.what and hint in error.hint, error


@pytest.mark.parametrize(
    ("step", "text", "what", "hint"),
    (
        ("step05-sentinel", "ping-app=3", "there is only one of it at step05-sentinel", "from step06-lvs on"),
        ("step04-image", "sentinel=3", "sentinel does not stand at step04-image", "invoke step05-sentinel"),
        ("step01-nginx", "nginx=2", "nginx can't be scaled", "nothing of this step can be scaled"),
    ),
)
def test_what_a_step_does_not_have(step: str, text: str, what: str, hint: str) -> None:
    error = refusal(text, stack(step))
    assert what in error.what and hint in error.hint, error


@pytest.mark.parametrize("step", [name for name in ALL if scalable(steps.load(name).TOPOLOGY)])
def test_the_room_is_that_of_the_address_plan(step: str) -> None:
    for name in scalable(stack(step).topology):
        assert room(stack(step).topology.service(name), stack(step)) == LIMITS[f"counts.{name}"]


def test_ports_count_up_and_end() -> None:
    alone = stack("step04-image", ports_app=65530)
    assert room(alone.topology.service("ping-app"), alone) == 6


def test_every_service_is_known_with_the_step_that_scales_it() -> None:
    assert first_steps().keys() == course_services().keys()
    assert {n: s for n, s in first_steps().items() if s} == {
        "ping-app": "step06-lvs",
        "redis-slave": "step05-sentinel",
        "sentinel": "step05-sentinel",
    }


# ---- the plan


COUNTS = ({"ping_app": 5}, {"ping_app": 1}, {"redis_slave": 3, "sentinel": 5}, {"ping_app": 5, "redis_slave": 1, "sentinel": 7})


@pytest.mark.parametrize("counts", COUNTS)
@pytest.mark.parametrize("step", ("step06-lvs", "step06-haproxy", "step07-etcd-confd", "step08-netdata"))
def test_scaled_and_scaled_back(step: str, counts: dict[str, int]) -> None:
    world = World()
    play(world, stack(step), ways=1)
    world.hit(7)
    target = scaled(step, **counts)
    made = play(world, target, ways=5)
    assert world.scaled == target.scaled == {name.replace("_", "-"): count for name, count in counts.items()}
    assert made.actions[0].id == "CreateVolume:silver-scaled"
    back = play(world, stack(step), ways=5)
    assert world.scaled == {} and [a.subject for a in back.of(do.RemoveVolume)] == ["silver-scaled"]
    removed = {a.subject for a in back.of(do.Remove)}
    assert removed == {c.name for c in target.containers} - {c.name for c in stack(step).containers}


def test_a_server_leaves_before_it_is_removed() -> None:
    world = World()
    play(world, LAST, ways=1)
    made = play(world, scaled(ping_app=1), ways=5)
    for index in (2, 3):
        assert f"DeleteKey:/app/servers/app{index}" in before(made)[f"Remove:silver-ping-app-{index}"]
    assert not made.of(do.Replace)


@pytest.mark.parametrize("to", (1, 2))
@pytest.mark.parametrize("master", ("silver-redis-slave-2", "silver-redis-slave-3"))
def test_the_master_moves_before_its_node_goes(master: str, to: int) -> None:
    world = World()
    play(world, scaled(redis_slave=3), ways=1)
    world.hit(7)
    world.fail_over(master)
    made = play(world, replace(scaled(redis_slave=to), scaled={"redis-slave": to}), ways=9)
    if int(master[-1]) > to:
        assert f"MoveMaster:{master}" in before(made)[f"Remove:{master}"]
    else:
        assert not made.of(do.MoveMaster)


def test_the_note_is_changed_and_kept() -> None:
    world = World()
    play(world, LAST, ways=1)
    play(world, scaled(ping_app=5), ways=1)
    assert not plan(scaled(ping_app=5), world.observed())
    made = play(world, replace(stack("step08-netdata", counts_ping_app=5, counts_redis_slave=1), scaled={"ping-app": 5, "redis-slave": 1}))
    assert world.scaled == {"ping-app": 5, "redis-slave": 1}
    assert "RemoveVolume:silver-scaled" in before(made)["CreateVolume:silver-scaled"]


def test_settings_that_say_what_was_scaled_have_nothing_to_do() -> None:
    world = World()
    play(world, LAST, ways=1)
    play(world, scaled(ping_app=5), ways=1)
    lasts = stack("step08-netdata", counts_ping_app=5)
    assert not plan(lasts, world.observed()) and not list(undone(lasts, world.observed()))


def test_a_foreign_volume_where_the_note_goes_is_a_conflict() -> None:
    seen = standing(LAST, foreign=(Foreign("volume", "silver-scaled"),))
    with pytest.raises(Conflict, match="silver-scaled"):
        plan(scaled(ping_app=5), seen)
    assert not plan(LAST, seen)


def test_a_note_that_cannot_be_read_goes_with_the_next_deploy() -> None:
    seen = standing(LAST, volumes=frozenset({*(v.name for v in LAST.volumes), "silver-scaled"}))
    assert [a.id for a in plan(LAST, seen).actions] == ["RemoveVolume:silver-scaled"]


@pytest.mark.parametrize("step", ALL)
def test_what_a_plan_undoes(step: str) -> None:
    seen = standing(LAST, scaled={"ping-app": 5, "sentinel": 3})
    found = list(undone(stack(step), seen))
    assert found == ([("ping-app", 5, 3)] if "ping-app" in scalable(stack(step).topology) else [])


def test_the_note_as_docker_commands() -> None:
    made = plan(scaled(ping_app=5), standing(LAST, volumes=frozenset({*(v.name for v in LAST.volumes), "silver-scaled"}), scaled={"ping-app": 4}))
    shown = [line(argv) for action in made.actions for argv in commands(action)]
    assert [words for words in shown if words.startswith("docker volume")] == [
        "docker volume rm silver-scaled",
        "docker volume create --label io.silverlining.stack=silver --label io.silverlining.scaled=ping-app=5 silver-scaled",
    ]
    assert title(made.actions[0]) == "remove volume silver-scaled"


@pytest.mark.parametrize("counts", ({}, {"ping-app": 5}, {"ping-app": 5, "redis-slave": 1, "sentinel": 9}))
def test_a_note_is_read_as_it_was_written(counts: dict[str, int]) -> None:
    assert read_note(note(counts)) == counts
    assert labels.scaled("silver", note(counts))[labels.STACK] == "silver"


@pytest.mark.parametrize("text", ("x", "ping-app", "ping-app=x", "other=3", "=", "ping-app=99999"))
def test_what_somebody_else_wrote_is_no_note(text: str) -> None:
    assert read_note(text) == {}


def test_how_it_is_made_to_last() -> None:
    counts: dict[str, Any] = {"ping-app": 5, "sentinel": 5}
    assert lasting(counts) == ("counts: {ping-app: 5, sentinel: 5}", "--set counts.ping-app=5 --set counts.sentinel=5")
    assert words(counts) == "ping-app 5, sentinel 5"


# ---- what is said


def test_compose_scales_what_compose_runs() -> None:
    with pytest.raises(SilverliningError, match="Docker Compose runs this stack") as caught:
        refuse_compose({"ping-app": 5, "sentinel": 5})
    assert "invoke step09-compose --set counts.ping-app=5 --set counts.sentinel=5" in caught.value.hint
    assert "docker compose scale ping-app=5 sentinel=5, then sh compose-register.sh" in caught.value.hint


@pytest.mark.parametrize("scaling", (None, ({}, {"ping-app": 4})))
def test_a_plan_that_undoes_it_says_so_and_a_scale_is_none(scaling: Any) -> None:
    desk: Any = SimpleNamespace(scaling=scaling, voice=Voice(stream := io.StringIO()))
    say_undone(desk, LAST, standing(LAST, scaled={"ping-app": 5, "sentinel": 3}))
    words = "ping-app 5 → 3: undoes `scale`; set counts: {ping-app: 5} in silverlining.yaml, or --set counts.ping-app=5, to keep it"
    assert stream.getvalue() == ("" if scaling else f"  → {words}\n")


@pytest.mark.parametrize(("yes", "dry", "asks"), ((True, False, False), (False, True, False), (False, False, True)))
def test_what_would_be_deployed_with_it_is_said_or_asked_for(yes: bool, dry: bool, asks: bool) -> None:
    desk: Any = SimpleNamespace(yes=yes, dry=dry, json=False, voice=Voice(stream := io.StringIO()))
    edited = plan(stack("step08-netdata", ("app",)), standing(LAST))
    names = aside(edited)
    assert names == tuple(f"silver-ping-app-{n}" for n in (1, 2, 3))
    confirm(desk, ())
    if asks:
        with pytest.raises(SilverliningError, match="more than counts"):
            confirm(desk, names)
    else:
        confirm(desk, names)
        assert "more than counts (silver-ping-app-1, " in stream.getvalue()


def test_a_desk_at_which_counts_stand_in_for_the_settings() -> None:
    desk = Desk(Context(), settings(counts_redis_slave=4), Voice(io.StringIO(), quiet=True), dry=True, yes=True)
    # Whether app/ is mounted or copied is asked of the engine; here, none has to answer.
    host: Any = SimpleNamespace(context=desk.host.context, engine=SimpleNamespace(local=True))
    desk.host = host
    now = desk.counted({"ping-app": 5})
    assert now.settings.counts == {"ping-app": 5, "redis-slave": 4, "sentinel": 3} and desk.settings.counts["ping-app"] == 3
    assert now.host is desk.host and now.dry and now.yes and now.scaling is None
    then = desk.scaled({"ping-app": 5, "sentinel": 5}, {"sentinel": 3, "redis-slave": 1})
    assert then.settings.counts == {"ping-app": 5, "redis-slave": 1, "sentinel": 3}
    assert then.scaling == ({"ping-app": 5, "sentinel": 5}, {"ping-app": 5, "redis-slave": 1})
    for noted, good in (({"ping-app": 5, "sentinel": 5}, True), ({"ping-app": 5, "redis-slave": 1}, True), ({}, False)):
        seen = standing(LAST, scaled=noted)
        if good:
            assert then.stack(LAST.topology, images(), seen).scaled == {"ping-app": 5, "redis-slave": 1}
        else:
            with pytest.raises(Conflict, match="meanwhile"):
                then.stack(LAST.topology, images(), seen)
    assert desk.stack(LAST.topology, images(), standing(LAST)).scaled == {}
