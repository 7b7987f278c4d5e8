"""What goes wrong on the way to a host, or on it: a clear error within its time, and the next run converges."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.course import until

from .course import RemoteCourse
from .hosts import RemoteHost
from .relay import Relay
from .site import Site
from .ssh_home import make_key
from .test_deploy import files

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
SILENCE = 30  # seconds within which a dead connection must be found
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
    shop1.clean()
    yield shop1
    shop1.clean()


def must_converge(course: RemoteCourse) -> None:
    """The next run goes on from what stands; no lock is in its way."""
    course.run("deploy-all", "--yes")
    course.must_be_at("step08-netdata")
    course.must_be_green()


# ---- the connection ends in the middle


def test_a_connection_that_is_killed_on_the_host(course: RemoteCourse, tmp_path: Path) -> None:
    """sshd's process for it is killed while containers are being made."""
    run = course.start(tmp_path / "log", "deploy-all", "--yes")
    run.says("✓ create network")
    assert course.host.drop_sessions()
    text = run.fails(SILENCE)
    assert "connection to shop1 is lost" in text and "run the same command again" in text, text
    must_converge(course)


def test_a_host_that_falls_silent(course: RemoteCourse, tmp_path: Path) -> None:
    """Packets vanish, nothing is closed: found in time, and the lock does not outlive its holder for long."""
    run = course.start(tmp_path / "log", "deploy-all", "--yes")
    run.says("✓ create network")
    with course.host.cut_off():
        began = time.monotonic()
        text = run.fails(SILENCE + 5)
        assert time.monotonic() - began < SILENCE, text
    assert "connection to shop1 is lost" in text, text
    until(lambda: not course.client.containers(filters={"name": f"{course.stack}-lock"}), "the lock is free", 60)
    must_converge(course)


def test_a_silent_host_behind_a_gateway(inner: RemoteHost, tmp_path: Path) -> None:
    """There is no TCP connection of ours to it, and it is found in the same time."""
    course = RemoteCourse(inner)
    run = course.start(tmp_path / "log", "deploy-all", "--yes")
    run.says("✓ engine")
    with inner.cut_off():
        began = time.monotonic()
        text = run.fails(SILENCE + 5)
        assert time.monotonic() - began < SILENCE, text
    assert "connection to inner is lost" in text, text


def test_a_way_that_is_reset_and_one_that_is_blocked(course: RemoteCourse, tmp_path: Path) -> None:
    """Somebody between here and the host resets the connection, or keeps it and hands nothing on."""
    host = course.host
    for trouble in (Relay.cut, Relay.freeze):
        with Relay((host.address, 22)) as relay:
            host.home.add("far", relay.address, host.host_keys(), Port=str(relay.port))
            far = RemoteCourse(host, "far")
            run = far.start(tmp_path / "log", "deploy-all", "--yes")
            run.says("✓ engine")
            trouble(relay)
            assert "connection to far is lost" in run.fails(SILENCE)
    host.home.forget("far")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_ended_here(course: RemoteCourse, tmp_path: Path, number: signal.Signals) -> None:
    """By Ctrl-C, by a signal, by force: the host keeps no lock, no process and no file of it."""
    host = course.host
    course.run("step02-django", "--yes", "--quick")
    run = course.start(tmp_path / "log", "step09-compose", "--yes", "--quick")
    until(lambda: files(host) or run.process.poll() is not None, "a file of the task on the host")
    run.signal(number)
    if number == signal.SIGKILL:
        run.process.wait(10)
    else:
        assert "interrupted" in run.fails(SILENCE)
    until(lambda: not host.sessions(), "the end of its connection", 30)
    until(lambda: not files(host), "the end of its files", 10)
    until(lambda: not course.client.containers(filters={"name": f"{course.stack}-lock"}), "the lock is free", 60)
    must_converge(course)


# ---- no way in


def test_an_address_where_nobody_answers(course: RemoteCourse) -> None:
    """A frozen host: refused after the time that a connection may take."""
    with course.host.frozen():
        began = time.monotonic()
        text = course.fails("status")
    assert "does not answer within" in text and time.monotonic() - began < SILENCE, text


def test_a_port_where_nobody_listens(course: RemoteCourse) -> None:
    """No SSH server there."""
    text = RemoteCourse(course.host, f"{course.target}:2222").fails("status")
    assert "refuses connections to port 2222" in text, text


def test_a_wrong_key_and_a_wrong_user(course: RemoteCourse, tmp_path: Path) -> None:
    """What was tried is told, and what else to try."""
    key, _ = make_key(tmp_path / "other")
    host = course.host
    host.home.add("stranger", host.address, host.host_keys(), IdentityFile=str(key))
    for target in ("stranger", f"somebody@{course.target}"):
        text = RemoteCourse(host, target).fails("deploy-all")
        assert "in. Tried: " in text and "another user" in text, text
    host.home.forget("stranger")


def test_a_changed_host_key(course: RemoteCourse) -> None:
    """Refused, also where new keys are accepted; nothing was done."""
    keys, home = course.host.host_keys(), course.host.home
    other = [" ".join((key.split()[0], key.split()[1][:-12] + "AAAAAAAAAAAA")) for key in keys]
    home.known_as(course.target, other)
    try:
        for flags in ((), ("--accept-new-host-key",)):
            text = course.fails("deploy-all", "--yes", *flags)
            assert "has changed" in text and "ssh-keygen -R" in text, text
        home.known_as(course.target, [])
        assert "--accept-new-host-key" in course.fails("status")
        assert not course.mine()
        course.run("status", "--accept-new-host-key")
        assert course.host.address in home.known_hosts.read_text()
    finally:
        home.known_as(course.target, keys)


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


def test_a_full_disk(site: Site, tmp_path: Path) -> None:
    """The images don't fit: told so; with more room the next run goes on."""
    host = site.start("tight", "trixie", size="250m")
    host.await_engine()
    course = RemoteCourse(host)
    text = course.fails("deploy-all", "--yes")
    assert "no space left on the docker host" in text, text
    host.exec("mount", "-o", "remount,size=3g", "/var/lib/docker")
    must_converge(course)
    host.stop()


@pytest.mark.parametrize("days", [-400, 400])
def test_a_clock_that_is_wrong(course: RemoteCourse, tmp_path: Path, days: int) -> None:
    """This machine's clock is more than a year away from the host's: everything works, and the host's own clock stands in its trail."""
    (tmp_path / "sitecustomize.py").write_text(f"import time\nreal = time.time\ntime.time = lambda: real() + {days * 86400}\n")
    wrong = {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)}
    course.run("deploy-all", "--yes", **wrong)
    assert "nothing to do" in course.run("deploy-all", **wrong)
    course.must_be_green()
    assert time.strftime("%Y-%m-%d") in course.run("audit", **wrong)
