"""Redis nodes and Sentinels are asked by one process, and each that was silent by its own."""

from __future__ import annotations

import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from silverlining.host import redis_facts
from silverlining.host.exec import Answer
from silverlining.model.observed import SeenContainer

INFO = "# Replication\r\nrole:master\r\nconnected_slaves:2\r\nmaster_repl_offset:70"
SENTINEL = "name\nmaster\nip\n10.0.0.10\nflags\nmaster\nnum-slaves\n2\nnum-other-sentinels\n2"


def node(service: str, index: int = 1, address: str = "10.0.0.10", health: str = "healthy") -> SeenContainer:
    return SeenContainer("id", f"s-{service}-{index}", service, index, "", "", "running", health, address, "image")


class Engine:
    """Answers by container and program; remembers who was asked."""

    def __init__(self, called: Answer, alone: Answer | None = None) -> None:
        self.called, self.alone = called, alone or Answer(0, INFO)
        self.asked: list[tuple[str, tuple[str, ...]]] = []

    def execute(self, _client: Any, name: str, argv: tuple[str, ...]) -> Answer:
        self.asked.append((name, argv))
        return self.called if argv[0] == "sh" else self.alone


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch):
    def ask(engine: Engine, *nodes: SeenContainer) -> dict[str, Answer]:
        monkeypatch.setattr(redis_facts, "execute", engine.execute)
        with ThreadPoolExecutor(4) as pool:
            return redis_facts.ask_all(None, nodes, pool)

    return ask


def test_one_process_asks_all(asked) -> None:
    engine = Engine(Answer(0, f"@10.0.0.20:26379\n{SENTINEL}\n@10.0.0.10:6379\n{INFO}"))
    answers = asked(engine, node("redis-master"), node("sentinel", address="10.0.0.20"))
    assert len(engine.asked) == 1
    assert list(answers) == ["s-redis-master-1", "s-sentinel-1"]  # however they have answered
    assert engine.asked[0][1][-2:] == ("10.0.0.10:6379", "10.0.0.20:26379")
    found = redis_facts.redis_node(answers["s-redis-master-1"])
    assert found is not None
    assert (found.role, found.replicas, found.offset) == ("master", 2, 70)
    view = redis_facts.sentinel_view(answers["s-sentinel-1"])
    assert view is not None
    assert (view.master, view.sentinels, view.replicas) == ("10.0.0.10", 2, 2)


def test_who_is_silent_is_asked_alone(asked) -> None:
    engine = Engine(Answer(0, f"@10.0.0.10:6379\n{INFO}"), Answer(0, SENTINEL))
    answers = asked(engine, node("redis-master"), node("sentinel", address="10.0.0.20"), node("sentinel", 2, "10.0.0.21"))
    assert sorted(engine.asked[1:]) == [(f"s-sentinel-{n}", redis_facts.SENTINEL_MASTER) for n in (1, 2)]
    assert set(answers) == {"s-redis-master-1", "s-sentinel-1", "s-sentinel-2"}


def test_all_are_asked_alone_where_nobody_can_ask_for_them(asked) -> None:
    engine = Engine(Answer(None, "no such container"))
    answers = asked(engine, node("redis-master"), node("redis-slave", address="10.0.0.11"))
    assert [name for name, argv in engine.asked if argv == redis_facts.REPLICATION] == ["s-redis-master-1", "s-redis-slave-1"]
    assert all(answer.text == INFO for answer in answers.values())


def test_a_healthy_one_on_the_network_asks_for_the_others(asked) -> None:
    engine = Engine(Answer(0, ""))
    cut_off, ailing, well = node("redis-master", address=""), node("redis-slave", 1, "10.0.0.11", "unhealthy"), node("redis-slave", 2, "10.0.0.12")
    asked(engine, cut_off, ailing, well)
    assert engine.asked[0][0] == "s-redis-slave-2"
    assert engine.asked[0][1][4:] == ("10.0.0.11:6379", "10.0.0.12:6379")


def test_a_single_one_needs_nobody_who_asks(asked) -> None:
    engine = Engine(Answer(0, ""))
    assert asked(engine, node("redis-master"))["s-redis-master-1"].text == INFO
    assert engine.asked == [("s-redis-master-1", redis_facts.REPLICATION)]


def test_words_of_somebody_else_count_for_nobody(asked) -> None:
    engine = Engine(Answer(0, f"@10.9.9.9:6379\n{INFO}\nredis-cli: a line that is no answer"), Answer(1, "silent"))
    answers = asked(engine, node("redis-master"), node("redis-slave", address="10.0.0.11"))
    assert all(redis_facts.redis_node(answer) is None for answer in answers.values())


PROGRAM = """#!/bin/sh
case $2 in
    10.0.0.1) echo "$@" ;;
    10.0.0.2) echo refused >&2; exit 1 ;;
    10.0.0.3) exec sleep 60 ;;
    10.0.0.4) head -c 4000 /dev/zero | tr '\\0' x ;;
esac
"""


def test_the_roll_call_waits_for_nobody_and_mixes_no_answers(tmp_path: Path) -> None:
    program = tmp_path / "redis-ask"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    places = ["10.0.0.1:6379", "10.0.0.1:26379", "10.0.0.2:6379", "10.0.0.3:6379", "10.0.0.4:6379"]
    began = time.monotonic()
    done = subprocess.run(
        ["sh", "-c", redis_facts.ROLL_CALL, "roll-call", *places],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert time.monotonic() - began < 10
    assert done.stderr == ""
    assert dict(redis_facts._blocks(done.stdout.strip())) == {
        "10.0.0.1:6379": "-h 10.0.0.1 -p 6379 info replication",
        "10.0.0.1:26379": "-h 10.0.0.1 -p 26379 sentinel master master",
    }
