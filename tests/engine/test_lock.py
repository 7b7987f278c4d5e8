"""The lock on a real engine, with real processes that die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker import APIClient
from docker.errors import APIError

from silverlining.host.lock import STALE, Lock, look, name_of
from silverlining.model.errors import Busy, Conflict, EngineError

from .tiny import IMAGE, make_image

ROOT = Path(__file__).parents[2]
HOLD = """
import os, sys
from docker import APIClient
from silverlining.host.lock import Lock
from silverlining.model.errors import Busy
client = APIClient(os.environ.get("DOCKER_HOST"), version="1.41")
for line in sys.stdin:
    try:
        with Lock(client, sys.argv[1], sys.argv[2], holder="tester@there", command="invoke deploy-all"):
            print("held", flush=True)
            sys.stdin.readline()
    except Busy:
        print("busy", flush=True)
        sys.stdin.readline()
"""
LEAVE_A_CHILD = """
import os, subprocess, sys
from docker import APIClient
from silverlining.host.lock import Lock
Lock(APIClient(os.environ.get("DOCKER_HOST"), version="1.41"), sys.argv[1], sys.argv[2]).take()
print(subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, close_fds=False).pid, flush=True)
os.kill(os.getpid(), 9)
"""


@pytest.fixture(scope="module")
def client() -> Iterator[APIClient]:
    """A client, and a small image that holds nothing but this machine's `cat` and its libraries."""
    api = APIClient(os.environ.get("DOCKER_HOST"), version="1.41", max_pool_size=32)
    made = make_image(api)
    yield api
    if made:
        api.remove_image(IMAGE, force=True)


@pytest.fixture
def stack(client: APIClient) -> Iterator[str]:
    """A stack name of this test's own; what is left of its lock goes at the end."""
    name = f"try-lock-{os.getpid()}-{time.monotonic_ns() % 100000}"
    yield name
    try:
        client.remove_container(name_of(name), force=True)
    except APIError as error:
        assert error.status_code in (404, 409)


class Holder:
    """A process that tries for the lock at every odd word and lets go at every even one."""

    def __init__(self, stack: str) -> None:
        command = [sys.executable, "-c", HOLD, stack, IMAGE]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def word(self) -> None:
        """Says it."""
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def answer(self) -> str:
        """held or busy."""
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def end(self) -> None:
        """Ends it in peace."""
        self.process.communicate(timeout=30)


def free_within(client: APIClient, stack: str, seconds: float) -> float:
    """Seconds until the lock's container is gone."""
    begin = time.monotonic()
    while look(client, stack):
        assert time.monotonic() - begin < seconds, look(client, stack)
        time.sleep(0.02)
    return time.monotonic() - begin


def test_taken_told_and_released(client: APIClient, stack: str) -> None:
    """Another sees who holds it, and is refused; afterwards nothing is left."""
    with Lock(client, stack, IMAGE, "ann@desk", "invoke scale") as lock:
        held = look(client, stack)
        assert held and held.running and (held.holder, held.command, held.pid) == ("ann@desk", "invoke scale", str(os.getpid()))
        assert not lock.lost()
        with pytest.raises(Busy, match=r"ann@desk is working on the stack .* since 20.*invoke scale") as refused, Lock(client, stack, IMAGE):
            pass
        assert f"docker rm -f {stack}-lock" in refused.value.hint
    assert look(client, stack) is None
    with Lock(client, stack, IMAGE):
        pass


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_freed_when_the_holder_dies(client: APIClient, stack: str, number: signal.Signals) -> None:
    """kill -9, kill and Ctrl-C: the engine lets go by itself."""
    holder = Holder(stack)
    holder.word()
    assert holder.answer() == "held"
    holder.process.send_signal(number)
    holder.end()
    free_within(client, stack, 5)
    with Lock(client, stack, IMAGE):
        pass


