"""`scale` on what stands: up and down under load, with the master on the node that goes, at other steps; and what it refuses changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from docker import APIClient

from .course import Course, own_stack, until
from .test_live import watched


@pytest.fixture(scope="module")
def course(engine: APIClient) -> Iterator[Course]:
    """A stack of our own at the last step: ports 8501 to 8505."""
    with own_stack(engine, "sl-scale", 8500, 33) as one:
        one.run("deploy-all", "--yes")
        yield one


def numbers(course: Course) -> dict[str, int]:
    """How many containers of each scaled service run."""
    running = [entry["Labels"]["io.silverlining.service"] for entry in course.mine() if entry["State"] == "running"]
    return {name: running.count(name) for name in ("ping-app", "redis-slave", "sentinel")}


def sentinel_quorums(course: Course) -> set[str]:
    """The quorum as each Sentinel has it."""
    return {view["quorum"] for view in course.sentinel_views()}


def registered(course: Course) -> set[str]:
    """The servers that etcd has keys of, and HAProxy lines: they must be the same."""
    keys = course.ask(course.name("etcd"), "etcdctl", "get", "--prefix", "--keys-only", "/app/servers/").split()
    rows = course.ask(course.name("haproxy"), "haproxyctl", "show", "servers", "state", "webserver").splitlines()
    servers = {row.split()[3] for row in rows if len(row.split()) > 4 and row.split()[3].startswith("app")}
    assert servers == {key.rsplit("/", 1)[1] for key in keys}
    return servers


def must_be(course: Course, app: int, replicas: int, sentinels: int) -> None:
    """Containers, registration, replication and Sentinels are those of these counts, and the checks say so."""
    course.must_be_green()
    assert numbers(course) == {"ping-app": app, "redis-slave": replicas, "sentinel": sentinels}
    assert registered(course) == {f"app{n}" for n in range(1, app + 1)}
    assert course.sentinel_counts() == {(str(replicas), str(sentinels - 1))}
    assert sentinel_quorums(course) == {str(sentinels // 2 + 1)}


REFUSED = (
    (("",), "at least one service"),
    (("ping-app=many",), "must be a whole one"),
    (("ping-app=91",), "room for 90"),
    (("sentinel=4",), "one more for a majority"),
    (("ping-app=4,pnig-app=4",), "did you mean ping-app?"),
    (("ping-app=4", "--set", "app.cpus=0.5"), "more than counts"),
)


def test_what_is_refused_changes_nothing(course: Course) -> None:
    before = course.snapshot()
    for words, says in REFUSED:
        done = course.invoke("scale", *words)
        assert done.returncode == 1 and "Traceback" not in done.stderr
        assert says in done.stderr and done.stderr.count("→") == 1, done.stderr
    assert "positional" in course.fails("scale")
    assert course.snapshot() == before


def test_a_dry_run_changes_nothing(course: Course) -> None:
    before = course.snapshot()
    text = course.run("scale", "ping-app=4", "--dry")
    assert "docker run --detach --name sl-scale-ping-app-4" in text and "docker volume create" in text
    assert course.json("--dry", "scale", "sentinel=5")["counts"] == {"redis-slave": 2, "sentinel": 5, "ping-app": 3}
    assert course.snapshot() == before


def test_up_under_load(course: Course) -> None:
    """New containers come, the Sentinels are made anew for their quorum one at a time, and everything else stays as it is."""
    before = course.ids()
    sentinels = {course.name("sentinel", n) for n in (1, 2, 3)}
    with course.load() as load, watched(course, sentinels) as running:
        until(lambda: len(load.numbers) > 50, "the load runs")
        done = course.json("scale", "ping-app=5,redis-slave=3,sentinel=5", "--yes")
        so_far = len(load.numbers)
        until(lambda: len(load.numbers) > so_far + 50, "the load goes on")
    print(f"up: {len(load.hits)} requests, longest silence {load.gap():.2f} s")
    load.must_be_whole()
    new = {
        course.name("ping-app", 4),
        course.name("ping-app", 5),
        course.name("redis-slave", 3),
        course.name("sentinel", 4),
        course.name("sentinel", 5),
    }
    assert course.changed(before) == new | sentinels
    assert min(running) >= 2, "fewer Sentinels than a majority"
    assert done["settings"] == {"counts.ping-app": 5, "counts.redis-slave": 3, "counts.sentinel": 5}
    assert done["before"] == {"redis-slave": 2, "sentinel": 3, "ping-app": 3}
    must_be(course, 5, 3, 5)
    # For the test of the master on the node that goes: the Sentinels ask for priorities only every 10 seconds.
    course.ask(course.name("redis-slave", 3), "redis-ask", "config", "set", "replica-priority", "1")


def test_status_and_plans_say_what_was_scaled(course: Course) -> None:
    status = course.json("status")
    assert status["step"] == "step08-netdata" and not status["exact"]
    assert set(status["differences"]) == {"ping-app 5 of 3", "redis-slave 3 of 2", "sentinel 5 of 3"}
    assert status["scaled"] == {"ping-app": 5, "redis-slave": 3, "sentinel": 5}
    before = course.snapshot()
    for task in ("deploy-all", "step08-netdata"):
        text = course.run(task, "--dry")
        assert "ping-app 5 → 3: undoes `scale`" in text and "counts: {ping-app: 5}" in text and "--set counts.ping-app=5" in text
        assert "sentinel 5 → 3" in text and "docker volume rm sl-scale-scaled" in text
    assert "nothing to do" in course.run("scale", "ping-app=5")
    lasts = [word for name, count in status["scaled"].items() for word in ("--set", f"counts.{name}={count}")]
    course.must_stand_still("deploy-all", *lasts)
    assert course.snapshot() == before


def test_a_container_that_is_lost_after_a_scale_is_missed(course: Course) -> None:
    """The checks ask for what was scaled to, not for what happens to stand; the same scale once more brings it back."""
    lost = course.name("ping-app", 5)
    course.client.remove_container(lost, force=True)
    bad = course.checks(SILVERLINING_DEADLINE="2")["containers"]
    assert not bad["ok"] and lost in bad["seen"]
    assert lost in course.run("scale", "ping-app=5") and lost in course.ids()


def preferred(course: Course) -> bool:
    """Whether each Sentinel would choose the replica with the priority of 1."""
    for index in range(1, numbers(course)["sentinel"] + 1):
        lines = course.ask(course.name("sentinel", index), "redis-ask", "-p", "26379", "sentinel", "replicas", "master").splitlines()
        if ("slave-priority", "1") not in zip(lines[::2], lines[1::2], strict=False):
            return False
    return True


def test_down_under_load_with_the_master_on_the_node_that_goes(course: Course) -> None:
    """The role moves first, servers leave HAProxy before they stop, and a majority of the Sentinels is there all the time."""
    last = course.name("redis-slave", 3)
    until(lambda: preferred(course), "the Sentinels know the priority", 30, 0.5)
    assert course.fail_over() == last
    number, before = course.count(), course.ids()
    everybody = {course.name("sentinel", n) for n in (1, 2, 3, 4, 5)}
    with course.load() as load, watched(course, everybody) as running:
        until(lambda: len(load.numbers) > 50, "the load runs")
        text = course.run("scale", "ping-app=2,redis-slave=1,sentinel=3")
        so_far = len(load.numbers)
        until(lambda: len(load.numbers) > so_far + 50, "the load goes on")
    print(f"down: {len(load.hits)} requests, longest silence {load.gap():.2f} s")
    load.must_be_whole()
    assert load.numbers[-1] > number
    assert min(running) >= 3, "fewer Sentinels than a majority of five"
    gone = {name for name in before if name not in course.ids()}
    assert gone == {course.name(*one) for one in (("ping-app", 3), ("ping-app", 4), ("ping-app", 5))} | {
        course.name(*one) for one in (("redis-slave", 2), ("redis-slave", 3), ("sentinel", 4), ("sentinel", 5))
    }
    assert course.master() == course.name("redis-master")
    assert "counts: {ping-app: 2, redis-slave: 1}" in text, "sentinel=3 is what the settings say"
    must_be(course, 2, 1, 3)


def test_the_next_deploy_undoes_it(course: Course) -> None:
    number = course.hit()
    text = course.run("deploy-all", "--yes")
    assert "ping-app 2 → 3: undoes `scale`" in text and "sentinel" not in text.split("undoes")[0]
    course.must_be_at("step08-netdata")
    must_be(course, 3, 2, 3)
    assert course.json("status")["scaled"] == {} and course.hit() == number + 1
    assert "undoes" not in course.must_stand_still("deploy-all")


def test_where_servers_are_not_registered_but_written_down(course: Course) -> None:
    """step06-haproxy has its servers in HAProxy's own configuration: it is made anew, and clients wait a moment."""
    course.run("step06-haproxy", "--yes", "--quick")
    before: dict[str, Any] = course.ids()
    with course.load() as load:
        until(lambda: len(load.numbers) > 50, "the load runs")
        course.run("scale", "ping-app=4")
        middle = course.changed(before)
        course.run("scale", "ping-app=2")
        so_far = len(load.numbers)
        until(lambda: len(load.numbers) > so_far + 50, "the load goes on")
    print(f"static: {len(load.hits)} requests, longest silence {load.gap():.2f} s")
    load.must_be_whole()
    assert middle == {course.name("ping-app", 4), course.name("haproxy")}
    assert numbers(course) == {"ping-app": 2, "redis-slave": 2, "sentinel": 3}
    assert course.json("status")["scaled"] == {"ping-app": 2}
    course.must_be_green()


def test_a_teardown_forgets_it(course: Course) -> None:
    assert "sl-scale-scaled" in course.volumes()
    course.run("teardown", "--yes")
    assert "sl-scale-scaled" not in course.volumes() and "sl-scale-redis-master-1" in course.volumes()
    assert "nothing of sl-scale stands" in course.fails("scale", "ping-app=4")
