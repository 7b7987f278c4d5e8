"""Where data would get lost if the plan were wrong: any node the master, awake or asleep, on the way to any step."""

from __future__ import annotations

import pytest

from silverlining.model import actions as do
from silverlining.model.errors import Unhealthy
from silverlining.model.observed import RedisNode, SentinelView
from silverlining.model.plan import plan

from .builders import ALL, REDIS, WITH_REDIS, WITH_SENTINELS, spares, stack, standing
from .play import before, play
from .world import World

MASTER, SLAVE1, SLAVE2 = REDIS
FIVE = stack("step05-sentinel")


def at(step: str, master: str = MASTER, edited: tuple[str, ...] = ()) -> World:
    """A host at a step; the role has moved to `master`, and hits were counted before and after."""
    world = World()
    play(world, stack(step, edited), ways=1)
    world.hit(7)
    if master in world.redis() and master not in world.masters():
        world.fail_over(master)
        world.hit(5)
    return world


@pytest.mark.parametrize("target", ALL)
@pytest.mark.parametrize("source", WITH_SENTINELS)
@pytest.mark.parametrize("master", REDIS)
def test_the_number_goes_on_from_any_master_to_any_step(master: str, source: str, target: str) -> None:
    play(at(source, master), stack(target))


@pytest.mark.parametrize("edited", (("redis",), ("sentinel",), ("redis", "sentinel", "app")))
@pytest.mark.parametrize("target", WITH_REDIS)
@pytest.mark.parametrize("source", ("step03-redis", "step05-sentinel", "step08-netdata"))
@pytest.mark.parametrize("master", REDIS)
def test_an_edit_on_the_way(master: str, source: str, target: str, edited: tuple[str, ...]) -> None:
    world = at(source, master)
    play(world, stack(target, edited))
    world.hit()
    play(world, stack(source))


def test_the_master_is_replaced_last_and_after_the_role_has_moved() -> None:
    for master in REDIS:
        made = plan(stack("step05-sentinel", ("redis",)), at("step05-sentinel", master).observed())
        earlier = before(made)[f"Replace:{master}"]
        assert {f"Replace:{name}" for name in REDIS if name != master} | {f"MoveMaster:{master}"} <= earlier


def test_backwards_the_role_comes_to_the_node_that_stays() -> None:
    made = plan(stack("step03-redis"), at("step08-netdata", SLAVE2).observed())
    (move,) = made.of(do.MoveMaster)
    assert move == do.MoveMaster(SLAVE2, MASTER, "silver-sentinel-1")
    for leave in (SLAVE2, SLAVE1, "silver-sentinel-1", "silver-sentinel-2", "silver-sentinel-3"):
        assert move.id in before(made)[f"Remove:{leave}"]


def test_the_app_that_knows_one_redis_only_comes_when_that_is_the_master() -> None:
    made = plan(stack("step04-image"), at("step08-netdata", SLAVE2).observed())
    assert f"MoveMaster:{SLAVE2}" in before(made)["Replace:silver-ping-app-1"]


def test_a_lone_master_is_replaced_where_it_is_without_sentinels_near() -> None:
    made = plan(stack("step04-image", ("redis",)), at("step05-sentinel").observed())
    assert not made.of(do.MoveMaster)
    assert {f"Remove:silver-sentinel-{n}" for n in (1, 2, 3)} <= before(made)[f"Replace:{MASTER}"]
    made = plan(stack("step05-sentinel", ("redis",)), at("step04-image").observed())
    for n in (1, 2, 3):
        assert f"Replace:{MASTER}" in before(made)[f"Run:silver-sentinel-{n}"]


def test_a_free_choice_of_the_new_master_does_not_fall_on_a_node_that_goes() -> None:
    world = World()
    play(world, stack("step05-sentinel", counts_redis_slave=3), ways=1)
    world.hit(3)
    made = play(world, stack("step05-sentinel", ("redis",), counts_redis_slave=1), ways=9)
    assert {"Remove:silver-redis-slave-2", "Remove:silver-redis-slave-3"} <= before(made)[f"MoveMaster:{MASTER}"]


@pytest.mark.parametrize("to", (1, 2, 4, 9))
@pytest.mark.parametrize("master", REDIS)
def test_replicas_and_sentinels_scale(master: str, to: int) -> None:
    world = at("step08-netdata", master)
    play(world, stack("step08-netdata", counts_redis_slave=to, counts_sentinel=max(3, to | 1)), ways=3)
    world.hit()
    play(world, stack("step08-netdata"), ways=3)


