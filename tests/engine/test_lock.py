"""The lock and its trail on a real engine, with real processes that die."""

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

from silverlining.host import trail
from silverlining.host.lifeline import SILENCE
from silverlining.host.lock import GRACE, STALE, Lock, look, name_of
from silverlining.model import audit
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
        with Lock(client, sys.argv[1], sys.argv[2], holder="tester@there", command="invoke deploy-all", silence=int(sys.argv[3])) as lock:
            print("held", flush=True)
            if sys.stdin.readline().strip() == "check":
                lock.check()
    except Busy as error:
        print("lost" if "was lost" in str(error) else "busy", flush=True)
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
    """A client, and a small image that holds nothing but a few of this machine's programs and their libraries."""
    api = APIClient(os.environ.get("DOCKER_HOST"), version="1.41", max_pool_size=32)
    made = make_image(api)
    yield api
    if made:
        api.remove_image(IMAGE, force=True)


@pytest.fixture
def stack(client: APIClient) -> Iterator[str]:
    """A stack name of this test's own; what is left of its lock and its trail goes at the end."""
    name = f"try-lock-{os.getpid()}-{time.monotonic_ns() % 100000}"
    yield name
    try:
        client.remove_container(name_of(name), force=True)
    except APIError as error:
        assert error.status_code in (404, 409)
    trail.remove(client, name)


def trail_of(client: APIClient, stack: str) -> list[audit.Operation]:
    """The stack's trail."""
    return audit.read(trail.read(client, stack, lambda: IMAGE) or "")


def outcome(client: APIClient, stack: str, seconds: float = 5) -> str:
    """How the last operation ended, once that is written."""
    end = time.monotonic() + seconds
    while not (said := [one.outcome for one in trail_of(client, stack)][-1:]) or not said[0]:
        assert time.monotonic() < end, said
        time.sleep(0.05)
    return said[0]


