"""ssh_config's Include: whose words hold, in which order, and what is no file to include."""

from __future__ import annotations

from pathlib import Path

import pytest
from fabric import Config, Connection

from silverlining.host.ssh.config import read_includes
from silverlining.model.errors import SilverliningError


class Files:
    """A home directory with ssh_config, and what it includes."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def write(self, name: str, *lines: str) -> None:
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")

    def config(self, **more: str) -> Config:
        """As fab makes it, includes read."""
        places = {"user_ssh_path": "~/.ssh/config", "system_ssh_path": str(self.home / "etc")} | more
        config = Config(lazy=True, **places)
        config.load_ssh_config()
        read_includes(config)
        return config

    def port(self, host: str, **more: str) -> int:
        return int(Connection(host, config=self.config(**more)).port)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    monkeypatch.setenv("HOME", str(tmp_path))
    return Files(tmp_path)


def test_files_are_included_where_the_line_stands(files: Files) -> None:
    files.write(".ssh/config", "Host first", " Port 1", "Include more/*.conf ~/other 'a b'", "Host *", " Port 9")
    files.write(".ssh/more/1.conf", "Host one first", " Port 11")
    files.write(".ssh/more/2.conf", "Host two one", " Port 12", "Include below")
    files.write(".ssh/below", "Host three", " Port 13")
    files.write("other", "Host four", "Port=14")
    files.write(".ssh/a b", "Host five", " Port 15")
    assert [files.port(host) for host in ("first", "one", "two", "three", "four", "five", "six")] == [1, 11, 12, 13, 14, 15, 9]


def test_an_include_in_a_block_belongs_to_it_and_the_block_goes_on(files: Files) -> None:
    files.write(".ssh/config", "User ann", "Host web1", "  Include plain", "  User bob", "Host *", "  Port 9")
    files.write(".ssh/plain", "Port 22022", "Host elsewhere", "Port 1")
    files.write("etc", "include nothing-there", "Host web2", "User eve")
    connection = Connection("web1", config=files.config())
    assert (connection.port, connection.user) == (22022, "ann")
    assert (files.port("web2"), Connection("web2", config=files.config()).user) == (9, "ann")


def test_words_after_an_include_hold_for_all_hosts(files: Files) -> None:
    files.write(".ssh/config", "Include more", "Port 77")
    files.write(".ssh/more", "Host one", "User bob")
    assert files.port("one") == files.port("two") == 77


def test_without_includes_and_without_files_nothing_changes(files: Files) -> None:
    assert files.port("one") == 22
    files.write("etc", "Host one", "Port 5")
    assert files.port("one") == 5


def test_a_file_of_the_command_line_stands_alone(files: Files) -> None:
    files.write("mine", "Include more")
    files.write(".ssh/more", "Host one", "Port 4")
    files.write("etc", "Host *", "Port 5")
    config = Config(lazy=True, system_ssh_path=str(files.home / "etc"))
    config.set_runtime_ssh_path(str(files.home / "mine"))
    config.load_ssh_config()
    read_includes(config)
    assert [Connection(host, config=config).port for host in ("one", "two")] == [4, 22]


@pytest.mark.parametrize(
    ("lines", "why"),
    (
        (("Include config",), "include each other"),
        (("Include 'x",), "No closing quotation"),
        (("Include folder",), "directory"),
        (("Include bad",), "Unparsable"),
    ),
)
def test_what_cannot_be_included_is_an_error(files: Files, lines: tuple[str, ...], why: str) -> None:
    files.write(".ssh/config", *lines)
    files.write(".ssh/folder/x")
    files.write(".ssh/bad", "Host")
    with pytest.raises(SilverliningError, match=why) as caught:
        files.config()
    assert "-S" in caught.value.hint
