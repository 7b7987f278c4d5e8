"""known_hosts: which line speaks of which host, what the lines say of a key, and how one is added."""

from __future__ import annotations

from pathlib import Path

import pytest
from paramiko import HostKeys as TheirReader

from silverlining.host.ssh.known import KnownHosts, files, read
from silverlining.model.errors import HostKeyRefused

from .key_server import new_key

KEY, OTHER = new_key(), new_key()
RSA = new_key("rsa")


def line(names: str, key: object = KEY, marker: str = "") -> str:
    return f"{marker} {names} {key.get_name()} {key.get_base64()}".strip()  # type: ignore[attr-defined]


def known(folder: Path, *lines: str) -> KnownHosts:
    file = folder / "known_hosts"
    file.write_text("\n".join(lines) + "\n")
    return KnownHosts([file])


def verdict(hosts: KnownHosts, name: str, key: object = KEY) -> str:
    return hosts.judge(name, key.get_name(), key.asbytes()).kind  # type: ignore[attr-defined]


# Of twenty bytes, and the same each time: a test of random words would have another name on each of two workers.
SALT = "MDEyMzQ1Njc4OWFiY2RlZmdoaWo="


@pytest.mark.parametrize(
    ("names", "host", "speaks"),
    (
        ("web1", "web1", True),
        ("web1,10.0.0.1", "10.0.0.1", True),
        ("Web1.Example", "web1.example", True),
        ("web1", "WEB1", True),
        ("web1", "web11", False),
        ("web1", "[web1]:2222", False),
        ("[web1]:2222", "[web1]:2222", True),
        ("[web1]:2222", "w", False),  # no set of characters
        ("*.example", "web1.example", True),
        ("web?", "web1", True),
        ("web?", "web12", False),
        ("*,!web1", "web2", True),
        ("*,!web1", "web1", False),
        ("!web1,*", "web1", False),
        ("!web1", "web2", False),
        ("[*.example]:22?", "[a.example]:221", True),
        (TheirReader.hash_host("web1", SALT), "web1", True),
        (TheirReader.hash_host("[web1]:2222", SALT), "[web1]:2222", True),
        (TheirReader.hash_host("web1", SALT), "web2", False),
        ("|1|broken", "web1", False),
        ("|1|!!|??", "web1", False),
    ),
)
def test_which_host_a_line_speaks_of(tmp_path: Path, names: str, host: str, speaks: bool) -> None:
    assert bool(known(tmp_path, line(names)).of(host)) is speaks


def test_what_lines_say_of_a_key(tmp_path: Path) -> None:
    hosts = known(tmp_path, line("one"), line("two", OTHER), line("both"), line("both", OTHER), line("rsa", RSA), line("*", OTHER, "@revoked"))
    assert verdict(hosts, "one") == "known"
    assert verdict(hosts, "two") == "changed"
    assert verdict(hosts, "both") == "known"
    assert verdict(hosts, "nobody") == "new"
    # A known type is asked for first: a host that shows another one has lost the key that is known.
    assert verdict(hosts, "rsa") == "changed"
    assert verdict(hosts, "two", OTHER) == verdict(hosts, "nobody", OTHER) == "revoked"
    assert hosts.kinds("rsa") == ["ssh-rsa"] and hosts.kinds("both") == ["ssh-ed25519"]
    found = hosts.judge("two", KEY.get_name(), KEY.asbytes()).lines
    assert [one.place for one in found] == [f"{tmp_path / 'known_hosts'}:2"]


def test_a_certificate_authority_is_no_key_of_the_host(tmp_path: Path) -> None:
    hosts = known(tmp_path, line("*.example", KEY, "@cert-authority"))
    assert verdict(hosts, "web1.example") == "new" and not hosts.kinds("web1.example")
    assert len(hosts.authorities("web1.example")) == 1


def test_what_cannot_be_understood_is_passed_over(tmp_path: Path) -> None:
    broken = ("", "# web1 ssh-ed25519 AAAA", "web1", "web1 ssh-ed25519", "web1 ssh-ed25519 AAA!", "@revoked web1", "web1 ssh-ed25519 AAAAA x")
    hosts = known(tmp_path, *broken, line("web1") + " a comment", "\ufeff\x00")
    assert [one.number for one in hosts.of("web1")] == [len(broken) + 1]
    assert list(read(tmp_path / "none")) == [] and list(read(tmp_path / "known_hosts" / "below")) == []


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(HostKeyRefused, match="Is a directory"):
        KnownHosts([tmp_path]).of("web1")


def test_all_files_are_asked(tmp_path: Path) -> None:
    (tmp_path / "user").write_text(line("web1", OTHER))
    (tmp_path / "system").write_text(line("web1"))
    hosts = KnownHosts([tmp_path / "user", tmp_path / "none"], [tmp_path / "system"])
    assert verdict(hosts, "web1") == verdict(hosts, "web1", OTHER) == "known"


def test_a_key_is_added_once_and_to_a_new_line(tmp_path: Path) -> None:
    file = tmp_path / "new" / "known_hosts"
    hosts = KnownHosts([file, tmp_path / "second"])
    for _turn in range(2):
        assert hosts.add("[web1]:2222", KEY.get_name(), KEY.asbytes()) == file
    assert file.read_text() == line("[web1]:2222") + "\n"
    assert file.stat().st_mode & 0o777 == 0o600 and file.parent.stat().st_mode & 0o777 == 0o700
    file.write_text(line("web2", OTHER))  # no end of line
    hosts.add("web1", KEY.get_name(), KEY.asbytes())
    assert file.read_text() == f"{line('web2', OTHER)}\n{line('web1')}\n"


def test_a_key_is_added_under_a_hashed_name_that_ssh_understands(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    KnownHosts([file]).add("web1", KEY.get_name(), KEY.asbytes(), hashed=True)
    assert "web1" not in file.read_text() and TheirReader(str(file)).check("web1", KEY)
    assert verdict(KnownHosts([file]), "web1") == "known"


def test_a_key_that_cannot_be_kept_is_not_accepted(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for hosts in (KnownHosts([]), KnownHosts([tmp_path / "file" / "below"])):
        with pytest.raises(HostKeyRefused, match="can't be remembered") as caught:
            hosts.add("web1", KEY.get_name(), KEY.asbytes())
        assert caught.value.hint


def test_the_files_that_ssh_config_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    tokens = {"h": "10.0.0.1", "d": "/home/ann", "%": "%"}
    assert files('~/.ssh/known "/a b/%h" %d/x%%y /%q', tokens) == [Path(p) for p in ("/home/ann/.ssh/known", "/a b/10.0.0.1", "/home/ann/x%y", "/%q")]
    assert files("none", tokens) == [] and files("it's", tokens) == [Path("it's")]