class Holder:
    """A process that tries for the lock at every odd word and lets go at every even one."""

    def __init__(self, stack: str, silence: int = 0) -> None:
        command = [sys.executable, "-c", HOLD, stack, IMAGE, str(silence)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def word(self, text: str = "") -> None:
        """Says it."""
        assert self.process.stdin
        self.process.stdin.write(text + "\n")
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
    with Lock(client, stack, IMAGE, "ann@desk", "invoke scale", login="deploy") as lock:
        held = look(client, stack)
        assert held and held.running and (held.holder, held.command, held.pid) == ("ann@desk", "invoke scale", str(os.getpid()))
        assert not lock.lost()
        words = r"ann@desk over SSH as deploy is working on the stack .* since 20.*, for 0:00:0.*invoke scale"
        with pytest.raises(Busy, match=words) as refused, Lock(client, stack, IMAGE):
            pass
        lock.count({"created": 2})
        lock.count({"created": 1, "removed": 1})
        assert f"docker rm -f {stack}-lock" in refused.value.hint
    lock.gone()
    assert look(client, stack) is None
    with Lock(client, stack, IMAGE), Lock(client, f"{stack}-b", IMAGE, "bob@desk"):
        pass
    first = trail_of(client, stack)[0]
    assert (first.by, first.login, first.command, first.stack) == ("ann@desk", "deploy", "invoke scale", stack)
    assert audit.result(first) == "done: created 3, removed 1"
    assert [one.by for one in trail_of(client, f"{stack}-b")] == ["bob@desk"]
    assert trail.remove(client, f"{stack}-b") and trail.read(client, f"{stack}-b", lambda: IMAGE) is None


def test_the_next_one_need_not_wait_for_the_engine(client: APIClient, stack: str) -> None:
    """Who has just let go still shows as running for a moment; that is no reason to refuse."""
    for _turn in range(10):
        with Lock(client, stack, IMAGE) as lock:
            lock.check()
    assert [outcome(client, stack)] + [one.outcome for one in trail_of(client, stack)] == ["done"] * 11


def test_what_went_wrong_is_in_the_trail(client: APIClient, stack: str) -> None:
    """An error by its first line, Ctrl-C as such; a holder that is refused leaves nothing."""
    with pytest.raises(EngineError), Lock(client, stack, IMAGE):
        raise EngineError("no space left", "make room")
    assert outcome(client, stack) == "failed"
    with pytest.raises(KeyboardInterrupt), Lock(client, stack, IMAGE):
        begin = time.monotonic()
        with pytest.raises(Busy):
            Lock(client, stack, IMAGE).take()
        assert GRACE <= time.monotonic() - begin < GRACE + 3
        raise KeyboardInterrupt
    assert outcome(client, stack) == "interrupted"
    assert [audit.result(one) for one in trail_of(client, stack)] == ["failed: no space left", "interrupted"]


def test_a_wrong_clock_of_the_host(client: APIClient, stack: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who holds it and for how long is told by the host's clock alone, whatever that says; a date that no zone has is no error."""
    inspect = client.inspect_container
    monkeypatch.setenv("TZ", "EST5")
    time.tzset()
    with Lock(client, stack, IMAGE, "ann@desk"):
        for year, system, words in (("1970", "1970-01-01T00:01:05Z", "for 0:01:05"), ("0001", "0001-01-01T00:00:00Z", " 0*1-01-01 00:00:00 UTC")):
            monkeypatch.setattr(client, "inspect_container", lambda name, year=year: {**inspect(name), "Created": f"{year}-01-01T00:00:00.5Z"})
            monkeypatch.setattr(client, "info", lambda system=system: {"SystemTime": system})
            with pytest.raises(Busy, match=f"ann@desk is working .*{words}"):
                Lock(client, stack, IMAGE).take()
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_freed_when_the_holder_dies(client: APIClient, stack: str, number: signal.Signals) -> None:
    """kill -9, kill and Ctrl-C: the engine lets go by itself."""
    holder = Holder(stack)
    holder.word()
    assert holder.answer() == "held"
    holder.process.send_signal(number)
    holder.end()
    free_within(client, stack, 5)
    assert outcome(client, stack) == ("interrupted" if number == signal.SIGINT else "lost")
    with Lock(client, stack, IMAGE):
        pass


def test_a_holder_elsewhere_that_falls_silent_loses_it(client: APIClient, stack: str) -> None:
    """Stopped for more than SILENCE seconds, as over a connection that is dead: another may go on, and the first is told before its next change."""
    remote, local = Holder(stack, SILENCE), Holder(f"{stack}-b")
    for holder in (remote, local):
        holder.word()
        assert holder.answer() == "held"
        holder.process.send_signal(signal.SIGSTOP)
    try:
        assert free_within(client, stack, SILENCE + 5) > SILENCE - 10
        assert outcome(client, stack) == "lost"
        with Lock(client, stack, IMAGE) as mine:
            remote.process.send_signal(signal.SIGCONT)
            remote.word("check")
            assert remote.answer() == "lost"
            mine.check()
        # Ctrl-Z on this machine costs nobody the lock.
        held = look(client, f"{stack}-b")
        assert held and held.running
        local.process.send_signal(signal.SIGCONT)
        local.word("check")
        local.end()
        assert outcome(client, f"{stack}-b") == "done"
    finally:
        for holder in (remote, local):
            holder.process.send_signal(signal.SIGCONT)
        remote.word()
        remote.end()
        assert trail.remove(client, f"{stack}-b")


def test_a_holder_elsewhere_that_beats_keeps_it(client: APIClient, stack: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer than the silence that would lose it: each beat is answered through the engine."""
    monkeypatch.setattr("silverlining.host.lifeline.BEAT", 0.3)
    with Lock(client, stack, IMAGE, silence=7) as lock:  # the holder itself gives up after two seconds without an answer
        for _look in range(18):
            time.sleep(0.5)
            lock.check()


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
    """Ten races between two processes that are ready beforehand."""
    pair = [Holder(stack), Holder(stack)]
    for _race in range(10):
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


def must_notice(lock: Lock) -> None:
    """The holder is told within 5 s that the lock is lost."""
    deadline = time.monotonic() + 5
    while not lock.lost() and time.monotonic() < deadline:
        time.sleep(0.01)
    with pytest.raises(Busy, match="was lost"):
        lock.check()
    lock.release()


def test_a_lost_lock_is_noticed(client: APIClient, stack: str) -> None:
    """Somebody removes the container by hand: the holder is told before its next change."""
    lock = Lock(client, stack, IMAGE)
    lock.take()
    lock.check()
    client.remove_container(name_of(stack), force=True)
    must_notice(lock)


def test_an_engine_that_stops_its_containers(client: APIClient, stack: str) -> None:
    """As a restart of the engine does: the holder is told, and the trail says what it was."""
    lock = Lock(client, stack, IMAGE)
    lock.take()
    client.stop(name_of(stack))
    must_notice(lock)
    assert outcome(client, stack) == "stopped"


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
