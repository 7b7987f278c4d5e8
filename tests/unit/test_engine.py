"""Which engine is meant, and what is said when it can't be used: against small servers that answer on real sockets."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
import yaml

from silverlining.host import engine
from silverlining.host.endpoint import Endpoint, find
from silverlining.host.engine import Unreachable, connect
from silverlining.model.errors import EngineError
from silverlining.model.settings import Settings, load

from .fake_engine import tcp, unix

EXAMPLE = yaml.safe_load((Path(__file__).parents[2] / "docs" / "silverlining.example.yaml").read_text())
DOCKER = {
    "Platform": {"Name": "Docker Engine - Community"},
    "Components": [{"Name": "Engine", "Version": "20.10.24"}, {"Name": "containerd", "Version": "1.6.20"}],
    "Version": "20.10.24",
    "ApiVersion": "1.41",
    "MinAPIVersion": "1.12",
    "Os": "linux",
}


def settings(docker_host: str = "") -> Settings:
    """The settings with this docker_host."""
    return load(EXAMPLE, flags={"docker_host": docker_host})


def refused(address: str, environ: dict[str, str] | None = None) -> EngineError:
    """The error that connecting to this address ends in."""
    with pytest.raises(EngineError) as caught:
        connect(settings(address), environ or {}, Path("/nonexistent"))
    assert caught.value.hint
    return caught.value


def cause(address: str, environ: dict[str, str] | None = None) -> str:
    """The cause that it is told by."""
    error = refused(address, environ)
    assert isinstance(error, Unreachable), error
    return error.cause


def write_context(config: Path, name: str, described: object) -> Path:
    """A docker context as `docker context create` writes it; gives the folder of its certificates."""
    identity = hashlib.sha256(name.encode()).hexdigest()
    meta = config / "contexts" / "meta" / identity
    meta.mkdir(parents=True)
    (meta / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": {"docker": described}}))
    return config / "contexts" / "tls" / identity / "docker"


def test_the_order(tmp_path: Path) -> None:
    """Setting, DOCKER_HOST, DOCKER_CONTEXT, docker's current context, default socket."""
    config = tmp_path / ".docker"
    write_context(config, "current", {"Host": "unix:///c.sock"})
    write_context(config, "named", {"Host": "unix:///n.sock"})
    (config / "config.json").write_text('{"currentContext": "current"}')
    everything = {"DOCKER_HOST": "tcp://h:2375", "DOCKER_CONTEXT": "named"}

    def found(setting: str, environ: dict[str, str], home: Path = tmp_path) -> tuple[str, str]:
        endpoint = find(setting, environ, home)
        return endpoint.address, endpoint.origin

    assert found("unix:///s.sock", everything) == ("unix:///s.sock", "setting docker_host")
    assert found("", everything) == ("tcp://h:2375", "DOCKER_HOST")
    assert found("", {"DOCKER_CONTEXT": "named"}) == ("unix:///n.sock", "docker context named")
    assert found("", {}) == ("unix:///c.sock", "docker context current")
    assert found("", {"DOCKER_CONTEXT": "default"}) == ("unix:///var/run/docker.sock", "default socket")
    assert found("", {"DOCKER_HOST": "", "DOCKER_CONTEXT": ""}, tmp_path / "nobody") == ("unix:///var/run/docker.sock", "default socket")
    assert found("", {"DOCKER_CONFIG": str(config)}, tmp_path / "nobody") == ("unix:///c.sock", "docker context current")


def test_what_called_programs_are_told(tmp_path: Path) -> None:
    """They reach the same engine, whatever else the person's environment says."""
    plain = {"DOCKER_HOST": "unix:///s.sock", "DOCKER_CONTEXT": "", "DOCKER_TLS": "", "DOCKER_TLS_VERIFY": "", "DOCKER_CERT_PATH": ""}
    assert find("unix:///s.sock", {"DOCKER_TLS_VERIFY": "1", "DOCKER_CONTEXT": "x"}, tmp_path).environment == plain
    tls = find("", {"DOCKER_HOST": "tcp://h:2376", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/certs"}, tmp_path)
    assert tls.environment == {**plain, "DOCKER_HOST": "tcp://h:2376", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/certs"}
    assert tls.tls and tls.tls.verify and tls.tls.key == Path("/certs/key.pem")
    write_context(tmp_path / ".docker", "far", {"Host": "tcp://h:2376", "SkipTLSVerify": False}).mkdir(parents=True)
    far = find("", {"DOCKER_CONTEXT": "far"}, tmp_path)
    assert far.environment == {**plain, "DOCKER_HOST": "", "DOCKER_CONTEXT": "far"}
    assert far.tls and far.tls.verify and far.tls.ca.parts[-2:] == ("docker", "ca.pem")


def test_addresses_and_contexts_that_cannot_be_used(tmp_path: Path) -> None:
    """SSH is fab's; a context that is gone and a configuration that is no JSON are named."""
    assert refused("ssh://ann@web1").hint == "use `fab -H ann@web1 TASK`"
    assert "is no address" in refused("npipe:////./pipe/docker_engine").what
    assert "is no address" in refused("/var/run/docker.sock").what
    assert cause("tcp://h:nonsense") == "unknown"
    with pytest.raises(EngineError, match="context gone has no endpoint"):
        find("", {"DOCKER_CONTEXT": "gone"}, tmp_path)
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker" / "config.json").write_text("{")
    with pytest.raises(EngineError, match=r"config.json can't be read"):
        find("", {}, tmp_path)


def test_connected_by_one_call(tmp_path: Path) -> None:
    """The engine says all about itself in its first answer, and the client speaks its API version."""
    with unix(tmp_path, DOCKER) as server:
        found = connect(settings(), {"DOCKER_HOST": server.address}, tmp_path)
    assert server.asked == ["/version"]
    assert (found.endpoint, found.origin, found.version, found.os, found.local) == (server.address, "DOCKER_HOST", "20.10.24", "linux", True)
    assert found.api_version == found.client.api_version == "1.41"
    assert found.environment["DOCKER_HOST"] == server.address
    assert found.notes == ()


@pytest.mark.parametrize(
    ("theirs", "oldest", "spoken"), [("1.41", "1.12", "1.41"), ("1.45", "1.24", "1.45"), ("1.52", "1.44", "1.45"), ("1.60", "1.50", "1.50")]
)
def test_the_api_version_that_is_spoken(theirs: str, oldest: str, spoken: str) -> None:
    """The newest that both know; of a later engine no less than it takes."""
    with tcp(json.dumps({**DOCKER, "ApiVersion": theirs, "MinAPIVersion": oldest}).encode()) as server:
        found = connect(settings(server.address), {}, Path("/nonexistent"))
    assert (found.api_version, found.local, found.origin) == (spoken, False, "setting docker_host")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"Components": [{"Name": "Podman Engine", "Version": "5.4.2"}]}, "is Podman"),
        ({"Components": [{"Name": "Engine"}, {"Name": "rootlesskit"}]}, "is rootless Docker"),
        ({"Os": "windows"}, "runs windows containers"),
        ({"ApiVersion": "1.40", "Version": "19.03.5"}, r"Docker 19\.03\.5, which speaks API 1\.40; 1\.41 is needed"),
    ],
)
def test_engines_that_are_refused(tmp_path: Path, said: dict[str, Any], words: str) -> None:
    """Each with its reason and a way out."""
    with unix(tmp_path, {**DOCKER, **said}) as server, pytest.raises(EngineError, match=words) as caught:
        connect(settings(server.address), {}, tmp_path)
    assert caught.value.hint


