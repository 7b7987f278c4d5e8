"""Bringing up containers, on an engine that is made up."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from silverlining.host.exec import STOP
from silverlining.model.actions import Run
from silverlining.model.errors import Busy
from silverlining.ops.apply import STARTS_AT_ONCE, Applier

from .builders import stack


def test_few_start_at_the_same_time_and_all_are_started() -> None:
    whole = stack("step08-netdata")
    starting: set[str] = set()
    started: list[str] = []
    most, guard = [0], threading.Lock()

    def start(name: str) -> None:
        with guard:
            starting.add(name)
            most[0] = max(most[0], len(starting))
        time.sleep(0.01)
        with guard:
            starting.remove(name)
            started.append(name)

    client: Any = SimpleNamespace(
        api_version="1.41", create_container=lambda **facts: None, create_host_config=dict, create_networking_config=dict, start=start
    )
    applier = Applier(client, whole)
    # Without a health check there is nothing to wait for: only how they start is looked at.
    actions = [Run(replace(c, health=None, copies=())) for c in whole.containers]
    with ThreadPoolExecutor(len(actions)) as pool:
        list(pool.map(lambda action: applier.apply(action, lambda words: None), actions))
    assert sorted(started) == sorted(c.name for c in whole.containers)
    assert most[0] == STARTS_AT_ONCE


def test_who_waits_for_a_turn_ends_with_the_run() -> None:
    applier = Applier(SimpleNamespace(), stack("step08-netdata"))
    for _turn in range(STARTS_AT_ONCE):
        assert applier._starting.acquire(timeout=1)
    threading.Timer(0.2, STOP.set).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            applier.apply(Run(stack("step08-netdata").containers[0]), lambda words: None)
    finally:
        STOP.clear()


def test_a_lock_that_was_lost_while_it_waited_starts_nothing() -> None:
    asked: list[bool] = []

    def lost() -> None:
        asked.append(True)
        if len(asked) > 1:  # it was ours when the action began
            raise Busy("the lock was lost", "run it again")

    applier = Applier(SimpleNamespace(), stack("step08-netdata"), lost)
    with pytest.raises(Busy):
        applier.apply(Run(stack("step08-netdata").containers[0]), lambda words: None)
    assert applier._starting.acquire(timeout=1), "the turn is given back"
