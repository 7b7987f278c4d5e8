"""The plan, played by a simulator: from any state to any step, by the rules, and then nothing is left to do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from silverlining.model import actions as do
from silverlining.model.errors import Conflict
from silverlining.model.observed import Foreign, Observed
from silverlining.model.plan import plan, withdrawn
from silverlining.model.stack import LESSON_KEY

from .builders import ALL, SUBNET, seen, stack, standing
from .play import before, play
from .world import World

LAST = stack("step08-netdata")


def at(step: str, **given: object) -> World:
    """A host at a step, after seven hits."""
    world = World()
    play(world, stack(step, **given), ways=1)
    world.hit(7)
    return world


@pytest.mark.parametrize("step", ALL)
def test_a_bare_host_comes_to_each_step(step: str) -> None:
    made = play(World(), stack(step), ways=5)
    assert {a.container.name for a in made.actions if isinstance(a, do.Run)} == {c.name for c in stack(step).containers}
    assert not made.of(do.MoveMaster) and not made.of(do.SeedReplica)


@pytest.mark.parametrize("step", ALL)
def test_nothing_is_left_to_do_where_the_step_stands(step: str) -> None:
    assert not plan(stack(step), standing(stack(step)))


def test_a_container_that_has_just_started_is_left_alone() -> None:
    young = tuple(seen(c, health="starting") for c in LAST.containers)
    assert not plan(LAST, standing(LAST, containers=young))


@pytest.mark.parametrize("target", ALL)
@pytest.mark.parametrize("source", ALL)
def test_every_step_comes_from_every_other(source: str, target: str) -> None:
    world = at(source)
    made = play(world, stack(target), ways=3)
    assert bool(made) == (source != target)


@pytest.mark.parametrize("target", ALL)
def test_volumes_outlive_a_teardown(target: str) -> None:
    world = at("step08-netdata")
    world.teardown()
    play(world, stack(target), ways=3)
    play(world, stack("step08-netdata"), ways=3)


STATES = ("paused", "exited", "unhealthy", "restarting", "created", "dead", "gone")


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("name", [c.name for c in LAST.containers])
def test_one_broken_container_is_brought_back(name: str, state: str) -> None:
    world = at("step08-netdata")
    if state == "gone":
        del world.boxes[name]
    else:
        world.become(name, state)
    made = play(world, LAST, ways=3)
    kind = {"paused": do.Unpause, "exited": do.Start, "created": do.Start, "dead": do.Replace, "gone": do.Run}.get(state, do.Mend)
    assert [a.subject for a in made.of(kind)] == [name]
    assert not [a for a in made.actions if isinstance(a, (do.Run, do.Replace, do.Remove)) and a.subject != name]


@pytest.mark.parametrize("state", ("paused", "exited", "restarting"))
def test_all_broken_containers_are_brought_back(state: str) -> None:
    world = at("step08-netdata")
    for c in LAST.containers:
        world.become(c.name, state)
    play(world, LAST, ways=5)


def test_a_redis_that_answers_is_well_whatever_docker_noted() -> None:
    """After an unpause Docker's own health status lags by a whole interval."""
    lagging = tuple(seen(c, health="unhealthy" if c.service in ("redis-master", "redis-slave", "sentinel") else "healthy") for c in LAST.containers)
    assert not plan(LAST, standing(LAST, containers=lagging))


def test_composes_containers_are_taken_over_even_where_their_hash_is_the_same() -> None:
    made = plan(LAST, standing(LAST, containers=tuple(seen(c, compose=True) for c in LAST.containers)))
    assert {a.subject for a in made.of(do.Replace)} == {c.name for c in LAST.containers}


@pytest.mark.parametrize("fault", ("confd is stopped", "no answer"))
def test_a_faulty_haproxy_is_mended(fault: str) -> None:
    made = plan(LAST, standing(LAST, proxy_fault=fault))
    assert [(type(a), a.subject) for a in made.actions] == [(do.Mend, "silver-haproxy-1")]


@pytest.mark.parametrize("keys", ({}, {"/app/servers/app1": "10.0.7.31:8000"}, {"/app/servers/app1": "10.0.9.9:8000"}))
def test_a_wiped_etcd_is_filled_again(keys: dict[str, str]) -> None:
    world = at("step08-netdata")
    world.keys = dict(keys)
    made = play(world, LAST)
    assert {type(a) for a in made.actions} == {do.PutKey}


