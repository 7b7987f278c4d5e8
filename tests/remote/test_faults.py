"""What goes wrong on the way to a host, or on it, in the middle of a task: a clear error within its time, and the next run goes on.

Host keys and logins are in test_keys.py, the lock in test_lock.py, the connection by itself in test_link.py.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.course import Run, until

from .course import RemoteCourse
from .hosts import RemoteHost
from .site import Site
from .test_deploy import files

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
SILENCE = 30  # seconds within which a dead connection must be found
HIT = "import urllib.request as request; print(request.urlopen('http://localhost:8000/').read().decode())"
OLD = """
use Socket; unlink "/run/old.sock"; socket(S, PF_UNIX, SOCK_STREAM, 0); bind(S, sockaddr_un("/run/old.sock")); listen(S, 50);
$SIG{CHLD} = "IGNORE";
while (accept(C, S)) {
    next if fork;
    while (1) {
        my $head = ""; while ($head !~ /\\r\\n\\r\\n$/) { sysread(C, my $byte, 1) or exit; $head .= $byte; }
        my $body = '{"Version":"19.03.15","ApiVersion":"1.40","MinAPIVersion":"1.12","Os":"linux","Arch":"amd64"}';
        $body = "OK" if $head =~ m{/_ping}; my $size = $head =~ /^HEAD/ ? 0 : length $body;
        syswrite(C, "HTTP/1.1 200 OK\\r\\nApi-Version: 1.40\\r\\nServer: Docker/19.03.15 (linux)\\r\\nContent-Length: $size\\r\\n\\r\\n");
        syswrite(C, $body) if $size;
    }
}
"""


@pytest.fixture
def course(shop1: RemoteCourse) -> Iterator[RemoteCourse]:
    """A host with all images and no stack."""
    if shop1.mine() or shop1.networks():
        shop1.clean()
    yield shop1
    shop1.clean()


def must_go_on(course: RemoteCourse, step: str = "step02-django") -> None:
    """The next run goes on from what stands; no lock is in its way."""
    course.run(step, "--yes", "--quick")
    course.must_stand(step)


# ---- the way to it


def test_a_connection_that_is_killed_on_the_host(course: RemoteCourse, tmp_path: Path) -> None:
    """sshd's process for it is killed while containers are being made: nothing that was counted is lost."""
    course.run("step03-redis", "--yes", "--quick")
    # This step's port is the host's own.
    number = int([course.ask(course.name("django"), "python3", "-c", HIT) for _hit in range(5)][-1])
    run = Run(course, tmp_path / "log", "deploy-all", "--yes")
    run.says("✓ run ")
    assert course.host.drop_sessions()
    text = run.fails(SILENCE)
    assert "connection to shop1 is lost" in text and "run the same command again" in text, text
    course.run("deploy-all", "--yes")
    course.must_stand("step08-netdata")
    assert course.hit() == number + 1


def test_a_host_that_falls_silent(course: RemoteCourse, tmp_path: Path) -> None:
    """Packets vanish, nothing is closed: found in time, and the lock does not outlive its holder for long."""
    run = Run(course, tmp_path / "log", "step02-django", "--yes", "--quick")
    run.says("\nChanges")
    with course.host.cut_off():
        began = time.monotonic()
        text = run.fails(SILENCE + 5)
        assert time.monotonic() - began < SILENCE, text
    assert "connection to shop1 is lost" in text, text
    until(lambda: not course.client.containers(filters={"name": f"{course.stack}-lock"}), "the lock is free", 60)
    must_go_on(course)


def test_a_silent_host_behind_a_gateway(inner: RemoteHost, tmp_path: Path) -> None:
    """There is no TCP connection of ours to it, and it is found in the same time."""
    course = RemoteCourse(inner)
    run = Run(course, tmp_path / "log", "deploy-all", "--yes")
    run.says("✓ engine")
    with inner.cut_off():
        began = time.monotonic()
        text = run.fails(SILENCE + 5)
        assert time.monotonic() - began < SILENCE, text
    assert "connection to inner is lost" in text, text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_ended_here(course: RemoteCourse, tmp_path: Path, number: signal.Signals) -> None:
    """By Ctrl-C or by force, while Compose works there on a file of its: that keeps no lock, no process and no file of it."""
    host = course.host

    def at_work() -> str:
        return host.exec("pgrep", "--list-full", "--full", "compose .*up", check=False)

    run = Run(course, tmp_path / "log", "step09-compose", "--yes", "--quick")
    until(lambda: (files(host) and at_work()) or run.process.poll() is not None, "Compose with a file of the task on the host", 200)
    assert run.process.poll() is None
    run.process.send_signal(number)
    if number == signal.SIGKILL:
        run.process.wait(10)
    else:
        assert "interrupted" in run.fails(SILENCE)
    until(lambda: not host.sessions(), "the end of its connection", 30)
    until(lambda: not at_work(), "the end of Compose", 15)
    until(lambda: not files(host), "the end of its files", 10)
    until(lambda: not course.client.containers(filters={"name": f"{course.stack}-lock"}), "the lock is free", 60)
    must_go_on(course)


def test_a_frozen_host(course: RemoteCourse) -> None:
    """Its kernel takes the connection, and nobody says a word: given up in time."""
    with course.host.frozen():
        began = time.monotonic()
        text = course.fails("status")
    # Two deadlines of the same length: either may come first.
    assert "does not answer within" in text or "too busy" in text, text
    assert time.monotonic() - began < SILENCE


# ---- the host itself


def test_an_engine_that_is_too_old(course: RemoteCourse) -> None:
    """Named with its version, and what is needed."""
    host = course.host
    host.write("/run/old.pl", OLD)
    host.exec("sh", "-c", "setsid perl /run/old.pl >/dev/null 2>&1 </dev/null & while [ ! -S /run/old.sock ]; do sleep 0.05; done")
    text = course.fails("deploy-all", "--yes", SILVERLINING_DOCKER_HOST="unix:///run/old.sock")
    host.exec("sh", "-c", "kill $(pgrep -f '^perl /run/old.pl'); rm /run/old.*")
    assert "19.03" in text or "1.40" in text, text
    assert "20.10" in text, text


def test_a_full_disk(site: Site) -> None:
    """The images don't fit: told so; with more room the next run goes on."""
    host = site.start("tight", "trixie", size="90m")
    try:
        host.await_engine()
        course = RemoteCourse(host)
        text = course.fails("step01-nginx", "--yes", "--quick")
        assert "no space left on the docker host" in text and "docker system df" in text, text
        host.exec("mount", "-o", "remount,size=1g", "/var/lib/docker")
        must_go_on(course, "step01-nginx")
    finally:
        host.stop()


@pytest.mark.parametrize("days", [-400, 400])
def test_a_clock_that_is_wrong(course: RemoteCourse, tmp_path: Path, days: int) -> None:
    """This machine's clock is more than a year away from the host's: everything works, and the host's own clock stands in its trail."""
    (tmp_path / "sitecustomize.py").write_text(f"import time\nreal = time.time\ntime.time = lambda: real() + {days * 86400}\n")
    wrong = {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)}
    course.run("step02-django", "--yes", "--quick", **wrong)
    assert "nothing to do" in course.run("step02-django", **wrong)
    course.must_be_green()
    last = course.json("audit")["operations"][-1]
    assert last["outcome"] == "done" and time.strftime("%Y-%m-%d") in str(last), last