@pytest.mark.parametrize("target", WITH_REDIS)
@pytest.mark.parametrize("master", REDIS)
def test_after_a_teardown_the_newest_data_is_found(master: str, target: str) -> None:
    world = at("step08-netdata", master)
    world.teardown()
    made = play(world, stack(target), ways=4)
    world.hit()
    play(world, stack("step08-netdata"), ways=2)
    if target == "step04-image":
        assert bool(made.of(do.MoveMaster)) == (master != MASTER)


@pytest.mark.parametrize("slaves", (1, 2))
@pytest.mark.parametrize("subnet", ("10.0.7.0/24", "10.0.8.0/24"))
@pytest.mark.parametrize("edited", ((), ("redis", "sentinel")))
def test_after_a_teardown_a_node_that_goes_hands_its_data_over(slaves: int, subnet: str, edited: tuple[str, ...]) -> None:
    world = at("step08-netdata", SLAVE2)
    world.teardown()
    play(world, stack("step08-netdata", edited, subnet, counts_redis_slave=slaves), ways=9)


def test_two_volumes_that_both_were_master() -> None:
    """The old master was down during the failover: its volume says master too, with older data."""
    for target in WITH_REDIS:
        world = at("step05-sentinel")
        world.become(MASTER, "exited")
        world.fail_over(SLAVE1)
        world.hit(5)
        assert not world.disks[MASTER].master and not world.disks[SLAVE1].master
        world.teardown()
        play(world, stack(target), ways=3)


@pytest.mark.parametrize("target", ("step03-redis", "step05-sentinel", "step08-netdata"))
@pytest.mark.parametrize("state", ("exited", "paused", "restarting", "unhealthy"))
def test_an_old_master_that_was_down_comes_back_as_a_replica(state: str, target: str) -> None:
    world = at("step05-sentinel")
    world.become(MASTER, state)
    world.fail_over(SLAVE2)
    world.hit(5)
    play(world, stack(target), ways=5)


def test_a_stopped_node_that_wakes_with_another_definition_goes_again() -> None:
    world = at("step05-sentinel", SLAVE2, edited=("redis",))
    for name in world.boxes:
        world.become(name, "exited")
    assert [a.subject for a in play(world, stack("step04-image")).of(do.Replace)].count(SLAVE2) == 1


def test_replicas_come_after_the_node_that_has_the_newest_data() -> None:
    world = at("step08-netdata", SLAVE2)
    world.teardown()
    made = plan(stack("step08-netdata"), world.observed(), spares())
    for name in (MASTER, SLAVE1):
        assert f"Run:{SLAVE2}" in before(made)[f"Run:{name}"]


@pytest.mark.parametrize("edited", ((), ("redis",)))
def test_everything_stopped_by_hand_comes_back(edited: tuple[str, ...]) -> None:
    for master in REDIS:
        world = at("step08-netdata", master)
        for name in world.boxes:
            world.become(name, "exited")
        play(world, stack("step08-netdata", edited), ways=5)


@pytest.mark.parametrize("how", ("detached", "astray"))
def test_a_replica_that_follows_nobody_or_somebody_else_is_attached(how: str) -> None:
    world = at("step08-netdata", SLAVE1)
    world.boxes[SLAVE2].master = "" if how == "detached" else "10.0.7.99"
    made = play(world, stack("step08-netdata"))
    assert [a for a in made.actions if not isinstance(a, do.ResetSentinels)] == [do.AttachReplica(SLAVE2, "10.0.7.11")]


def test_a_new_replica_follows_the_master_that_is_and_not_the_one_that_was() -> None:
    made = plan(stack("step05-sentinel", counts_redis_slave=3), at("step05-sentinel", SLAVE1).observed())
    (seed,) = made.of(do.SeedReplica)
    assert isinstance(seed, do.SeedReplica) and (seed.volume, seed.master_address) == ("silver-redis-slave-3", "10.0.7.11")


@pytest.mark.parametrize("target", WITH_REDIS)
def test_a_lone_paused_master_keeps_its_number(target: str) -> None:
    """Old replicas' volumes lie there; that the master doesn't answer must not make one of them the master."""
    world = at("step05-sentinel")
    play(world, stack("step04-image"))
    world.hit(4)
    world.become(MASTER, "paused")
    play(world, stack(target), ways=5)


