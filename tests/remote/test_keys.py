"""Host keys and ways in, with real sshds: known, new and changed keys, aliases, gateways, users, and several hosts at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from .course import RemoteCourse
from .hosts import RemoteHost
from .ssh_home import make_key

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def known(web1: RemoteHost, inner: RemoteHost) -> Iterator[RemoteHost]:
    """web1 as a person knows it; what a test has made of its keys and names is put back."""
    yield web1
    for host in (web1, inner):
        host.settle()


def status(host: RemoteHost, *words: str, target: str = "", options: tuple[str, ...] = (), code: int = 0) -> str:
    """What `fab status` says on the host, output and errors, with this exit code."""
    done = RemoteCourse(host, target, options).invoke("status", *words)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout + done.stderr


def fingerprints(host: RemoteHost) -> list[str]:
    """Of the host's keys, as its owner sees them."""
    return [line.split()[1] for line in host.exec("sh", "-c", "for k in /etc/ssh/ssh_host_*_key.pub; do ssh-keygen -lf $k; done").splitlines()]


def test_a_known_host_is_let_be(known: RemoteHost) -> None:
    before = known.home.known_hosts.read_text()
    assert "key" not in status(known)
    assert known.home.known_hosts.read_text() == before


def test_a_new_key_is_shown_refused_and_accepted_by_the_flag(known: RemoteHost) -> None:
    keys = known.host_keys()
    known.home.known_as(known.alias, [])
    said = status(known, code=1)
    assert "web1 (" in said and "is not known here" in said and "--accept-new-host-key" in said
    assert any(fingerprint in said for fingerprint in fingerprints(known))
    assert not any(key in known.home.known_hosts.read_text() for key in keys)
    said = status(known, "--accept-new-host-key")
    assert "was new and is now in" in said
    # Under the host's name, or under a hash of it where this machine's ssh_config says so.
    assert any(key in known.home.known_hosts.read_text() for key in keys)
    assert "was new" not in status(known)


def test_a_changed_key_is_refused_also_with_the_flag(known: RemoteHost) -> None:
    known.new_host_keys()
    before = known.home.known_hosts.read_text()
    for words in ((), ("--accept-new-host-key",)):
        said = status(known, *words, code=1)
        assert "has changed" in said and f"{known.home.known_hosts}:" in said and "ssh-keygen -R" in said
        assert any(fingerprint in said for fingerprint in fingerprints(known))
    assert known.home.known_hosts.read_text() == before


def test_a_key_of_another_type_than_the_one_known_is_asked_for_no_more(known: RemoteHost) -> None:
    """Only the ECDSA key is known, and the host has an Ed25519 key that would be taken first."""
    known.home.known_as(known.alias, [key for key in known.host_keys() if key.startswith("ecdsa")])
    status(known)


def test_an_alias_stands_for_the_host(known: RemoteHost) -> None:
    keys = known.host_keys()
    known.home.add("shop", known.address, keys, HostKeyAlias="the-shop")
    known.home.known_as(known.alias, [])
    try:
        assert "is not known here" in status(known, target="shop", code=1)
        with known.home.known_hosts.open("a") as file:
            file.write(f"the-shop {keys[0]}\n")
        status(known, target="shop")
    finally:
        known.home.forget("shop")


def test_a_gateways_key_obeys_the_same_rules(known: RemoteHost, inner: RemoteHost) -> None:
    before = known.home.known_hosts.read_text()
    status(inner)
    known.home.known_as(known.alias, [])
    said = status(inner, code=1)
    assert "at the gateway to inner" in said and "web1 (" in said and "is not known here" in said
    known.home.known_as(known.alias, known.host_keys())
    assert known.home.known_hosts.read_text() == before
    known.home.known_as(inner.alias, [])
    said = status(inner, code=1)
    assert "inner is not known here" in said and "ssh web1 ssh-keyscan inner" in said
    known.home.known_as(known.alias, [])
    assert status(inner, "--accept-new-host-key").count("was new and is now in") == 2
    status(inner)


def test_a_gateway_whose_key_has_changed(known: RemoteHost, inner: RemoteHost) -> None:
    known.new_host_keys()
    said = status(inner, "--accept-new-host-key", code=1)
    assert "at the gateway to inner" in said and "the key of web1" in said and "has changed" in said


def test_another_port(known: RemoteHost) -> None:
    """A key that is known of the host counts there too, as for `ssh`; where none is, the setting accepts one as the flag does."""
    with known.sshd("Port 22", "Port 2222"):
        status(known, target="deployer@web1:2222")
        known.home.known_as(known.alias, [])
        assert "is not known here" in status(known, target="deployer@web1:2222", code=1)
        assert "was new and is now in" in status(known, "--set", "ssh.accept_new_host_key=true", target="deployer@web1:2222")
        status(known, target="deployer@web1:2222")


def test_wrong_users_keys_and_places(known: RemoteHost, inner: RemoteHost, tmp_path: Path) -> None:
    said = status(known, target="nobody-there@web1", code=1)
    assert "doesn't let nobody-there in" in said and "id_ed25519" in said and "publickey" in said
    assert "refuses connections to port 2222" in status(known, target="web1:2222", code=1)
    assert "no address is known by this name" in status(known, target="web1.invalid", code=1)
    other, _line = make_key(tmp_path / "other")
    known.home.add("stranger", known.address, known.host_keys(), IdentityFile=str(other))
    said = status(known, target="stranger", code=1)
    known.home.forget("stranger")
    assert "doesn't let root in" in said and str(other) in said
    assert "can't be read: No such file" in status(known, options=("-i", "/no/such/key"), target="nobody-there@web1", code=1)
    with known.sshd("AllowTcpForwarding no"):
        said = status(inner, code=1)
        assert "the gateway web1" in said and "AllowTcpForwarding" in said
    slow = RemoteCourse(known, options=("-t", "2"))
    with known.frozen():
        assert "does not answer within 2 s" in slow.invoke("status").stderr


def test_several_hosts_each_with_its_result(known: RemoteHost, inner: RemoteHost, bare: RemoteHost) -> None:
    known.home.known_as(inner.alias, [])
    course = RemoteCourse(known, f"web1,inner,nobody-there@web1,bare,{known.alias}")
    done = course.invoke("status", "--json")
    given = json.loads(done.stdout)
    assert done.returncode == 1 and list(given) == ["web1", "inner", "nobody-there@web1", "bare"]
    assert "error" not in given["web1"] and "is not known here" in given["inner"]["error"]
    assert "doesn't let nobody-there in" in given["nobody-there@web1"]["error"]
    assert "no Docker engine is installed" in given["bare"]["error"]
    rows = {line.split()[0]: line.split()[2].rstrip(":") for line in done.stderr.partition("\nHosts\n")[2].splitlines()[1:]}
    assert rows == {"web1": "done", "inner": "failed", "nobody-there@web1": "failed", "bare": "failed"}
    done = course.invoke("status", "--accept-new-host-key")
    assert "inner             | " in done.stdout and "Traceback" not in done.stderr
