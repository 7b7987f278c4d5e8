"""ssh_config's Include: whose words hold, in which order, and what is no file to include."""

from __future__ import annotations

import shutil
import subprocess
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
    files.write(".ssh/config", "Host first", " Port 1", "Host *", "Include more/*.conf ~/other 'a b'", "Host *", " Port 9")
    files.write(".ssh/more/1.conf", "Host one first", " Port 11")
    files.write(".ssh/more/2.conf", "Host two one", " Port 12", "Host *", "Include below")
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


def test_the_block_of_an_include_holds_for_all_that_is_included(files: Files) -> None:
    """However deep, after a deeper Include, and for its own blocks: for another host none of them is ever matched."""
    files.write(".ssh/config", "Host foo bar !foobar", "Include a", "Port 5", "Match user nobody", "Include c", "Host *", "User last")
    files.write(".ssh/a", "Include b", "User x")
    files.write(
        ".ssh/b", "Host *", "ConnectTimeout 7", "Host bar other", "User y", "Match originalhost foo user no-one", "User z", "Match all", "Port 6"
    )
    files.write(".ssh/c", "Host *", "Port 9")

    def all_of(host: str) -> tuple[str, ...]:
        found = files.config().base_ssh_config.lookup(host)
        return tuple(found.get(word, "") for word in ("user", "port", "connecttimeout"))

    assert all_of("foo") == ("x", "6", "7") and all_of("bar") == ("y", "6", "7")
    assert all_of("other") == all_of("foobar") == ("last", "", "")


@pytest.mark.skipif(not shutil.which("ssh"), reason="ssh itself is asked")
def test_ssh_understands_it_the_same(files: Files) -> None:
    files.write(
        ".ssh/config", "Host a* !ab", f"Include {files.home}/1", "User one", "Match originalhost b", f"Include {files.home}/2", "Host *", "User end"
    )
    files.write("1", f"Include {files.home}/2", "Port 11", "Host aa", "ConnectTimeout 3", f"Include {files.home}/3", "ConnectTimeout 4")
    files.write("2", "Host *", "ConnectTimeout 5", "Host aa b", "User two")
    files.write("3", "Match all", "User three", "Host a*", "Port 12")
    config = files.config()
    for host in ("a", "aa", "ab", "b", "c"):
        command = ["ssh", "-G", "-F", str(files.home / ".ssh/config"), host]
        told = dict(line.split(" ", 1) for line in subprocess.check_output(command, text=True).splitlines() if " " in line)
        found = config.base_ssh_config.lookup(host)
        seen = (found["user"], found.get("port", "22"), found.get("connecttimeout", "none"))
        assert seen == (told["user"], told["port"], told["connecttimeout"]), host


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
