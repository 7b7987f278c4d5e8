"""Plays a plan in a simulated world: in several orders, with what must not happen side by side checked, and the end state asserted."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import combinations
from typing import Any

from silverlining.model import actions as do
from silverlining.model.plan import plan
from silverlining.model.stack import Stack

from .builders import spares
from .world import World


def play(world: World, stack: Stack, ways: int = 2, *, settled: bool = True, **changes: Any) -> do.Plan:
    """Plans from what is seen of the world to the stack, applies the plan in several orders, and asserts that it leads there.

    Not `settled`: a second plan may find something that the first could not see.
    """
    observed = world.observed(**changes)
    made = plan(stack, observed, spares() if observed.sleeping else {})
    check_order(made, world, stack)
    hits = max((d.hits for n, d in world.every_disk().items() if "-redis-" in n), default=0)
    last = world
    for number, order in enumerate(orders(made, ways)):
        last = world.copy()
        last.random = random.Random(number)
        last.target, last.serving = stack, world.serves_by_proxy(stack)
        for action in order:
            last.apply(action)
        if settled:
            check_end(last, stack, hits)
    last.target = None
    vars(world).update(vars(last))
    return made


def check_order(made: do.Plan, world: World, stack: Stack) -> None:
    """What may not happen side by side is ordered by the actions' needs."""
    earlier = before(made)
    for group in (("ping-app",), ("redis-master", "redis-slave"), ("sentinel",)):
        stopping = [a.id for a in made.actions if isinstance(a, (do.Replace, do.Mend)) and a.container.service in group]
        for one, other in combinations(stopping, 2):
            assert one in earlier[other] or other in earlier[one], f"{one} and {other} side by side"
    for arrival in made.actions:
        if isinstance(arrival, (do.Run, do.Replace, do.Start)):
            ports = {p for _a, p, _i in arrival.container.ports}
            for leave in made.actions:
                if isinstance(leave, (do.Remove, do.Replace)) and leave is not arrival and ports & set(leave.old.ports):
                    assert leave.id in earlier[arrival.id], f"{arrival.id} needs a port that {leave.id} frees"
    for arrival in made.actions:
        if isinstance(arrival, (do.Run, do.Replace, do.Start)) and arrival.container.service in ("redis-master", "redis-slave", "sentinel"):
            upon = [i for i in earlier[arrival.id] if "-ping-app-" in i or "-django-" in i]
            assert not upon, f"{arrival.id} waits for an app that is well only with Redis and Sentinel: {upon}"
    master = world.observed().master
    for leave in made.actions:
        if isinstance(leave, do.Replace) and leave.container.name == master and not made.of(do.MoveMaster):
            for other in made.actions:
                if isinstance(other, (do.Run, do.Replace, do.Start)) and other.container.service == "sentinel":
                    assert leave.id in earlier[other.id], f"{other.id} while the master is replaced in place"


def check_end(world: World, stack: Stack, hits: int) -> None:
    """The host is as the stack says, nothing is lost, and a second run has nothing to do."""
    assert sorted(world.boxes) == sorted(c.name for c in stack.containers)
    for c in stack.containers:
        assert world.boxes[c.name].seen.spec == c.spec
        assert world.boxes[c.name].runs
    nodes = world.redis()
    if nodes:
        (master,) = world.masters()
        assert {b.master for n, b in nodes.items() if n != master} <= {nodes[master].seen.address}
        assert {b.disk.hits for b in nodes.values()} == {hits}, "hits are lost"
        for name, box in world.sentinels().items():
            view = world.view(box)
            want = (nodes[master].seen.address, len(world.sentinels()) - 1, len(nodes) - 1)
            assert (view.master, view.sentinels, view.replicas) == want, f"{name} knows {view}, {want} stand"
    if stack.servers():
        assert world.keys == stack.servers()
    assert not world.drained
    again = plan(stack, world.observed(), spares())
    assert not again, [a.id for a in again.actions]


def before(made: do.Plan) -> dict[str, set[str]]:
    """For each action all that is certainly done before it starts."""
    closure: dict[str, set[str]] = {}
    for action in made.actions:
        closure[action.id] = set(action.needs).union(*(closure[n] for n in action.needs))
    return closure


def orders(made: do.Plan, count: int, seed: int = 0) -> Sequence[list[do.Action]]:
    """Some of the orders in which the actions may end: the plan's own, and random ones."""
    chosen = [list(made.actions)]
    dice = random.Random(seed)
    for _n in range(count - 1):
        done: list[do.Action] = []
        ids: set[str] = set()
        waiting = list(made.actions)
        while waiting:
            ready = [a for a in waiting if a.needs <= ids]
            action = dice.choice(ready)
            waiting.remove(action)
            done.append(action)
            ids.add(action.id)
        chosen.append(done)
    return chosen