@pytest.mark.parametrize("target", ("step03-redis", "step04-image"))
def test_a_silent_node_that_may_hold_the_newest_data_is_not_taken_away(target: str) -> None:
    world = at("step05-sentinel", SLAVE1)
    world.become(SLAVE1, "paused")
    with pytest.raises(Unhealthy, match="redis-slave-1 may hold the newest data") as caught:
        plan(stack(target), world.observed(), spares())
    assert "docker unpause" in caught.value.hint


def test_without_a_master_no_empty_one_is_made() -> None:
    """The master's container and volume are gone, and nobody has elected another one yet."""
    world = at("step05-sentinel")
    del world.boxes[MASTER], world.disks[MASTER]
    with pytest.raises(Unhealthy, match="may hold the newest data") as caught:
        plan(FIVE, world.observed(), spares())
    assert "replicaof no one" in caught.value.hint
    world.fail_over(SLAVE2)
    play(world, FIVE, ways=3)


def test_of_nodes_that_know_equally_much_the_one_with_the_lasting_volume_is_named() -> None:
    """After `docker compose down` and `up` with the role moved: all are replicas of a node that is gone, the others with new, empty volumes."""
    lost = {name: RedisNode("slave", "10.0.7.128", offset=1) for name in (SLAVE1, SLAVE2, MASTER)}
    with pytest.raises(Unhealthy, match="may hold the newest data") as caught:
        plan(stack("step05-sentinel", ("redis",)), standing(FIVE, redis=lost, sentinels={}), spares())
    assert f"docker exec {MASTER} redis-ask replicaof no one" in caught.value.hint


def test_replicas_volumes_alone_need_a_persons_word() -> None:
    world = at("step05-sentinel")
    world.teardown()
    del world.disks[MASTER]
    with pytest.raises(Unhealthy) as caught:
        plan(FIVE, world.observed(), spares())
    assert caught.value.hint.endswith("source=silver-redis-slave-1,target=/data silverlining/redis:old redis-seed no one")
    asleep = {name: RedisNode("slave", "no" if name == SLAVE1 else "10.0.7.10", offset=7) for name in (SLAVE1, SLAVE2)}
    world.disks[SLAVE1].master = ""
    made = plan(FIVE, world.observed(sleeping=asleep), spares())
    assert {a.volume for a in made.actions if isinstance(a, do.SeedReplica)} == {MASTER, SLAVE2}


def test_two_silent_nodes_and_no_sentinel_only_wake() -> None:
    world = at("step05-sentinel", SLAVE1)
    for name in (*REDIS, *world.sentinels()):
        world.become(name, "paused")
    made = play(world, FIVE, ways=5)
    assert {type(a) for a in made.actions} <= {do.Unpause, do.MakeSecrets}


def test_where_a_silent_and_a_sleeping_node_could_both_have_it_nothing_starts() -> None:
    world = at("step05-sentinel")
    world.become(MASTER, "exited")
    world.fail_over(SLAVE1)
    world.hit(5)
    world.become(SLAVE1, "paused")
    for name in list(world.sentinels()):
        world.become(name, "exited")
    with pytest.raises(Unhealthy, match="redis-slave-1 may hold the newest data"):
        plan(FIVE, world.observed(), spares())


def test_a_run_that_was_cut_off_is_gone_on_with() -> None:
    """Two nodes run but don't answer yet, the third isn't there: it never starts as a master."""
    made = plan(FIVE, standing(FIVE, redis={}, sentinels={}, containers=tuple(c for c in standing(FIVE).containers if c.name != SLAVE2)))
    assert f"SeedReplica:{SLAVE2}" in before(made)[f"Run:{SLAVE2}"]


def test_sleeping_sentinels_do_not_undo_a_move_that_they_did_not_see() -> None:
    world = at("step08-netdata", SLAVE2)
    world.teardown()
    made = play(world, stack("step04-image"), ways=5)
    assert made.of(do.ForgetMaster)
    world.hit(3)
    play(world, stack("step08-netdata"), ways=5)


@pytest.mark.parametrize("master", REDIS)
def test_paused_sentinels_wake_before_the_master_moves(master: str) -> None:
    world = at("step08-netdata", master)
    for name in list(world.sentinels()):
        world.become(name, "paused")
    play(world, stack("step08-netdata", ("redis",)), ways=5)


