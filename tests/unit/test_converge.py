"""Carrying a plan out: order, the first failure, and what is given up because of it."""

from __future__ import annotations

import io
import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest
from docker.errors import APIError

from silverlining.console.voice import Voice
from silverlining.host.exec import STOP, pause
from silverlining.model.actions import CreateVolume, Plan
from silverlining.model.errors import EngineError, Unhealthy
from silverlining.model.stack import NamedVolume
from silverlining.ops.converge import perform


def volume(name: str, *needs: str) -> CreateVolume:
    return CreateVolume(volume=NamedVolume(name, ()), needs=frozenset(CreateVolume(volume=NamedVolume(n, ())).id for n in needs))


class Applier:
    """Does what it is told for each volume, and notes the order."""

    def __init__(self, **deeds: Any) -> None:
        self.deeds, self.done = deeds, []  # type: tuple[dict[str, Any], list[str]]

    def apply(self, action: CreateVolume, report: Any) -> None:
        name = action.volume.name
        self.deeds.get(name, lambda: None)()
        self.done.append(name)


def carried_out(applier: Applier, *actions: CreateVolume) -> str:
    stream = io.StringIO()
    try:
        perform(cast(Any, SimpleNamespace(voice=Voice(stream))), Plan(actions), cast(Any, applier))
    finally:
        applier.text = stream.getvalue()  # type: ignore[attr-defined]
        assert not STOP.is_set()
    return stream.getvalue()


def raises(error: BaseException) -> Any:
    def deed() -> None:
        raise error

    return deed


def test_an_action_waits_for_those_it_needs() -> None:
    applier = Applier()
    carried_out(applier, volume("c", "b"), volume("b", "a"), volume("a"))
    assert applier.done == ["a", "b", "c"]


def test_what_needs_nothing_goes_side_by_side() -> None:
    meet = threading.Barrier(3, timeout=10)
    applier = Applier(a=meet.wait, b=meet.wait, c=meet.wait)
    carried_out(applier, volume("a"), volume("b"), volume("c"))
    assert sorted(applier.done) == ["a", "b", "c"]


def test_after_a_failure_nothing_new_begins_and_waits_end() -> None:
    waits = threading.Event()

    def wait() -> None:
        waits.set()
        while pause(0.01, float("inf")):
            pass

    def fail() -> None:
        assert waits.wait(10)
        raise Unhealthy("b broke", "mend b")

    applier = Applier(a=wait, b=fail)
    with pytest.raises(Unhealthy, match="b broke"):
        carried_out(applier, volume("a"), volume("b"), volume("c", "b"))
    assert applier.done == []
    marks = [line for line in applier.text.splitlines() if "✗" in line]  # type: ignore[attr-defined]
    assert len(marks) == 1 and marks[0].endswith(" b")


def test_the_engines_words_become_ours() -> None:
    applier = Applier(a=raises(APIError("500", explanation="mkdir /var/lib/docker/x: no space left on device")))
    with pytest.raises(EngineError, match="no space left on the docker host"):
        carried_out(applier, volume("a"))


def test_a_bug_stays_a_bug() -> None:
    with pytest.raises(ZeroDivisionError):
        carried_out(Applier(a=raises(ZeroDivisionError())), volume("a"))
