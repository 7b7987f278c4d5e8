"""The ways to a host's engine, in their order, and what is said when none leads there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from silverlining.host.engine import Engine, Unreachable
from silverlining.host.ssh.engine import connect
from silverlining.host.ssh.link import Link
from silverlining.model.errors import EngineError

from .raw_engine import RawEngine, raw_engine
from .ssh_server import Program, SshServer, served
from .test_engine import settings

pytestmark = pytest.mark.timeout(60)
SOCKET = "/var/run/docker.sock"
LOOK = "command -v"


def found(
    *flags: str, user: str = "deployer", docker: str = "/usr/bin/docker", dockerd: str = "/usr/sbin/dockerd", sudo: str = "/usr/bin/sudo"
) -> Program:
    """What a host says of itself."""
    words = [f"user={user}", f"docker={docker}", f"dockerd={dockerd}", f"sudo={sudo}", *(f"{flag}=1" for flag in flags), "end=1"]
    return Program("".join(f"{word}\n" for word in words).encode())


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[RawEngine]:
    with raw_engine(tmp_path) as made:
        yield made


def reach(host: SshServer, password: str | None = None, docker_host: str = "", asked: str | None = None) -> Engine:
    """The engine of a host, by a connection of its own."""
    overrides = {"overrides": {"sudo": {"password": asked}}} if asked else {}
    with served(host), host.connection(**overrides) as connection:
        return connect(connection, settings(docker_host), password)


def refused(host: SshServer, password: str | None = None) -> Unreachable:
    """Why there is none."""
    with pytest.raises(Unreachable) as caught:
        reach(host, password)
    assert caught.value.hint
    return caught.value


def test_the_socket_is_forwarded(engine: RawEngine) -> None:
    host = SshServer({SOCKET: engine.path})
    got = reach(host)
    assert (got.version, got.api_version, got.local, got.sudo) == ("20.10.24", "1.41", False, False)
    assert "forwarded" in got.way and got.way in got.origin and "127.0.0.1" in got.origin
    assert got.endpoint == f"unix://{SOCKET}" and got.environment["DOCKER_HOST"] == f"unix://{SOCKET}" and got.environment["DOCKER_CONTEXT"] == ""
    assert got.link and dict(got.link.opened) == {"unix": 1} and not host.commands and got.streams > 100


@pytest.mark.parametrize(("named", "path"), (("unix:///srv/docker.sock", "/srv/docker.sock"), ("tcp://10.0.0.1:2375", SOCKET)))
def test_a_socket_that_the_settings_name(engine: RawEngine, named: str, path: str) -> None:
    """Another machine's TCP address is not the host's."""
    assert reach(SshServer({path: engine.path}), docker_host=named).endpoint == f"unix://{path}"


def test_where_sshd_does_not_forward(engine: RawEngine) -> None:
    host = SshServer(programs={LOOK: found("socket", "may", "running"), "dial-stdio": Program(socket=engine.path)})
    got = reach(host)
    assert got.way == "docker system dial-stdio" and not got.sudo and got.streams < 10
    assert host.commands[1:] == [f"/usr/bin/docker -H unix://{SOCKET} system dial-stdio"], "the first one is used on"


def test_a_user_who_may_use_sudo(engine: RawEngine) -> None:
    host = SshServer(programs={LOOK: found("socket", "running"), "sudo -k -n": Program(socket=engine.path)})
    got = reach(host)
    assert got.way == "docker system dial-stdio under sudo" and got.sudo


@pytest.mark.parametrize(("given", "asked"), (("open sesame", None), (None, "open sesame")))
def test_a_user_who_may_use_sudo_with_a_password(engine: RawEngine, given: str | None, asked: str | None) -> None:
    """Ours or Fabric's; it stands in no command line."""
    denied = Program(err=b"sudo: a password is required\n", code=1)
    dial = Program(socket=engine.path, password="open sesame")
    host = SshServer(programs={LOOK: found("socket", "running"), "sudo -k -n": denied, "sudo -k -S": dial})
    got = reach(host, given, asked=asked)
    assert got.sudo and not any("sesame" in command for command in host.commands)


