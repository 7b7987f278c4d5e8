"""What stands is changed or broken while it is used: an edit replaces what uses it and loses no request, and deploy-all mends what it finds."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from .course import LABEL, Course, copy_checkout, until

WORKERS = "SILVERLINING_APP_WORKER_CLASS"
# What is edited → (file, text, its replacement, the services that use it).
EDITS: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    "code": ("app/ping/apps.py", "from ", "# an edit\nfrom ", ("ping-app",)),
    "redis": ("conf/redis.conf.j2", "appendonly yes", "appendonly yes\nslowlog-max-len 77", ("redis-master", "redis-slave")),
    "sentinel": ("conf/sentinel.conf.j2", "daemonize no", "daemonize no\n# an edit", ("sentinel",)),
    "haproxy": ("conf/haproxy.cfg.j2", "timeout queue 10s", "timeout queue 11s", ("haproxy",)),
}
# These are only planned: what an edit replaces stands in the plan, and how it is replaced is seen by those above.
PLANNED: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    "gunicorn": ("conf/gunicorn.conf.py.j2", "keepalive = 75", "keepalive = 76", ("ping-app",)),
    "supervisord": ("conf/supervisord.conf.j2", "startsecs=1", "startsecs=2", ("ping-app",)),
    "haproxy.tmpl": ("conf/haproxy.tmpl.j2", "    server {{base", "    # an edit\n    server {{base", ("haproxy",)),
    "confd.toml": ("conf/confd.toml.j2", '"0644"', '"0640"', ("haproxy",)),
    "haproxy-supervisord": ("conf/haproxy-supervisord.conf.j2", "stopwaitsecs = 5", "stopwaitsecs = 6", ("haproxy",)),
    "netdata": ("conf/netdata.conf.j2", "access = none", "access = off", ("netdata",)),
}


# step06 has its servers in its own configuration: what is drained there by HAProxy's socket is drained by etcd's keys in step08.
# Its apps are gunicorn's own workers, which serve and stop otherwise than meinheld's.
CASES = [("step06-haproxy", "code"), ("step06-haproxy", "haproxy"), *(("step08-netdata", edit) for edit in EDITS)]


class Ground:
    """What stands under the edits. It is brought up from a checkout without edits for another step, and after a test that failed."""

    def __init__(self, course: Course, fresh: Callable[[], Path]) -> None:
        self.course, self.fresh, self.step = course, fresh, ""

    @contextmanager
    def at(self, step: str) -> Iterator[None]:
        """Inside the block the step stands, from a checkout that may be edited, with the settings that it stands with."""
        self.course.settings |= {WORKERS: "gthread" if step == "step06-haproxy" else "meinheld"}
        try:
            if self.step != step:
                self.course.checkout = copy_checkout(self.fresh())
                self.course.run("deploy-all" if step == "step08-netdata" else step, "--yes")
            self.step = ""
            yield
            self.step = step
        finally:
            del self.course.settings[WORKERS]


@pytest.fixture(scope="module")
def ground(course: Course, tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return Ground(course, lambda: tmp_path_factory.mktemp("fresh"))


@contextmanager
def command_lines() -> Iterator[set[bytes]]:
    """Notes, while the block runs, the command line of every process that there is: those in containers are processes of this machine."""
    seen: set[bytes] = set()
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            for entry in Path("/proc").glob("[0-9]*/cmdline"):
                with suppress(OSError):
                    seen.add(entry.read_bytes())
            over.wait(0.02)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


@contextmanager
def watched(course: Course, names: set[str]) -> Iterator[list[int]]:
    """Notes, while the block runs, how many of the containers run: as the engine tells when one has ended or started."""
    seen = [len(names)]
    wanted = {"type": "container", "event": ["die", "start"], "label": f"{LABEL}={course.stack}"}
    told = course.client.events(decode=True, filters=wanted)

    def follow() -> None:
        for event in told:
            if event["Actor"]["Attributes"]["name"] in names:
                seen.append(seen[-1] + (1 if event["Action"] == "start" else -1))

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        told.close()
        thread.join(10)


@pytest.mark.parametrize(("step", "edit"), CASES)
def test_an_edit_loses_no_request(course: Course, ground: Ground, step: str, edit: str) -> None:
    """Under load, exactly the containers that use the file are replaced, one at a time; every request is answered, the numbers never fall."""
    path, old, new, services = EDITS[edit]
    with ground.at(step):
        before, users = course.ids(), containers_of(course, services)
        builds = {entry["Image"] for entry in course.mine() if entry["Names"][0][1:] in users}
        course.edit(path, old, new)
        with course.load() as load, watched(course, users) as running:
            until(lambda: len(load.numbers) > 50, "the load runs")
            course.run("deploy-all" if step == "step08-netdata" else step, "--yes")
            so_far = len(load.numbers)
            until(lambda: len(load.numbers) > so_far + 50, "the load goes on")
        print(f"{edit}: {len(load.hits)} requests, longest silence {load.gap():.2f} s")
        assert course.changed(before) == users
        assert min(running) == len(users) - 1, "one was away at a time, and never more"
        assert running[-1] == len(users)
        load.must_be_whole()
        course.must_stand(step)
        started = course.client.logs(course.name("ping-app")).decode()
        assert ("ThreadWorker" in started) == (step == "step06-haproxy")
        used = {entry["Image"] for entry in course.client.containers(all=True)}
        assert not (builds - used) & {tag for entry in course.client.images() for tag in entry["RepoTags"] or []}, "superseded builds stay"


@pytest.mark.parametrize("edit", PLANNED)
def test_an_edit_is_planned_for_what_uses_it(course: Course, ground: Ground, edit: str) -> None:
    """The plan has exactly the containers that use the file."""
    path, old, new, services = PLANNED[edit]
    with ground.at("step08-netdata"):
        course.edit(path, old, new)
        text = course.run("deploy-all", "--dry")
        course.edit(path, new, old)
        assert set(re.findall(r"docker run --detach --name (\S+)", text)) == containers_of(course, services)
        assert set(re.findall(r"docker rm (\S+)", text)) == containers_of(course, services)


def containers_of(course: Course, services: tuple[str, ...]) -> set[str]:
    """The names of these services' containers."""
    return {name for name in course.ids() if name.removeprefix(f"{course.stack}-").rsplit("-", 1)[0] in services}