def test_docker_desktop_is_taken_with_a_word(tmp_path: Path) -> None:
    """Its host is a virtual machine."""
    with unix(tmp_path, {**DOCKER, "Platform": {"Name": "Docker Desktop 4.41.0 (191279)"}}) as server:
        assert "virtual machine" in connect(settings(server.address), {}, tmp_path).notes[0]


def test_no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing installed, installed but not running, and a socket without a listener are three things."""
    monkeypatch.setattr(engine.shutil, "which", lambda *words, **options: None)
    error = refused(f"unix://{tmp_path}/no.sock")
    assert isinstance(error, Unreachable) and error.cause == "missing"
    assert "no Docker engine is installed" in error.what and "DOCKER_HOST" in error.hint and not error.default
    monkeypatch.setattr(engine.shutil, "which", lambda *words, **options: "/usr/sbin/dockerd")
    assert "installed but not running" in refused(f"unix://{tmp_path}/no.sock").what
    path = tmp_path / "left.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    error = refused(f"unix://{path}")
    assert isinstance(error, Unreachable) and error.cause == "stopped" and "DOCKER_HOST" in error.hint
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    error = refused(f"tcp://127.0.0.1:{port}")
    assert isinstance(error, Unreachable) and error.cause == "stopped" and "DOCKER_HOST" in error.hint


@pytest.mark.parametrize("path", ("/var/run/docker.sock", "/run/docker.sock"))
def test_step00_is_named_where_it_helps(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It starts an engine at the default socket and nowhere else."""
    monkeypatch.setattr(engine.shutil, "which", lambda *words, **options: None)
    error = engine._missing(Endpoint(f"unix://{path}", "default socket", {}), "it")
    assert isinstance(error, Unreachable) and error.default and "step00-install" in error.hint


def test_no_permission(tmp_path: Path) -> None:
    """The group is named, and that it is worth as much as root."""
    with unix(tmp_path, DOCKER) as server:
        os.chmod(tmp_path, 0o700)
        os.chmod(tmp_path / "docker.sock", 0)
        user = os.geteuid()
        try:
            os.seteuid(65534 if user == 0 else user)
            error = refused(server.address)
        finally:
            os.seteuid(user)
    assert isinstance(error, Unreachable) and error.cause == "denied"
    assert "usermod -aG docker" in error.hint and "as good as root" in error.hint


def test_tls_told_apart(tmp_path: Path) -> None:
    """Certificates that are missing, TLS to a plain engine, and plain words to a TLS engine."""
    verified = {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(tmp_path)}
    assert cause("tcp://127.0.0.1:1", verified) == "tls"
    (tmp_path / "ca.pem").touch()
    (tmp_path / "cert.pem").touch()
    error = refused("tcp://127.0.0.1:1", verified)
    assert isinstance(error, Unreachable) and error.cause == "tls" and str(tmp_path) in error.hint
    with tcp(b"{}") as server:
        assert cause(server.address, {"DOCKER_TLS": "1"}) == "tls"
    with tcp(b"Client sent an HTTP request to an HTTPS server.\n", 400) as server:
        assert cause(server.address) == "tls"


def test_what_is_no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another web server, a name that nobody knows, and a server that says nothing."""
    for body in (b"<html>", b"[]", b"{}"):
        with tcp(body) as server:
            assert cause(server.address) == "broken"
    assert cause("tcp://no-such-host.invalid:2375") == "unknown"
    monkeypatch.setattr(engine, "PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        assert cause(f"tcp://127.0.0.1:{mute.getsockname()[1]}") == "silent"