def test_sudo_wants_a_password() -> None:
    host = SshServer(programs={LOOK: found("socket", "running"), "sudo -k -n": Program(err=b"sudo: a password is required\n", code=1)})
    error = refused(host)
    assert error.cause == "denied" and not error.default
    assert "deployer may not use it" in error.what and "a password is required" in error.what
    assert "--prompt-for-sudo-password" in error.hint and "usermod -aG docker deployer" in error.hint


def test_the_wrong_password() -> None:
    sudo = Program(password="another", err=b"")
    host = SshServer(programs={LOOK: found("socket", "running"), "sudo -k -n": Program(err=b"sudo: a password is required\n", code=1), "-S": sudo})
    error = refused(host, "open sesame")
    assert error.cause == "denied" and "refuses the password" in error.what and "sesame" not in str(error)


def test_no_sudo() -> None:
    error = refused(SshServer(programs={LOOK: found("socket", "running", sudo="")}))
    assert error.cause == "denied" and "there is no sudo" in error.what


@pytest.mark.parametrize(
    ("look", "cause", "words"),
    (
        (found(docker="", dockerd=""), "missing", "no Docker engine is installed there"),
        (found(), "stopped", "installed but not running"),
        (found("socket", "may", docker=""), "stopped", "nothing listens"),
    ),
)
def test_what_step00_mends(look: Program, cause: str, words: str) -> None:
    error = refused(SshServer(programs={LOOK: look}))
    assert error.cause == cause and error.default and words in error.what and "fab -H 127.0.0.1 step00-install" in error.hint


DIAL = b"failed to open the raw stream connection: dial unix /var/run/docker.sock: connect: "


@pytest.mark.parametrize(
    ("flags", "words", "cause"),
    (
        (("socket", "may"), DIAL + b"connection refused\n", "stopped"),
        (("socket",), DIAL + b"connection refused\n", "stopped"),
        (("socket", "may"), b"docker: 'system' is not a docker command.\n", "denied"),
    ),
)
def test_what_dial_stdio_says(flags: tuple[str, ...], words: bytes, cause: str) -> None:
    host = SshServer(programs={LOOK: found(*flags), "dial-stdio": Program(err=words, code=1)})
    error = refused(host)
    assert error.cause == cause and error.default == (cause == "stopped")


def test_neither_forwarding_nor_a_docker_command() -> None:
    error = refused(SshServer(programs={LOOK: found("socket", "may", "running", docker="")}))
    assert error.cause == "denied" and "AllowStreamLocalForwarding yes" in error.hint


@pytest.mark.parametrize(
    "host", (SshServer(programs={LOOK: Program(err=b"This account is currently not available.\n", code=1)}), SshServer(sessions=0))
)
def test_a_host_that_runs_no_commands(host: SshServer) -> None:
    error = refused(host)
    assert error.cause == "unknown" and "runs no commands" in error.what and "ssh 127.0.0.1" in error.hint


def test_an_engine_that_is_too_old(engine: RawEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `examine` refuses here it refuses there."""
    monkeypatch.setattr("tests.unit.raw_engine.VERSION", {"Version": "18.09", "ApiVersion": "1.39", "Os": "linux"})
    with pytest.raises(EngineError, match=r"18\.09"):
        reach(SshServer({SOCKET: engine.path}))


def test_an_engine_that_does_not_answer(engine: RawEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("silverlining.host.ssh.engine.PATIENCE", 0.3)
    monkeypatch.setattr("tests.unit.raw_engine.VERSION", engine)
    monkeypatch.setattr("json.dumps", lambda answer: engine.go.wait(5) and "")
    assert refused(SshServer({SOCKET: engine.path})).cause == "silent"


def test_asking_again_over_the_same_connection(engine: RawEngine) -> None:
    """As after step00 has installed one."""
    host = SshServer(programs={LOOK: found(docker="", dockerd="")})
    with served(host), host.connection() as connection:
        link = Link(connection)
        with pytest.raises(Unreachable):
            connect(link, settings())
        host.forwards[SOCKET] = engine.path
        assert connect(link, settings()).link is link
        link.close()
