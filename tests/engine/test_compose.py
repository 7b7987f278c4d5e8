"""Step 09 on a real engine: Compose takes the stack over and gives it back, with all hits, after a scale, a failover, an edit and a kill."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from .course import Course, until

FIND = """
from invoke import Context
from silverlining.console.voice import Voice
from silverlining.host import compose
from silverlining.ops.desk import Desk
from silverlining.ops.settings import read_settings
desk = Desk(Context(), read_settings({}), Voice(quiet=True))
print(compose.find(desk.host, desk.store).prefix(desk.host.placed(compose.file_path())))
"""


def prefix(course: Course) -> str:
    """What stands in front of a Compose command here: the one that serves the step."""
    return subprocess.check_output([sys.executable, "-c", FIND], cwd=course.checkout, env=course.environment(), text=True).strip()


def shell(course: Course, line: str, place: Path | None = None, **more: str) -> str:
    """A command line that must succeed; gives what it said on both streams."""
    done = subprocess.run(
        ["sh", "-c", line], cwd=place or course.checkout, env=course.environment(**more), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    return done.stdout + done.stderr


def register(course: Course, place: Path | None = None) -> None:
    """The script that stands beside the file."""
    shell(course, "sh compose-register.sh", place, COMPOSE=prefix(course))


def keys(course: Course) -> list[str]:
    """The app servers that etcd knows."""
    return course.ask(course.name("etcd"), "etcdctl", "get", "--prefix", "--keys-only", "/app/servers/app").split()


def data_volumes(course: Course) -> list[str]:
    """The volume at /data of each Redis node and Sentinel."""
    names = [name for name in course.ids() if "-redis-" in name or "-sentinel-" in name]
    mounts = [mount for name in names for mount in course.client.inspect_container(name)["Mounts"]]
    return [mount["Name"] for mount in mounts if mount["Destination"] == "/data"]


def stands_by_compose(course: Course) -> None:
    """Everything is Compose's, good, and as the step says."""
    assert all("com.docker.compose.service" in entry["Labels"] for entry in course.mine())
    course.must_stand("step09-compose")
    assert course.sentinel_counts() == {("2", "2")}


def stands_by_us(course: Course) -> None:
    """Nothing of Compose is left."""
    assert not any("com.docker.compose.service" in entry["Labels"] for entry in course.mine())
    course.must_stand("step08-netdata")
    assert course.sentinel_counts() == {("2", "2")}


@pytest.fixture(scope="module", autouse=True)
def often(course: Course) -> None:
    """Compose waits for Docker's own word, which comes with a health check: one in 2 s instead of 10 is less to wait, time and again."""
    course.settings["SILVERLINING_HEALTH_INTERVAL"] = "2"


def test_a_bare_host(course: Course) -> None:
    networks = course.networks()
    dry = course.run("step09-compose", "--dry")
    assert "docker compose -f compose.yaml up -d" in dry
    assert not course.ids() and course.networks() == networks and not course.volumes() and not (course.checkout / "compose.yaml").exists()
    assert "Docker Compose" in course.run("step09-compose"), "the step says which Compose serves"
    stands_by_compose(course)
    course.must_stand_still("step09-compose")


def test_scaled_containers_share_no_data_directory(course: Course) -> None:
    volumes = data_volumes(course)
    assert len(volumes) == len(set(volumes)) == 6


def test_our_own_scale_leaves_it_to_compose(course: Course) -> None:
    before = course.snapshot()
    assert "docker compose scale ping-app=4" in course.fails("scale", "ping-app=4")
    assert course.snapshot() == before


def test_registration_follows_a_scale_and_the_step_goes_back_to_its_numbers(course: Course) -> None:
    for count in (5, 2):
        shell(course, f"{prefix(course)} scale ping-app={count}")
        register(course)
        assert len(keys(course)) == count
    course.run("step09-compose")
    assert len(keys(course)) == 3
    stands_by_compose(course)


def test_an_edit_of_the_app_and_of_haproxy_loses_no_request(course: Course) -> None:
    before = course.ids()
    course.edit("conf/gunicorn.conf.py.j2", "keepalive = 75", "keepalive = 76")
    course.edit("conf/haproxy.cfg.j2", "timeout queue 10s", "timeout queue 11s")
    with course.load() as load:
        until(lambda: len(load.numbers) > 50, "the load runs")
        course.run("step09-compose")
    load.must_be_whole()
    edited = {course.name("haproxy"), *(course.name("ping-app", n) for n in (1, 2, 3))}
    assert edited <= course.changed(before) <= {*edited, course.name("secrets")}
    stands_by_compose(course)


