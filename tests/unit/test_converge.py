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
from silverlining.host.ports import NAMELESS
from silverlining.model.actions import CreateVolume, Plan
from silverlining.model.errors import EngineError, SilverliningError, Unhealthy
from silverlining.model.observed import Observed
from silverlining.model.stack import NamedVolume
from silverlining.ops.converge import perform, refuse_taken_ports

from .builders import stack


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


def test_each_change_has_a_line_of_its_own_in_a_pipe() -> None:
    text = carried_out(Applier(), volume("a"), volume("b"), volume("c", "a", "b"))
    lines = [line for line in text.splitlines() if "✓" in line]
    assert sorted(line.split()[-3] for line in lines) == ["a", "b", "c"], text
    assert all(line.endswith(" s") for line in lines) and "\x1b" not in text and "\r" not in text


def test_what_needs_nothing_goes_side_by_side() -> None:
    meet = threading.Barrier(3, timeout=10)
    applier = Applier(a=meet.wait, b=meet.wait, c=meet.wait)
    carried_out(applier, volume("a"), volume("b"), volume("c"))
    assert sorted(applier.done) == ["a", "b", "c"]


def test_what_others_wait_for_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("silverlining.ops.converge.SIDE_BY_SIDE", 1)
    applier = Applier()
    carried_out(applier, volume("a"), volume("b"), volume("c", "b"), volume("d"), volume("e", "d"), volume("f", "d"))
    assert applier.done[:3] == ["d", "b", "a"]


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


class Ports:
    """A desk whose host tells, look by look, what listens on port 80."""

    def __init__(self, *looks: str) -> None:
        self.looks = list(looks)
        self.settings = SimpleNamespace(stack="silverlining")
        self.host = self
        self.client = SimpleNamespace(containers=lambda **_filters: [])

    @property
    def listeners(self) -> list[tuple[str, int, str]]:
        return [("0.0.0.0", 80, self.looks[0])] if self.looks[0] else []

    def forget_listeners(self) -> None:
        self.looks = self.looks[1:] or self.looks


def refuse(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("silverlining.ops.converge.SETTLING", 0.5)
    refuse_taken_ports(cast(Any, ports), cast(Any, SimpleNamespace(seen=Observed("silverlining"), stack=stack("step01-nginx"))))


def test_a_port_that_somebody_has_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SilverliningError, match=r"port 80, which silver-nginx-1 needs, is taken by apache2 \(pid 7\)"):
        refuse(Ports("apache2 (pid 7)", ""), monkeypatch)


@pytest.mark.parametrize("who", ["docker-proxy (pid 7)", NAMELESS])
def test_a_port_of_a_container_that_is_coming_or_going_is_waited_for(who: str, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(Ports(who, who, ""), monkeypatch)
    with pytest.raises(SilverliningError, match="is taken by"):
        refuse(Ports(who), monkeypatch)