@pytest.mark.parametrize("master", REDIS)
@pytest.mark.parametrize("target", ("step04-image", "step08-netdata"))
def test_without_sentinels_the_role_moves_by_hand(master: str, target: str) -> None:
    world = at("step08-netdata", master)
    for name in list(world.sentinels()):
        del world.boxes[name]
    play(world, stack(target, ("redis",)), ways=5)


@pytest.mark.parametrize("view", ({"sentinels": 5}, {"replicas": 4}))
def test_ghosts_are_forgotten(view: dict[str, int]) -> None:
    views = {c.name: SentinelView(**{"master": "10.0.7.10", "sentinels": 2, "replicas": 2, **view}) for c in FIVE.of("sentinel")}
    made = plan(FIVE, standing(FIVE, sentinels=views))
    assert made.actions == (do.ResetSentinels(("silver-sentinel-1", "silver-sentinel-2", "silver-sentinel-3"), 2),)


@pytest.mark.parametrize("replicas", (1, 2, 4))
@pytest.mark.parametrize("edited", ((), ("sentinel",), ("redis",)))
@pytest.mark.parametrize("many", (5, 7, 9))
def test_a_majority_of_the_sentinels_stays_whatever_leaves(many: int, edited: tuple[str, ...], replicas: int) -> None:
    world = World()
    play(world, stack("step08-netdata", counts_sentinel=many, counts_redis_slave=replicas), ways=1)
    world.steadfast = True
    play(world, stack("step08-netdata", edited), ways=5)


@pytest.mark.parametrize(
    ("stand", "known", "to", "looks"),
    ((7, 7, 3, (4, 3)), (9, 9, 3, (5, 3)), (5, 6, 3, (4, 3)), (5, 9, 3, (5, 3)), (9, 9, 5, (5,)), (5, 5, 3, (3,)), (3, 6, 3, (3,))),
)
def test_how_many_sentinels_look_anew_before_the_next_leave(stand: int, known: int, to: int, looks: tuple[int, ...]) -> None:
    now = stack("step05-sentinel", counts_sentinel=stand)
    views = {c.name: SentinelView(now.of("redis-master")[0].address, known - 1, 2) for c in now.of("sentinel")}
    made = plan(stack("step05-sentinel", counts_sentinel=to), standing(now, sentinels=views))
    assert tuple(len(a.sentinels) for a in made.of(do.ResetSentinels)) == looks


def compose(master: str, counts: dict[str, int]) -> World:
    """step09 after step08: Compose's containers on dynamic addresses, replicas and Sentinels with volumes of their own."""
    world = at("step08-netdata", SLAVE1)
    before_compose = max(d.hits for d in world.disks.values())
    world.fail_over(MASTER)
    for name in ("silver-redis-slave-1", "silver-redis-slave-2", "silver-sentinel-1", "silver-sentinel-2", "silver-sentinel-3"):
        del world.boxes[name]
    wide = stack("step08-netdata", counts_redis_slave=counts["redis-slave"], counts_ping_app=counts["ping-app"])
    for n, c in enumerate(wide.containers):
        world.boxes.pop(c.name, None)
        world.disks.setdefault(c.name, world.disks.get(c.name) or type(world.disks[MASTER])())
        scaled = c.service in ("redis-slave", "sentinel", "ping-app")
        world.run(c, compose=True, address=f"10.0.7.{150 + n}" if scaled else c.address)
    world.keys = {f"/app/servers/app{c.index}": f"{world.boxes[c.name].seen.address}:8000" for c in wide.of("ping-app")}
    world.settle()
    if master != MASTER:
        world.fail_over(master)
    world.hit(4)
    # What the named volumes of the replicas say is old by now.
    world.disks[SLAVE1].master, world.disks[SLAVE2].master = "", "10.0.7.99"
    assert max(b.disk.hits for b in world.redis().values()) == before_compose + 4
    return world


@pytest.mark.parametrize("counts", ({"redis-slave": 2, "ping-app": 3}, {"redis-slave": 3, "ping-app": 4}))
@pytest.mark.parametrize("target", ALL)
@pytest.mark.parametrize("master", REDIS)
def test_back_from_compose_with_its_data(master: str, target: str, counts: dict[str, int]) -> None:
    world = compose(master, counts)
    play(world, stack(target), ways=3)
    if "redis" in str(world.redis()):
        world.hit()
        # What slept in etcd's volume, the key of a fourth app, is seen by the next plan only.
        play(world, stack("step08-netdata"), settled="etcd" in str(world.boxes) or counts["ping-app"] == 3)
        play(world, stack("step08-netdata"))
