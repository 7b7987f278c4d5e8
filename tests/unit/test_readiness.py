"""Waiting for health: whose word counts, how often it is asked for, and what is said at the deadline."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from silverlining.model.errors import Unhealthy
from silverlining.model.stack import Container
from silverlining.ops.readiness import Readiness, Shared

from .builders import stack


class Engine:
    """An engine whose containers become healthy after some seconds; `execs` are the programs that it was asked to start."""

    def __init__(self, docker_after: float = 60, program_after: float = 60) -> None:
        now = time.monotonic()
        self.docker, self.program = now + docker_after, now + program_after
        self.execs: list[str] = []
        self.listed = 0

    def containers(self, **filters: Any) -> list[dict[str, Any]]:
        self.listed += 1
        return [{"Names": ["/silver-ping-app-1"]}] if time.monotonic() > self.docker else []

    def exec_create(self, name: str, argv: list[str], **more: Any) -> dict[str, str]:
        self.execs.append(name)
        return {"Id": "1"}

    def exec_start(self, exec_id: str) -> bytes:
        return b"not yet"

    def exec_inspect(self, exec_id: str) -> dict[str, int]:
        return {"ExitCode": int(time.monotonic() < self.program)}

    def inspect_container(self, name: str) -> dict[str, Any]:
        return {"RestartCount": 0, "State": {"ExitCode": 0}}

    def logs(self, *args: Any, **more: Any) -> bytes:
        return b""


def app(interval: int) -> Container:
    """A container whose health Docker looks at every `interval` seconds."""
    return stack("step04-image", health_interval=interval).of("ping-app")[0]


def wait(engine: Engine, c: Container, *, fresh: bool = True, deadline: float = 5.0) -> None:
    """Waits as a converge does."""
    Readiness(engine, "sl", deadline).wait(c, lambda words: None, fresh=fresh)


def test_where_docker_asks_every_second_its_word_is_enough() -> None:
    """No program of ours is started beside Docker's own."""
    engine = Engine(docker_after=1)
    wait(engine, app(1))
    assert engine.execs == []


def test_where_docker_asks_seldom_we_ask() -> None:
    """Docker would say so only at the end of its interval."""
    seldom = app(10)
    engine = Engine(program_after=0.5)
    wait(engine, seldom)
    assert len(engine.execs) >= 2


def test_an_old_word_of_docker_does_not_count() -> None:
    """A container that was there before may be called healthy for what it was then."""
    engine = Engine(docker_after=0, program_after=0.5)
    wait(engine, app(1), fresh=False)
    assert engine.execs and engine.listed == 0


def test_the_deadline_tells_what_the_check_says() -> None:
    """Even where the check was never asked for on the way."""
    with pytest.raises(Unhealthy, match=r"not healthy after 0\.5 s: not yet"):
        wait(Engine(), app(1), deadline=0.5)


def test_one_answer_serves_all_who_wait() -> None:
    """Ten ask at once: the engine is asked once, after all of them began."""
    asked: list[float] = []
    shared = Shared(lambda: asked.append(time.monotonic()) or len(asked))
    began = time.monotonic()
    with ThreadPoolExecutor(10) as pool:
        assert set(pool.map(lambda _n: shared.since(began), range(10))) == {1}
    assert shared.since(time.monotonic()) == 2
