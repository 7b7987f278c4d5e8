"""Backup and restore on a real stack, with hits that go on: the counter, etcd's keys, and the roles as they are."""

from __future__ import annotations

import json
import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker import APIClient

from silverlining.host.sealed import Writer, open_sealed

from .course import Course, Run, own_stack, until
from .test_failures import Terminal

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def course(engine: APIClient) -> Iterator[Course]:
    """A stack of our own: ports 8621 to 8625."""
    with own_stack(engine, "sl-back", 8620, 37) as one:
        one.run("deploy-all")
        yield one


def keys(course: Course) -> dict[str, str]:
    """What etcd holds."""
    lines = course.ask(course.name("etcd"), "etcdctl", "get", "", "--prefix").splitlines()
    return dict(zip(lines[::2], lines[1::2], strict=True))


def state(course: Course) -> tuple[Any, int]:
    """What nothing may change that is refused: containers, their starts, networks, the counter. A failover on a busy machine is awaited."""
    return course.snapshot()[:3], int(until(lambda: max(0, course.count()), "a master that tells the counter"))


def facts(path: Path) -> Any:
    return open_sealed(path, "backup").facts


@pytest.fixture(scope="module")
def busy(course: Course, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup that was taken while hits went on; none was lost, and its number was the counter's meanwhile."""
    path = tmp_path_factory.mktemp("backups") / "busy.backup"
    course.hit()
    with course.load() as load:
        until(lambda: len(load.hits) > 20, "hits")
        first = course.count()
        text = course.run("backup", str(path))
        last = course.count()
        asked = len(load.hits)
        until(lambda: len(load.hits) > asked + 20, "hits go on")
    load.must_be_whole()
    number = facts(path)["redis"]["counter"]
    assert first <= number <= last and first < last
    assert f"the counter at {number}, 1 keys of Redis" in text
    return path


def test_a_backup_while_hits_go_on_has_no_credentials(course: Course, busy: Path) -> None:
    assert stat.S_IMODE(busy.stat().st_mode) == 0o600
    payload = b"".join(open_sealed(busy, "backup").payload())
    assert payload.count(b"redis.rdb") == 1 and b"REDIS00" in payload and b"/app/servers/app1" in payload
    for name in ("redis-password", "django-secret-key"):
        secret = course.ask(course.name("redis-master"), "cat", f"/secrets/{name}").encode()
        assert len(secret) >= 32 and secret not in payload and secret not in busy.read_bytes()
    assert "add --yes" in course.fails("backup", str(busy))


@pytest.mark.parametrize("damage", ("cut", "changed", "foreign", "redis", "etcd"))
def test_what_is_refused_changes_nothing(course: Course, busy: Path, tmp_path: Path, damage: str) -> None:
    path, data = tmp_path / "bad", bytearray(busy.read_bytes())
    if damage == "changed":
        data[-20] ^= 1
    if damage in ("redis", "etcd"):
        sealed = open_sealed(busy, "backup")
        newer = json.loads(json.dumps(sealed.facts))
        newer[damage]["version"] = "99.0.1"
        with Writer(path, "backup", newer, 0o600) as writer:
            for piece in sealed.payload():
                writer.write(piece)
            writer.seal(newer)
    else:
        path.write_bytes({"cut": data[: len(data) // 2], "changed": data, "foreign": b"something else"}[damage])
    before = state(course)
    words = {"cut": "damaged", "changed": "damaged", "foreign": "was not written by", "redis": "made by Redis 99", "etcd": "made by etcd 99"}
    assert words[damage] in course.fails("restore", str(path), "--yes")
    assert state(course) == before


def test_teardown_with_the_volumes_and_restore(course: Course, tmp_path: Path) -> None:
    """The next hit is one more than the last before the backup; the step of the backup is brought up first."""
    path = tmp_path / "good.backup"
    etcd = course.name("etcd")
    course.ask(etcd, "etcdctl", "put", "/team/motto", "count on us")
    course.ask(course.master(), "redis-ask", "set", "team", "red")
    number = course.hit()
    course.run("backup", str(path))
    before = keys(course)
    course.run("teardown", "--yes", "--volumes")
    assert "step08-netdata is brought up first" in course.run("restore", str(path), "--dry") and not course.ids()
    text = course.run("restore", str(path))
    assert f"the counter is at {number}: the next hit is {number + 1}" in text
    assert course.hit() == number + 1
    course.must_stand("step08-netdata")
    assert keys(course) == before
    for node in ("redis-master", "redis-slave"):
        assert course.ask(course.name(node), "redis-ask", "get", "team") == "red"


def test_over_data_that_is_there_and_the_master_elsewhere(course: Course, tmp_path: Path) -> None:
    """It asks; then the roles and containers stay, every node has the restored data, hits wait for a moment, and no key of somebody is left."""
    path = tmp_path / "old.backup"
    course.run("backup", str(path))
    wanted, before = facts(path)["redis"]["counter"], keys(course)
    master = course.fail_over()
    etcd = course.name("etcd")
    course.ask(etcd, "etcdctl", "put", "/late", "1")
    course.ask(etcd, "etcdctl", "del", "/team/motto")
    course.hit()
    course.ask(master, "redis-ask", "set", "late", "1")
    # So far apart that each number tells on which data it was counted.
    course.ask(master, "redis-ask", "incrby", "count", "1000000")
    stands, number = state(course)
    assert "add --yes" in course.fails("restore", str(path))
    assert "nothing was changed" in course.run("restore", str(path), "--dry")
    terminal = Terminal(course, "restore", str(path))
    terminal.read(lambda text: "[y/N]" in text)
    os.write(terminal.main, b"n\n")
    assert terminal.end() == 1 and "nothing was changed" in terminal.text and "Traceback" not in terminal.text
    assert state(course) == (stands, number) and "/late" in keys(course)
    with course.load() as load:
        until(lambda: len(load.hits) > 20, "hits")
        course.run("restore", str(path), "--yes")
        asked = len(load.hits)
        until(lambda: len(load.hits) > asked + 20, "hits go on")
    assert not load.failures, load.failures[:5]
    print(f"longest wait for an answer: {load.gap():.2f} s")
    assert course.snapshot()[:3] == stands and course.master() == master
    assert keys(course) == before
    reached = course.count()
    counted = sorted(one for one in load.numbers if one < 1_000_000)
    assert counted == list(range(wanted + 1, reached + 1)), "each hit on the restored data counts once"
    assert any(one > 1_000_000 for one in load.numbers)
    for node in ("redis-master-1", "redis-slave-1", "redis-slave-2"):
        name = f"{course.stack}-{node}"
        assert (course.ask(name, "redis-ask", "exists", "late"), course.ask(name, "redis-ask", "get", "team")) == ("0", "red")
        assert course.ask(name, "redis-ask", "get", "count") == str(reached)
    course.must_be_green()
    assert course.sentinel_counts() == {("2", "2")}
    # What stands on the disk is the restored data too.
    course.client.restart(master)
    course.run("deploy-all", "--yes")
    assert course.hit() == reached + 1


def test_a_restore_that_was_killed(course: Course, tmp_path: Path) -> None:
    """Killed in the middle of the exchange, while the master follows the copy: the next run mends it, and the data is one or the other, whole."""
    path = tmp_path / "killed.backup"
    course.run("backup", str(path))
    kept = facts(path)["redis"]["counter"]
    master = course.master()
    course.ask(master, "redis-ask", "incrby", "count", "1000000")
    reached = course.count()
    run = Run(course, tmp_path / "restore.log", "restore", str(path), "--yes")
    until(lambda: course.ask(master, "redis-ask", "role").startswith("slave"), "the master takes the data over", 60, 0.01)
    run.end(signal.SIGKILL)
    course.run("deploy-all", "--yes")
    course.must_be_green()
    assert course.hit() - 1 in (kept, reached)
    course.run("restore", str(path), "--yes")
    assert course.hit() == kept + 1
    course.must_be_green()