def test_a_program_started_by_the_holder_does_not_keep_it(client: APIClient, stack: str) -> None:
    """A child that outlives the holder has not inherited the connection."""
    command = [sys.executable, "-c", LEAVE_A_CHILD, stack, IMAGE]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    child = int(run.stdout)
    try:
        assert run.returncode == -signal.SIGKILL
        free_within(client, stack, 5)
        os.kill(child, 0)
    finally:
        os.kill(child, signal.SIGKILL)


def test_exactly_one_of_two(client: APIClient, stack: str) -> None:
    """Twenty races between two processes that are ready beforehand."""
    pair = [Holder(stack), Holder(stack)]
    for _race in range(20):
        for one in pair:
            one.word()
        assert sorted(one.answer() for one in pair) == ["busy", "held"]
        for one in pair:
            one.word()
        free_within(client, stack, 10)
    for one in pair:
        one.end()


def test_left_behind_before_its_start(client: APIClient, stack: str) -> None:
    """A holder died between create and start: the next takes over after a moment, and of two only one."""
    dead = Lock(client, stack, IMAGE)
    identity = client.create_container_from_config(dead._container(), name_of(stack))["Id"]
    begin = time.monotonic()
    pair = [Holder(stack), Holder(stack)]
    for one in pair:
        one.word()
    assert sorted(one.answer() for one in pair) == ["busy", "held"]
    assert time.monotonic() - begin > STALE
    held = look(client, stack)
    assert held and held.id != identity
    for one in pair:
        one.end()


def test_a_slow_holder_does_not_come_in_second(client: APIClient, stack: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A holder that slept between create and start finds its container cleared away and is refused."""
    slow = APIClient(os.environ.get("DOCKER_HOST"), version="1.41")
    start = slow.start
    other = Lock(client, stack, IMAGE, "quick@desk")

    def late(identity: str) -> None:
        other.take()
        start(identity)

    monkeypatch.setattr(slow, "start", late)
    with pytest.raises(Busy, match="quick@desk"):
        Lock(slow, stack, IMAGE).take()
    assert not other.lost()
    other.release()


def test_a_started_lock_is_not_cleared(client: APIClient, stack: str) -> None:
    """Clearing up goes without force, so a holder that started in the meantime keeps its lock."""
    with Lock(client, stack, IMAGE) as lock:
        held = look(client, stack)
        assert held
        Lock(client, stack, IMAGE)._clear(held.id)
        assert not lock.lost()
        assert look(client, stack) == held


def test_a_lost_lock_is_noticed(client: APIClient, stack: str) -> None:
    """Somebody removes the container by hand: the holder is told before its next change."""
    lock = Lock(client, stack, IMAGE)
    lock.take()
    lock.check()
    client.remove_container(name_of(stack), force=True)
    deadline = time.monotonic() + 5
    while not lock.lost() and time.monotonic() < deadline:
        time.sleep(0.01)
    with pytest.raises(Busy, match="was lost"):
        lock.check()
    lock.release()


def test_interrupted_between_create_and_start(client: APIClient, stack: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle leaves no container."""
    mine = APIClient(os.environ.get("DOCKER_HOST"), version="1.41")

    def interrupt(identity: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(mine, "start", interrupt)
    with pytest.raises(KeyboardInterrupt):
        Lock(mine, stack, IMAGE).take()
    assert look(client, stack) is None


def test_a_foreign_container_of_that_name(client: APIClient, stack: str) -> None:
    """It is named as a conflict and not touched."""
    made = client.create_container_from_config({"Image": IMAGE, "Cmd": ["cat"]}, name_of(stack))["Id"]
    with pytest.raises(Conflict, match="not ours"):
        Lock(client, stack, IMAGE).take()
    assert client.inspect_container(name_of(stack))["Id"] == made


def test_no_image(client: APIClient, stack: str) -> None:
    """A missing image is an error for people."""
    with pytest.raises(EngineError, match="No such image"):
        Lock(client, stack, "silverlining-test/nosuch:1").take()