def test_an_edit_of_redis_after_a_failover_loses_no_hit(course: Course) -> None:
    assert course.fail_over() != course.name("redis-master")
    course.edit("conf/redis.conf.j2", "appendonly yes", "appendonly yes\nslowlog-max-len 77")
    with course.load() as load:
        until(lambda: len(load.numbers) > 50, "the load runs")
        course.run("step09-compose")
    assert not load.falls(), load.falls()[:5]
    stands_by_compose(course)


def test_back_and_forth_after_a_scale_and_a_failover_loses_no_hit(course: Course) -> None:
    shell(course, f"{prefix(course)} scale ping-app=4 redis-slave=3")
    register(course)
    until(lambda: course.sentinel_counts() == {("3", "2")}, "the Sentinels know the third replica")
    sentinel = course.name("sentinel")
    course.ask(sentinel, "redis-ask", "-p", "26379", "sentinel", "failover", "master")
    # An order to fail over leaves the old master writable until the Sentinels tell it so: Sentinel's own gap, not the step's.
    info = ("redis-ask", "info", "replication")
    until(lambda: "master_link_status:up" in course.ask(course.name("redis-master"), *info), "the old master follows", 60, 0.5)
    with course.load() as load:
        until(lambda: len(load.numbers) > 50, "the load runs")
        course.run("deploy-all", "--yes")
        stands_by_us(course)
        course.run("step09-compose")
        stands_by_compose(course)
    assert not load.falls(), load.falls()[:5]
    assert course.count() >= max(load.numbers)


def test_teardown_keeps_the_data_of_a_master_whose_volume_has_no_name(course: Course) -> None:
    course.fail_over()
    last = course.hit()
    course.run("teardown", "--yes")
    assert not course.ids()
    course.run("step09-compose")
    assert course.count() >= last
    stands_by_compose(course)


def test_the_file_works_for_somebody_who_has_nothing_else(course: Course, tmp_path: Path) -> None:
    """Up, and after a failover down and up again: the volume of the master since then is gone, and the number goes on all the same."""
    course.run("step09-compose")
    for name in ("compose.yaml", "compose-register.sh"):
        shutil.copy(course.checkout / name, tmp_path)
    own = prefix(course).replace(str(course.checkout), str(tmp_path))
    course.clean()

    def up() -> None:
        said = shell(course, f"{own} up -d --wait", tmp_path)
        assert "warn" not in said.lower(), said
        register(course, tmp_path)
        until(lambda: len(keys(course)) == 3 and course.checks()["haproxy"]["ok"], "HAProxy has the servers")
        until(lambda: course.sentinel_counts() == {("2", "2")}, "the Sentinels know both replicas")

    up()
    course.hit()
    assert course.fail_over() != course.name("redis-master")
    last = course.hit()
    nameless = [name for name in data_volumes(course) if not name.startswith(course.stack)]
    shell(course, f"{own} down", tmp_path)
    for name in nameless:
        # `down` leaves them behind, with nothing to know them by.
        course.client.remove_volume(name)
    up()
    assert course.hit() == last + 1, "the volumes by name outlive `down`"
    stands_by_compose(course)
    course.must_stand_still("step09-compose")


def test_a_run_that_was_killed_is_gone_on_with(course: Course) -> None:
    """redis-master is Compose's by then, the rest is ours: the step before is brought about all the same."""
    course.run("deploy-all", "--yes")
    last = course.hit()
    log = course.checkout / "killed.log"
    with log.open("w") as stream:
        run = subprocess.Popen(
            [sys.executable, "-m", "invoke", "step09-compose"],
            cwd=course.checkout,
            env=course.environment(PYTHONUNBUFFERED="1"),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
        try:
            until(lambda: "-d redis-master" in log.read_text() or run.poll() is not None, "Compose makes the first container", 120, 0.05)
        finally:
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()
    course.run("deploy-all", "--yes")
    assert course.count() >= last
    stands_by_us(course)
