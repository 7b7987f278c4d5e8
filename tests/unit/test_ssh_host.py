"""The shell of a host over SSH, and the files that its commands need, on a server that runs what it is told here."""

from __future__ import annotations

import io
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from invoke import Context

from silverlining.host.host import PUBLIC, Host
from silverlining.host.ssh.host import SshHost
from silverlining.host.ssh.link import LinkLost
from silverlining.model.errors import SilverliningError, TimedOut
from silverlining.ops.settings import read_settings

from .ssh_server import Program, SshServer, served

pytestmark = pytest.mark.timeout(60)
ACCEPTING = read_settings({"ssh.accept_new_host_key": "true"}, environ={})


@pytest.fixture
def server() -> Iterator[SshServer]:
    with served(SshServer(programs={"": Program(real=True)})) as made:
        yield made


@pytest.fixture
def host(server: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SshHost]:
    """A host whose connection is open; its engine is a name only."""
    monkeypatch.setenv("HOME", str(tmp_path))
    made = reach(server)
    yield made
    made.close()


def reach(server: SshServer, **engine: Any) -> SshHost:
    made = SshHost(server.connection(), ACCEPTING)
    made.__dict__["engine"] = SimpleNamespace(**{"environment": {"DOCKER_HOST": "unix:///x"}, "sudo": False, **engine})
    return made


# ---- files


def test_a_host_gets_what_was_written_for_it(server: SshServer, host: SshHost, tmp_path: Path) -> None:
    """Whatever the run of another host has written into the same checkout meanwhile."""
    file, other = tmp_path / "compose.yaml", reach(server)
    host.write(file, "subnet: 10.1\n")
    other.write(file, "subnet: 10.2\n")
    assert file.read_text() == "subnet: 10.2\n"
    assert host.shell(f"cat {host.placed(file)}").stdout == "subnet: 10.1\n"
    assert other.shell(f"cat {other.placed(file)}").stdout == "subnet: 10.2\n"
    other.close()


def test_a_file_of_any_size_arrives_as_it_is(host: SshHost, tmp_path: Path) -> None:
    """Larger than a command's argument may be, and with a last line that has no end."""
    text = "'$HOME' \\n\n" * 20_000 + "SILVERLINING-END\nlast"
    host.write(tmp_path / "big", text)
    assert host.shell(f"cat {host.placed(tmp_path / 'big')}", timeout=20).stdout == text


