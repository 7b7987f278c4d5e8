"""Every check is seen to fail on something that was broken on purpose, with what it expected, saw and advises; and checks change nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from silverlining.ops.checks import CHECKS

from .course import Course

Break = Callable[[Course], Callable[[], object]]


def pause(service: str, index: int = 1) -> Break:
    """A container hangs."""

    def harm(course: Course) -> Callable[[], object]:
        course.client.pause(course.name(service, index))
        return lambda: course.client.unpause(course.name(service, index))

    return harm


def tell(service: str, wrong: tuple[str, ...], right: tuple[str, ...]) -> Break:
    """Something is told to a service, and taken back."""

    def harm(course: Course) -> Callable[[], object]:
        fill = {"subnet": course.subnet.removesuffix(".0/24")}
        course.ask(course.name(service), *(word.format(**fill) for word in wrong))
        return lambda: course.ask(course.name(service), *(word.format(**fill) for word in right))

    return harm


def stop_netdata(course: Course) -> Callable[[], object]:
    """A container isn't there."""
    course.client.stop(course.name("netdata"))
    return lambda: course.client.start(course.name("netdata"))


def second_master(course: Course) -> Callable[[], object]:
    """A replica is a master of its own, and the Sentinels have no say."""
    sentinels = [course.name("sentinel", index) for index in (1, 2, 3)]
    master = course.master()
    replica = next(name for name in sorted(course.ids()) if "-redis-" in name and name != master)
    address = course.client.inspect_container(master)["NetworkSettings"]["Networks"][course.stack]["IPAddress"]
    for sentinel in sentinels:
        course.client.pause(sentinel)
    course.ask(replica, "redis-ask", "replicaof", "no", "one")

    def mend() -> None:
        course.ask(replica, "redis-ask", "replicaof", address, "6379")
        for sentinel in sentinels:
            course.client.unpause(sentinel)

    return mend


def ghost(course: Course) -> Callable[[], object]:
    """One Sentinel knows of a replica that isn't there."""
    sentinel = course.name("sentinel", 2)
    course.ask(sentinel, "redis-ask", "-p", "26379", "sentinel", "remove", "master")
    return lambda: course.client.restart(sentinel)


APP_2 = ("haproxyctl", "set", "server", "webserver/app2", "state")
BREAKS: dict[str, tuple[str, Break]] = {
    "lvs": ("step06-lvs", pause("ping-app", 2)),
    "containers": ("step08-netdata", stop_netdata),
    "serves": ("step08-netdata", pause("haproxy")),
    "redis": ("step08-netdata", second_master),
    "sentinels": ("step08-netdata", ghost),
    "apps": ("step08-netdata", pause("ping-app", 2)),
    "haproxy": ("step08-netdata", tell("haproxy", (*APP_2, "maint"), (*APP_2, "ready"))),
    "registry": (
        "step08-netdata",
        tell("etcd", ("etcdctl", "put", "/app/servers/app2", "{subnet}.250:8000"), ("etcdctl", "put", "/app/servers/app2", "{subnet}.32:8000")),
    ),
    "netdata": ("step08-netdata", pause("netdata")),
}


@contextmanager
def broken(course: Course, harm: Break) -> Iterator[None]:
    """Broken inside the block, well after it."""
    undo = harm(course)
    try:
        yield
    finally:
        undo()


def test_every_check_has_its_break() -> None:
    """None is left out."""
    assert set(BREAKS) | {"engine"} == set(CHECKS)


@pytest.mark.parametrize("name", BREAKS)
def test_the_check_fails_on_its_break(course: Course, name: str) -> None:
    """The check fails and says why, in JSON and for people; nothing is changed by asking; without the break it is green."""
    step, harm = BREAKS[name]
    if course.json("status")["step"] != step:
        course.run("deploy-all" if step == "step08-netdata" else step, "--yes")
        course.must_be_green()
    with broken(course, harm):
        before, count = course.snapshot(), course.count()
        result = course.checks("--step", step, SILVERLINING_DEADLINE="2")[name]
        assert not result["ok"], result
        assert result["expected"] and result["seen"] and result["hint"], result
        assert result["seen"] != result["expected"]
        told = course.fails("check", SILVERLINING_DEADLINE="2")
        assert all(word in told for word in (f"✗ {name}", "expected:", "seen:", "try:")), told
        assert (course.snapshot(), course.count()) == (before, count)
    course.must_be_green()


def test_the_engine_check(course: Course) -> None:
    """An engine that doesn't answer is a check that fails, in JSON as well."""
    done = course.invoke("check", "--json", SILVERLINING_DOCKER_HOST="unix:///nowhere/docker.sock")
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    (result,) = json.loads(done.stdout)["checks"]
    assert (result["name"], result["ok"]) == ("engine", False)
    assert result["expected"] and "/nowhere/docker.sock" in result["seen"] and result["hint"]