def pause(course: Course) -> None:
    """An app hangs."""
    course.client.pause(course.name("ping-app", 2))


def cut_off(course: Course) -> None:
    """An app container is on no network any more, and runs."""
    course.client.disconnect_container_from_network(course.name("ping-app"), course.stack)


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
    supervisorctl(course, "stop", "balancer:confd")


def supervisorctl(course: Course, *words: str) -> str:
    """What the one that runs HAProxy and confd says."""
    return course.ask(course.name("haproxy"), "supervisorctl", "-c", "/etc/supervisord.conf", *words)


def withhold(course: Course) -> None:
    """HAProxy gives one server no requests any more: as a run leaves it that ends between draining and readmitting."""
    course.ask(course.name("haproxy"), "haproxyctl", "set", "server", "webserver/app2", "state", "drain")


def make_forget(course: Course) -> None:
    """A Sentinel watches no master any more."""
    course.ask(course.name("sentinel"), "redis-ask", "-p", "26379", "sentinel", "remove", "master")


BREAKS: dict[str, tuple[Callable[[Course], None], str]] = {
    "paused-app": (pause, "containers"),
    "cut-off-app": (cut_off, "containers"),
    "detached-replica": (detach, "redis"),
    "wiped-etcd": (wipe_etcd, "registry"),
    "lost-etcd": (lose_etcd, "registry"),
    "stopped-confd": (stop_confd, "registry"),
    "withheld-server": (withhold, "haproxy"),
    "forgetful-sentinel": (make_forget, "sentinels"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_deploy_all_mends(course: Course, name: str) -> None:
    """Seen by `check`, green after `deploy-all`; nobody who was well is made anew, the counter goes on, and hits are answered by all.

    Without etcd's keys hits are answered meanwhile, too.
    """
    course.run("deploy-all", "--yes")
    number, before = course.hit(), course.ids()
    harm, check = BREAKS[name]
    harm(course)
    assert not course.checks(SILVERLINING_DEADLINE="2")[check]["ok"]
    if check == "registry":
        assert course.hit() == number + 1
        number += 1
    course.run("deploy-all", "--yes")
    course.must_stand("step08-netdata")
    anew = {"lost-etcd": "etcd", "cut-off-app": "ping-app", "forgetful-sentinel": "sentinel"}.get(name)
    assert course.changed(before) == ({course.name(anew)} if anew else set())
    assert course.hit() == number + 1
    with a_key_more(course):
        course.run("deploy-all", "--yes")


@contextmanager
def a_key_more(course: Course) -> Iterator[None]:
    """A key that is put now takes traffic: whoever follows the keys does so again. It must go in the block."""

    def there() -> bool:
        return "app9" in course.ask(course.name("haproxy"), "haproxyctl", "show", "servers", "state", "webserver")

    course.ask(course.name("etcd"), "etcdctl", "put", "/app/servers/app9", f"{course.subnet.replace('.0/24', '.30')}:8000")
    until(there, "confd follows", 10)
    yield
    until(lambda: not there(), "the key is gone", 10)


def test_a_confd_that_is_killed_comes_back(course: Course) -> None:
    """Its supervisor starts it again: nothing needs to be mended, and nothing else is started anew."""
    course.run("deploy-all", "--yes")
    before, old = course.snapshot(), supervisorctl(course, "pid", "balancer:confd")
    course.ask(course.name("haproxy"), "sh", "-c", f"kill -9 {old}")
    until(lambda: supervisorctl(course, "pid", "balancer:confd") not in (old, "0"), "another confd", 10)
    course.must_be_green()
    with a_key_more(course):
        course.ask(course.name("etcd"), "etcdctl", "del", "/app/servers/app9")
    assert course.snapshot() == before


@contextmanager
def slow_client(port: int) -> Iterator[list[str]]:
    """A client whose requests take longer than a reload: half of one is sent, and the rest a second later. Gives the status lines that it got."""
    answers: list[str] = []
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            with socket.create_connection(("127.0.0.1", port), timeout=30) as connection, connection.makefile("rb") as reader:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
                over.wait(1)
                connection.sendall(b"Connection: close\r\n\r\n")
                answers.append(reader.readline().decode().strip())

    threads = [threading.Thread(target=work, daemon=True) for _number in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        over.set()
        for thread in threads:
            thread.join(35)


def test_a_reload_loses_no_connection(course: Course, ground: Ground) -> None:
    """Keys come and go under quick clients and under slow ones that are in the midst of a request: each is answered."""
    with ground.at("step08-netdata"):
        before = course.snapshot()
        with course.load(beat=0.005) as load, slow_client(course.ports["web"]) as answers:
            for _round in range(10):
                with a_key_more(course):
                    course.ask(course.name("etcd"), "etcdctl", "del", "/app/servers/app9")
        print(f"20 reloads, {len(load.hits)} quick requests, {len(answers)} slow ones, longest silence {load.gap():.2f} s")
        load.must_be_whole()
        assert len(load.hits) > 500 and len(answers) > 20 and set(answers) == {"HTTP/1.1 200 OK"}
        assert course.snapshot() == before


def test_a_list_that_haproxy_would_not_take_changes_nothing(course: Course, ground: Ground) -> None:
    """Its own check refuses the new file before that replaces the good one; the next good key is followed again."""
    file, wrong = "/usr/local/etc/haproxy/haproxy.cfg", "nowhere:port"

    def refused() -> bool:
        return wrong.encode() in course.client.logs(course.name("haproxy"), tail=40)

    with ground.at("step08-netdata"):
        before = course.ask(course.name("haproxy"), "cat", file)
        course.ask(course.name("etcd"), "etcdctl", "put", "/app/servers/app9", wrong)
        until(refused, "the check's words in confd's log", 20)
        assert course.ask(course.name("haproxy"), "cat", file) == before
        number = course.hit()
        assert course.hit() == number + 1
        with a_key_more(course):
            course.ask(course.name("etcd"), "etcdctl", "del", "/app/servers/app9")
        course.must_be_green()


def test_credentials_are_made_once_and_travel_in_no_command_line(course: Course, ground: Ground) -> None:
    """A replica that starts anew takes the password from the volume, and nothing that can be read from outside tells it."""

    def secrets() -> list[bytes]:
        names = ("redis-password", "django-secret-key")
        return [course.ask(course.name("redis-master"), "cat", f"/secrets/{name}").strip().encode() for name in names]

    with ground.at("step08-netdata"):
        made = secrets()
        assert len(set(made)) == 2 and all(len(secret) >= 32 for secret in made)
        course.client.remove_container(course.name("redis-slave"), force=True)
        with command_lines() as seen:
            said = course.run("deploy-all") + course.run("check") + course.run("status", "--json")
        assert any(b"redis-server" in line for line in seen) and any(b"redis-cli" in line for line in seen)
        facts = repr([course.client.inspect_container(name) for name in course.ids()]).encode() + said.encode()
        for secret in made:
            assert not [line for line in seen if secret in line]
            assert secret not in facts
        assert secrets() == made


def test_what_stands_is_closed(course: Course, ground: Ground) -> None:
    """Beyond loopback only the web port; nobody is root, has a capability or the engine's socket; of the host netdata alone reads something."""
    with ground.at("step08-netdata"):
        facts = {name: course.client.inspect_container(name) for name in course.ids()}
        bindings = [(name, one) for name, fact in facts.items() for some in (fact["NetworkSettings"]["Ports"] or {}).values() for one in some or ()]
        beyond = {(name, one["HostPort"]) for name, one in bindings if one["HostIp"] != "127.0.0.1"}
        assert beyond == {(course.name("haproxy"), str(course.ports["web"]))}
        binds = {(name, m["Source"], m["RW"]) for name, fact in facts.items() for m in fact["Mounts"] if m["Type"] == "bind"}
        assert binds == {(course.name("netdata"), "/proc", False), (course.name("netdata"), "/sys", False)}
        for name, fact in facts.items():
            limits = fact["HostConfig"]
            assert fact["Config"]["User"].partition(":")[0] not in ("", "0", "root"), name
            assert (limits["CapDrop"], limits["CapAdd"] or [], limits["Privileged"]) == (["ALL"], [], False), name
            assert "no-new-privileges" in limits["SecurityOpt"] and limits["Memory"] and limits["NanoCpus"], name


def test_confd_watches_etcd(course: Course, ground: Ground) -> None:
    """It has one request open at etcd, and doesn't ask again and again."""
    with ground.at("step08-netdata"):
        confd = supervisorctl(course, "pid", "balancer:confd")
        words = course.ask(course.name("haproxy"), "cat", f"/proc/{confd}/cmdline").split("\0")
        assert "--watch" in words and not any(word.startswith(("--interval", "-interval")) for word in words)


def test_a_link_leads_to_what_has_been_recreated(course: Course, ground: Ground) -> None:
    """The app linked to Redis as `db` keeps its container, finds the new one by that name, and the number goes on."""

    def identities() -> list[str]:
        return [course.client.inspect_container(course.name(service))["Id"] for service in ("django", "redis-master")]

    with ground.at("step03-redis"):
        number, (app, redis) = course.hit(), identities()
        course.client.remove_container(course.name("redis-master"), force=True)
        course.run("step03-redis", "--yes", "--quick")
        now = identities()
        assert now[0] == app and now[1] != redis and course.hit() == number + 1