def test_what_a_killed_lesson_has_left_goes() -> None:
    made = plan(LAST, standing(LAST, keys={**LAST.servers(), LESSON_KEY: "10.0.7.31:8000"}))
    assert [(type(a), a.subject) for a in made.actions] == [(do.DeleteKey, LESSON_KEY)]


def test_keys_of_others_stay() -> None:
    keys = {**LAST.servers(), "/app/servers/by-hand": "10.0.7.31:8000", "/app/servers/app1x": "", "/other": "x"}
    assert not plan(LAST, standing(LAST, keys=keys))


@pytest.mark.parametrize("to", (1, 2, 5))
@pytest.mark.parametrize("step", ("step06-haproxy", "step07-etcd-confd", "step06-lvs"))
def test_apps_scale(step: str, to: int) -> None:
    world = at(step)
    made = play(world, stack(step, counts_ping_app=to), ways=3)
    assert len(made.of(do.DeleteKey)) == (max(0, 3 - to) if step.startswith("step07") else 0)
    for gone in made.of(do.DeleteKey):
        assert gone.id in before(made)[f"Remove:silver-ping-app-{gone.subject[-1]}"]


def test_only_what_the_world_sees_is_held_while_it_is_replaced() -> None:
    made = plan(stack("step08-netdata", ("haproxy-confd", "netdata", "app")), standing(LAST))
    holds = {action.subject: action.hold.ports for action in made.of(do.Replace) if action.hold}
    assert holds == {"silver-haproxy-1": (80,)}


@pytest.mark.parametrize("edited", (("app",), ("app", "haproxy-confd", "haproxy"), ("etcd", "app"), ("netdata",)))
@pytest.mark.parametrize("step", ("step06-haproxy", "step08-netdata"))
def test_an_edit_replaces_exactly_what_uses_it_one_at_a_time(step: str, edited: tuple[str, ...]) -> None:
    world = at(step)
    new = stack(step, edited)
    made = play(world, new, ways=3)
    assert {a.subject for a in made.of(do.Replace)} == {c.name for c in new.containers if c.image.name in edited}


def test_everything_is_replaced_at_once_with_its_order() -> None:
    world = at("step08-netdata")
    made = play(world, stack("step08-netdata", health_interval=3), ways=9)
    earlier = before(made)
    for index in (1, 2, 3):
        assert f"DeleteKey:/app/servers/app{index}" in earlier[f"Replace:silver-ping-app-{index}"]
        assert f"PutKey:/app/servers/app{index}" in earlier["Replace:silver-haproxy-1"]
        assert "Replace:silver-etcd-1" in earlier[f"DeleteKey:/app/servers/app{index}"]
        assert index == 1 or f"PutKey:/app/servers/app{index - 1}" in earlier[f"DeleteKey:/app/servers/app{index}"]


def test_ports_can_be_exchanged() -> None:
    world = at("step08-netdata")
    play(world, stack("step08-netdata", ports_etcd=19999, ports_netdata=2379), ways=5)
    play(world, stack("step08-netdata", ports_web=8404, ports_stats=80), ways=5)


def test_a_container_whose_network_is_gone_is_made_anew() -> None:
    world = at("step01-nginx")
    world.become("silver-nginx-1", "exited")
    world.subnet = ""
    assert play(world, stack("step01-nginx")).of(do.Replace)


def test_another_subnet_after_a_teardown() -> None:
    world = at("step08-netdata")
    world.teardown()
    play(world, stack("step08-netdata", subnet="10.0.8.0/24"), ways=5)


def test_removals_come_last_unless_they_hold_a_port() -> None:
    made = plan(stack("step06-haproxy"), standing(stack("step01-nginx")))
    assert made.of(do.Remove)[0].id in before(made)["Run:silver-haproxy-1"]
    made = plan(stack("step06-haproxy"), standing(LAST))
    assert "Replace:silver-haproxy-1" in before(made)["Remove:silver-etcd-1"]


def test_secrets_are_made_once() -> None:
    assert len(plan(LAST, Observed("silver")).of(do.MakeSecrets)) == 1
    half = standing(LAST, containers=(), redis={}, sentinels={}, keys=None)
    assert plan(LAST, half).of(do.MakeSecrets), "a volume alone doesn't prove that the secrets are in it"


