"""What stands is changed or broken while it is used: an edit replaces what uses it and loses no request, and deploy-all mends what it finds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from .course import Course, copy_checkout, until

# What is edited → (file, text, its replacement, the services that use it).
EDITS: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    "code": ("app/ping/apps.py", "from ", "# an edit\nfrom ", ("ping-app",)),
    "gunicorn": ("conf/gunicorn.conf.py.j2", "keepalive = 75", "keepalive = 76", ("ping-app",)),
    "redis": ("conf/redis.conf.j2", "appendonly yes", "appendonly yes\nslowlog-max-len 77", ("redis-master", "redis-slave")),
    "sentinel": ("conf/sentinel.conf.j2", "daemonize no", "daemonize no\n# an edit", ("sentinel",)),
    "haproxy": ("conf/haproxy.cfg.j2", "timeout queue 10s", "timeout queue 11s", ("haproxy",)),
}


# step06 has its servers in its own configuration: what is drained there by HAProxy's socket is drained by etcd's keys in step08.
CASES = [("step06-haproxy", "code"), ("step06-haproxy", "haproxy"), *(("step08-netdata", edit) for edit in EDITS)]


@pytest.fixture(scope="module")
def standing(course: Course, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A step that stands, from a checkout without edits."""
    course.checkout = copy_checkout(tmp_path_factory.mktemp("fresh"))
    step: str = request.param
    course.run("deploy-all" if step == "step08-netdata" else step, "--yes")
    return step


@contextmanager
def watched(course: Course, names: set[str]) -> Iterator[list[int]]:
    """Notes, while the block runs, how many of the containers are there and run; the list holds each number once it was seen."""
    seen: list[int] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.02):
            running = {entry["Names"][0].lstrip("/") for entry in course.mine() if entry["State"] == "running"}
            seen.append(len(names & running))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join(10)


@pytest.mark.parametrize(("standing", "edit"), CASES, indirect=["standing"])
def test_an_edit_loses_no_request(course: Course, standing: str, edit: str) -> None:
    """Under load, exactly the containers that use the file are replaced, one at a time; every request is answered, the numbers never fall."""
    path, old, new, services = EDITS[edit]
    before = course.ids()
    users = {name for name in before if name.removeprefix(f"{course.stack}-").rsplit("-", 1)[0] in services}
    course.edit(path, old, new)
    with course.load() as load, watched(course, users) as running:
        until(lambda: len(load.numbers) > 50, "the load runs")
        course.run("deploy-all" if standing == "step08-netdata" else standing, "--yes")
        so_far = len(load.numbers)
        until(lambda: len(load.numbers) > so_far + 50, "the load goes on")
    print(f"{edit}: {len(load.hits)} requests, longest silence {load.gap():.2f} s")
    assert course.changed(before) == users
    assert min(running) >= len(users) - 1, "more than one was away at a time"
    load.must_be_whole()
    course.must_be_at(standing)
    course.must_be_green()


def pause(course: Course) -> None:
    """An app hangs."""
    course.client.pause(course.name("ping-app", 2))


def detach(course: Course) -> None:
    """A replica is a master of its own. Sentinels would attach it again, but only after some seconds; here they have no say."""
    for sentinel in (1, 2, 3):
        course.client.pause(course.name("sentinel", sentinel))
    master = course.master()
    replica = next(name for name in sorted(course.ids()) if "-redis-" in name and name != master)
    course.ask(replica, "redis-ask", "replicaof", "no", "one")


def wipe_etcd(course: Course) -> None:
    """All keys are gone."""
    course.ask(course.name("etcd"), "etcdctl", "del", "", "--prefix")


def lose_etcd(course: Course) -> None:
    """etcd is gone with its data: the new one counts its revisions from 1 again."""
    course.client.remove_container(course.name("etcd"), force=True)
    course.client.remove_volume(course.name("etcd"))


def stop_confd(course: Course) -> None:
    """Nobody follows the keys any more."""
    course.ask(course.name("haproxy"), "supervisorctl", "-c", "/etc/supervisord.conf", "stop", "confd")


BREAKS: dict[str, tuple[Callable[[Course], None], str]] = {
    "paused-app": (pause, "containers"),
    "detached-replica": (detach, "redis"),
    "wiped-etcd": (wipe_etcd, "registry"),
    "lost-etcd": (lose_etcd, "registry"),
    "stopped-confd": (stop_confd, "registry"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_deploy_all_mends(course: Course, name: str) -> None:
    """Broken before by `check`, green after `deploy-all`; nobody who was well is made anew, the counter goes on, and hits are answered by all."""
    course.run("deploy-all", "--yes")
    number, before = course.hit(), course.ids()
    harm, check = BREAKS[name]
    harm(course)
    assert not course.checks(SILVERLINING_DEADLINE="2")[check]["ok"]
    course.run("deploy-all", "--yes")
    course.must_be_green()
    course.must_be_at("step08-netdata")
    assert course.changed(before) == ({course.name("etcd")} if name == "lost-etcd" else set())
    assert course.hit() == number + 1
    # A key that is put now takes traffic: whoever follows the keys does so again.
    course.ask(course.name("etcd"), "etcdctl", "put", "/app/servers/app9", f"{course.subnet.replace('.0/24', '.30')}:8000")
    until(lambda: "app9" in course.ask(course.name("haproxy"), "haproxyctl", "show", "servers", "state", "webserver"), "confd follows", 10)
    course.run("deploy-all", "--yes")
    until(lambda: "app9" not in course.ask(course.name("haproxy"), "haproxyctl", "show", "servers", "state", "webserver"), "the key is gone", 10)