def test_a_file_that_was_not_written_is_only_named(host: SshHost, tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("of another run")
    assert host.placed(tmp_path / "compose.yaml") == "compose.yaml" and "_place" not in host.__dict__


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host, file = Host(None, ACCEPTING), tmp_path / "compose.yaml"
    host.write(file, "one\n")
    before = file.stat().st_ino
    host.write(file, "one\n")
    assert file.stat().st_ino == before, "what is right is left alone"
    with file.open() as reader:
        host.write(file, "two\n")
        assert reader.read() == "one\n", "who reads meanwhile gets the whole old one"
    assert file.read_text() == "two\n" and list(tmp_path.iterdir()) == [file]

    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(SilverliningError, match="No space left") as caught:
        host.write(file, "three\n")
    assert caught.value.hint and file.read_text() == "two\n"


# ---- the shell


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def alive(pid: str) -> bool:
    """Whether a process runs; one that has ended and is not awaited yet doesn't."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def begun(host: SshHost, place: Path, timeout: float = 60, unbroken: bool = False) -> tuple[threading.Thread, str, list[BaseException]]:
    """A command that is under way in a thread; the process that it has started, and where its error comes."""
    errors: list[BaseException] = []

    def work() -> None:
        try:
            host.shell(f"sleep 300 & echo $! > {place}/made; mv {place}/made {place}/pid; wait", timeout=timeout, unbroken=unbroken)
        except SilverliningError as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    until((place / "pid").exists)
    return thread, (place / "pid").read_text().strip(), errors


def test_what_a_command_says(host: SshHost) -> None:
    result = host.shell('echo "$DOCKER_HOST|$(cat)"; echo no >&2; exit 3')
    assert (result.stdout, result.stderr, result.exited, result.ok) == ("unix:///x|\n", "no", 3, False)
    assert host.shell("true").ok


@pytest.mark.parametrize("sudo", (False, True))
def test_a_shell_of_a_container_goes_to_the_engine_that_was_found(sudo: bool) -> None:
    said: list[str] = []
    context = SimpleNamespace(run=lambda line, **_options: said.append(line) or SimpleNamespace(exited=3))
    engine = SimpleNamespace(environment={"DOCKER_HOST": "unix:///x", "DOCKER_CONTEXT": ""}, sudo=sudo)
    host = SimpleNamespace(engine=engine, context=context, link=SimpleNamespace(check=lambda: None))
    assert SshHost.interact(host, ["docker", "exec", "-it", "s-app-1", "sh"]) == 3  # type: ignore[arg-type]
    assert said == ["sudo " * sudo + "env DOCKER_HOST=unix:///x DOCKER_CONTEXT= docker exec -it s-app-1 sh"]


@pytest.mark.parametrize(
    ("address", "direct", "through"),
    ((PUBLIC, True, ""), (PUBLIC, False, "127.0.0.1"), ("127.0.0.1", True, "127.0.0.1"), ("10.0.0.9", True, "10.0.0.9")),
)
def test_a_public_port_is_asked_at_the_hosts_address_and_any_other_through_the_connection(address: str, direct: bool, through: str) -> None:
    asked: list[tuple[str, int]] = []
    link = SimpleNamespace(tcp=lambda where, port: asked.append((where, port)) or SimpleNamespace(settimeout=lambda seconds: None))
    connection = HTTPConnection("web1", 8404)
    SshHost._reach(SimpleNamespace(direct=direct, link=link), connection, address)  # type: ignore[arg-type]
    assert asked == ([(through, 8404)] if through else [])
    assert (connection.sock is not None) == bool(through)


def test_a_lost_connection_is_no_exit_code(server: SshServer, host: SshHost, tmp_path: Path) -> None:
    """Nor does a later command log in again; and what ran goes, since another run may work there now."""
    thread, pid, errors = begun(host, tmp_path)
    server.drop()
    thread.join(10)
    assert [type(error) for error in errors] == [LinkLost]
    until(lambda: not alive(pid))
    for runs in (host.shell, host.outside.run, lambda line: host.interact([line])):
        with pytest.raises(LinkLost):
            runs("true")
    assert len(server.transports) == 1 and not host.context.is_connected


def test_a_command_that_takes_too_long_is_ended(host: SshHost, tmp_path: Path) -> None:
    thread, pid, errors = begun(host, tmp_path, timeout=0.5)
    thread.join(10)
    assert [type(error) for error in errors] == [TimedOut]
    assert "sleep 300" in str(errors[0]) and "within 0.5 s" in str(errors[0]) and "by hand" in str(errors[0])
    until(lambda: not alive(pid))
    assert host.shell("true").ok


def test_output_that_never_ends_is_no_reason_to_wait_longer(host: SshHost) -> None:
    with pytest.raises(TimedOut):
        host.shell("while :; do echo more; done", timeout=0.5)


def test_what_must_not_stop_in_its_midst_goes_on(server: SshServer, host: SshHost, tmp_path: Path) -> None:
    thread, pid, errors = begun(host, tmp_path, unbroken=True)
    server.drop()
    thread.join(10)
    assert errors and not time.sleep(0.3) and alive(pid)
    os.kill(int(pid), signal.SIGKILL)


@pytest.mark.parametrize("password", (None, "open sesame"))
def test_under_sudo_the_command_goes_too(
    server: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: SshHost, password: str | None
) -> None:
    """The password is sudo's alone: it stands in no command line, and the command doesn't see it."""
    sudo = tmp_path / "bin" / "sudo"
    sudo.parent.mkdir()
    sudo.write_text(f'#!/bin/sh\ncase "$*" in *-S*) read -r word; echo "$word" >{tmp_path}/word; shift 4 ;; *) shift ;; esac\nexec "$@"\n')
    sudo.chmod(0o755)
    monkeypatch.setenv("PATH", f"{sudo.parent}:{os.environ['PATH']}")
    host.context.config.sudo.password = password
    host.__dict__["engine"].sudo = True
    assert host.shell("cat; env | grep -c '=open'").stdout == "0\n"
    assert (tmp_path / "word").exists() == bool(password) and not any("open sesame" in line for line in server.commands)
    thread, pid, _errors = begun(host, tmp_path)
    server.drop()
    thread.join(10)
    until(lambda: not alive(pid))


def test_the_shell_without_an_engine(host: SshHost) -> None:
    """As Invoke's: with an input, and with the limit of the command line."""
    done = host.outside.run("cat; echo no >&2; exit 2", hide=True, warn=True, dry=False, pty=False, in_stream=io.StringIO("words"))
    assert (done.stdout, done.stderr, done.exited) == ("words", "no", 2)
    assert host.outside.run("cat", in_stream=False).stdout == ""
    host.context.config.timeouts.command = 0.2
    with pytest.raises(TimedOut):
        host.outside.run("sleep 20")


def test_here_a_command_that_takes_too_long_is_the_same_error() -> None:
    host = Host(Context(), ACCEPTING)
    host.__dict__["engine"] = SimpleNamespace(environment={})
    with pytest.raises(TimedOut, match=r"`sleep 20` did not end within 0\.2 s"):
        host.shell("sleep 20", timeout=0.2)