@pytest.mark.parametrize(
    ("foreign", "word"),
    (
        (Foreign("container", "silver-etcd-1"), "silver-etcd-1"),
        (Foreign("network", "silver"), "network"),
        (Foreign("volume", "silver-secrets"), "volume"),
        (Foreign("container", "other", (8404,)), "8404"),
    ),
)
def test_something_foreign_in_the_way_is_a_conflict(foreign: Foreign, word: str) -> None:
    with pytest.raises(Conflict, match=word) as caught:
        plan(LAST, Observed("silver", foreign=(foreign,)))
    assert caught.value.hint


def test_a_foreign_container_where_a_sleeping_redis_must_wake_is_a_conflict() -> None:
    world = at("step08-netdata")
    world.fail_over("silver-redis-slave-2")
    world.teardown()
    with pytest.raises(Conflict, match="redis-slave-2"):
        play(world, stack("step04-image"), foreign=(Foreign("container", "silver-redis-slave-2"),))


def test_foreign_things_beside_us_are_left_alone() -> None:
    decoys = (Foreign("container", "silver-etcd-10", (81,)), Foreign("network", "silver-2"), Foreign("volume", "silver-etcd-11"))
    for state in (Observed("silver", foreign=decoys), standing(stack("step03-redis"), foreign=decoys)):
        subjects = {a.subject for a in plan(LAST, state).actions}
        assert not subjects & {"silver-etcd-10", "silver-2", "silver-etcd-11"}


def test_what_is_withdrawn_is_said() -> None:
    def names(source: str, target: str) -> tuple[str, ...]:
        return withdrawn(plan(stack(target), standing(stack(source))), stack(target))

    assert names("step01-nginx", "step06-haproxy") == ()
    assert names("step08-netdata", "step05-sentinel") == ("silver-haproxy-1", "silver-etcd-1", "silver-netdata-1")
    assert names("step02-django", "step03-redis") == ()


def test_step00_takes_all_away() -> None:
    made = plan(stack("step00-install"), standing(LAST))
    assert {a.subject for a in made.actions} == {c.name for c in LAST.containers}
    sentinels = {f"Remove:silver-sentinel-{n}" for n in (1, 2, 3)}
    assert sentinels <= before(made)["Remove:silver-redis-master-1"], "Sentinels could elect while all goes"


def test_a_network_is_made_once() -> None:
    (network,) = plan(LAST, Observed("silver")).of(do.CreateNetwork)
    assert isinstance(network, do.CreateNetwork) and network.network.subnet == SUBNET
    assert not plan(LAST, standing(stack("step01-nginx"))).of(do.CreateNetwork)


@pytest.mark.parametrize("state", ("running", "exited", "created"))
def test_a_container_that_is_on_no_network_is_made_anew(state: str) -> None:
    """An engine 29 lets go of the network when a start finds the port taken, and starts the container without it the next time."""
    whole = stack("step01-nginx")
    seen = standing(whole)
    lost = replace(seen, containers=tuple(replace(c, address="", state=state) for c in seen.containers))
    (action,) = plan(whole, lost).actions
    assert isinstance(action, do.Replace) and "network" in action.why


@pytest.mark.parametrize("step", ("step06-haproxy", "step08-netdata"))
def test_a_server_that_was_drained_comes_back(step: str) -> None:
    """By hand, or by a run that was cut off before it could readmit it. Of a server that isn't ours nothing is known."""
    made = plan(stack(step), standing(stack(step), withheld=frozenset({"app2", "app9"})))
    assert made.actions == (do.Readmit("silver-haproxy-1", "app2"),)
    # One that is replaced as well is drained and readmitted once; a new HAProxy knows of none.
    again = plan(stack(step, edited=("app",)), standing(stack(step), withheld=frozenset({"app2"})))
    assert [a.server for a in again.of(do.Readmit)].count("app2") == 1
    fresh = plan(stack(step, edited=("haproxy", "haproxy-confd")), standing(stack(step), withheld=frozenset({"app2"})))
    assert not fresh.of(do.Readmit)


def test_a_sentinel_that_knows_no_master_is_made_anew() -> None:
    """Only where the others do: where none answers, it isn't the Sentinel."""
    full = standing(LAST)
    known = {name: view for name, view in full.sentinels.items() if name != "silver-sentinel-2"}
    (one,) = plan(LAST, replace(full, sentinels=known)).of(do.Replace)
    assert (one.container.name, one.why) == ("silver-sentinel-2", "it knows no master")
    assert not plan(LAST, replace(full, sentinels={})).of(do.Replace)
