"""The shell of a host over SSH, and the files that its commands need, on a server that runs what it is told here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from silverlining.host.host import Host
from silverlining.host.ssh.host import SshHost
from silverlining.model.errors import SilverliningError
from silverlining.ops.desk import read_settings

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
