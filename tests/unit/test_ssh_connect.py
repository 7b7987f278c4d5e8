"""Opening a connection, against SSH servers inside the test: host keys, gateways, users, and what each failure tells a person."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fabric import Config, Connection
from paramiko import PKey

from silverlining.host.ssh.connect import CONNECT_TIMEOUT, open_connection, prepare, way
from silverlining.host.ssh.host import SshHost
from silverlining.model.errors import AccessRefused, HostKeyRefused, HostUnreachable, SilverliningError
from silverlining.ops.settings import read_settings

from .key_server import PASSWORD, USER, Server, new_key, write_key

STRICT = read_settings({}, environ={})
ACCEPTING = read_settings({"ssh.accept_new_host_key": "true"}, environ={})
HOST_KEY, NEW_KEY, RSA_KEY = new_key(), new_key(), new_key("rsa")

RELAY = """
import os, socket, sys, threading
far = socket.create_connection((sys.argv[1], int(sys.argv[2])))
def up():
    while data := os.read(0, 65536):
        far.sendall(data)
threading.Thread(target=up, daemon=True).start()
while data := far.recv(65536):
    os.write(1, data)
"""


class Home:
    """A home directory with a key, and the servers that it may use."""

    def __init__(self, folder: Path) -> None:
        self.ssh = folder / ".ssh"
        self.ssh.mkdir(mode=0o700)
        self.key = write_key(self.ssh / "id_ed25519")
        self.known_hosts = self.ssh / "known_hosts"
        self.servers: list[Server] = []
        self.words: list[str] = []

    def serve(self, *keys: PKey, known: PKey | None = None, **more: Any) -> Server:
        """A server that shows `keys`, and is known by `known`."""
        server = Server(keys or (HOST_KEY,), **{"users": [self.key], **more})
        self.servers.append(server)
        if known:
            self.know(f"[127.0.0.1]:{server.port}", known)
        return server

    def know(self, name: str, key: PKey, marker: str = "") -> None:
        """A line of known_hosts."""
        with self.known_hosts.open("a") as file:
            file.write(f"{marker} {name} {key.get_name()} {key.get_base64()}\n".lstrip())

    def host(self, alias: str, server: Server, *more: str) -> None:
        """A host of ssh_config."""
        self.words += [f"Host {alias}", "HostName 127.0.0.1", f"Port {server.port}", f"User {USER}", *more]

    def connection(self, name: str, **more: Any) -> Connection:
        """Fabric's connection, as `fab -H name` makes it."""
        (self.ssh / "config").write_text("\n".join(self.words) + "\n")
        overrides = more.pop("overrides", {})
        config = Config(overrides=overrides, lazy=True, user_ssh_path=str(self.ssh / "config"), system_ssh_path="/none")
        config.load_ssh_config()
        return Connection(name, config=config, **more)

    def to(self, server: Server, **more: Any) -> Connection:
        """A connection without a word of ssh_config."""
        return self.connection(f"{USER}@127.0.0.1:{server.port}", **more)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    made = Home(tmp_path)
    yield made
    for server in made.servers:
        server.close()


def refused(kind: type[SilverliningError], connection: Connection, *words: str, settings: Any = STRICT) -> SilverliningError:
    """The error of opening; it has all the words, a hint, and leaves nothing open."""
    with pytest.raises(kind) as caught:
        open_connection(connection, settings)
    assert type(caught.value) is kind and caught.value.hint
    for word in words:
        assert word in str(caught.value)
    assert not any(one.is_connected for one in way(connection))
    return caught.value


# ---- host keys


def test_a_known_host_is_opened_and_nobody_is_told_anything(home: Home) -> None:
    connection = home.to(home.serve(known=HOST_KEY))
    assert open_connection(connection, STRICT) == [] and connection.is_connected
    assert open_connection(connection, STRICT) == []
    connection.close()


def test_an_unknown_key_is_refused_before_a_user_is_named(home: Home) -> None:
    server = home.serve()
    said = refused(HostKeyRefused, home.to(server), "ED25519", HOST_KEY.fingerprint, f"127.0.0.1:{server.port}")
    assert "--accept-new-host-key" in said.hint and f"ssh-keyscan -p {server.port} 127.0.0.1 | ssh-keygen -lf -" in said.hint
    assert not server.tried and not home.known_hosts.exists()


def test_a_new_key_is_kept_where_that_was_said(home: Home) -> None:
    server = home.serve()
    (note,) = open_connection(home.to(server), ACCEPTING)
    assert HOST_KEY.fingerprint in note and str(home.known_hosts) in note
    assert home.known_hosts.read_text() == f"[127.0.0.1]:{server.port} {HOST_KEY.get_name()} {HOST_KEY.get_base64()}\n"
    assert open_connection(home.to(server), STRICT) == []


@pytest.mark.parametrize("settings", (STRICT, ACCEPTING))
def test_a_changed_key_is_refused_whatever_is_set(home: Home, settings: Any) -> None:
    server = home.serve(NEW_KEY, known=HOST_KEY)
    said = refused(HostKeyRefused, home.to(server), "has changed", NEW_KEY.fingerprint, f"{home.known_hosts}:1", settings=settings)
    assert f"ssh-keygen -R '[127.0.0.1]:{server.port}'`" in said.hint
    assert not server.tried and NEW_KEY.get_base64() not in home.known_hosts.read_text()


def test_a_known_type_that_is_not_shown_any_more_is_a_change(home: Home) -> None:
    refused(HostKeyRefused, home.to(home.serve(NEW_KEY, known=RSA_KEY)), "has changed", "only ssh-rsa is known", settings=ACCEPTING)


def test_the_known_type_is_asked_for_first(home: Home) -> None:
    open_connection(home.to(home.serve(NEW_KEY, RSA_KEY, known=RSA_KEY)), STRICT)


def test_a_revoked_key_is_refused_although_it_is_known(home: Home) -> None:
    server = home.serve(known=HOST_KEY)
    home.know("*", HOST_KEY, "@revoked")
    refused(HostKeyRefused, home.to(server), "revoked", f"{home.known_hosts}:2", settings=ACCEPTING)


def test_a_key_that_is_known_without_the_port_is_good(home: Home) -> None:
    home.know("127.0.0.1", HOST_KEY)
    open_connection(home.to(home.serve()), STRICT)
    refused(HostKeyRefused, home.to(home.serve(NEW_KEY)), "is not known here")


def test_an_authority_is_named_since_it_is_not_asked(home: Home) -> None:
    home.know("*", NEW_KEY, "@cert-authority")
    refused(HostKeyRefused, home.to(home.serve()), "is not known here", "certificate authority")


def test_ssh_configs_words_on_host_keys(home: Home, tmp_path: Path) -> None:
    home.host("web1", home.serve(), "HostKeyAlias the-web", f"UserKnownHostsFile {tmp_path}/%k %d/second", "HashKnownHosts yes")
    home.host("web2", home.serve(), f"UserKnownHostsFile {tmp_path}/none", f"GlobalKnownHostsFile {tmp_path}/global")
    home.host("web3", home.serve(), "UserKnownHostsFile none")
    open_connection(home.connection("web1"), ACCEPTING)
    assert (tmp_path / "the-web").read_text().startswith("|1|")
    open_connection(home.connection("web1"), STRICT)
    refused(HostKeyRefused, home.connection("web2"), "web2 (127.0.0.1:")
    (tmp_path / "global").write_text(f"[127.0.0.1]:* {HOST_KEY.get_name()} {HOST_KEY.get_base64()}\n")
    open_connection(home.connection("web2"), STRICT)
    refused(HostKeyRefused, home.connection("web3"), "can't be remembered", settings=ACCEPTING)


def test_strict_host_key_checking_of_ssh_config_opens_nothing(home: Home) -> None:
    home.host("web1", home.serve(), "StrictHostKeyChecking no")
    refused(HostKeyRefused, home.connection("web1"), "is not known here")


def test_fabrics_own_opening_keeps_to_the_rules(home: Home) -> None:
    connection = home.to(home.serve())
    prepare(connection, STRICT)
    with pytest.raises(HostKeyRefused):
        connection.run("true")


# ---- gateways


def test_a_gateway_obeys_the_same_rules(home: Home) -> None:
    target, gateway = home.serve(NEW_KEY), home.serve(gateway=True)
    home.host("bastion", gateway)
    home.host("inner", target, "ProxyJump bastion")
    said = refused(HostKeyRefused, home.connection("inner"), "at the gateway to inner", "bastion (127.0.0.1:", HOST_KEY.fingerprint)
    assert f"`ssh-keyscan -p {gateway.port} " in said.hint and not gateway.passed
    home.know(f"[127.0.0.1]:{gateway.port}", HOST_KEY)
    said = refused(HostKeyRefused, home.connection("inner"), "inner (127.0.0.1:", NEW_KEY.fingerprint)
    assert "gateway" not in said.what and f"`ssh bastion ssh-keyscan -p {target.port} " in said.hint
    home.know(f"[127.0.0.1]:{target.port}", NEW_KEY)
    connection = home.connection("inner")
    assert open_connection(connection, STRICT) == [] and connection.is_connected
    assert gateway.passed == [("127.0.0.1", target.port)] * 2


def test_new_keys_of_gateway_and_host_are_both_kept(home: Home) -> None:
    home.host("bastion", home.serve(gateway=True))
    home.host("inner", home.serve(NEW_KEY), "ProxyJump bastion")
    notes = open_connection(home.connection("inner"), ACCEPTING)
    assert [note.split(" ")[0] for note in notes] == ["bastion", "inner"] and len(home.known_hosts.read_text().splitlines()) == 2


def test_several_jumps_go_in_the_order_of_ssh(home: Home) -> None:
    first, second, target = home.serve(gateway=True), home.serve(gateway=True), home.serve()
    home.host("first", first)
    home.host("second", second)
    home.host("inner", target, "ProxyJump first,second")
    connection = home.connection("inner")
    open_connection(connection, ACCEPTING)
    assert [one.original_host for one in way(connection)] == ["first", "second", "inner"]
    assert first.passed == [("127.0.0.1", second.port)] and second.passed == [("127.0.0.1", target.port)]
    prepare(connection, ACCEPTING)
    assert [one.original_host for one in way(connection)] == ["first", "second", "inner"]


def test_proxy_jump_none_is_no_host(home: Home) -> None:
    home.host("web1", home.serve(), "ProxyJump none")
    connection = home.connection("web1")
    open_connection(connection, ACCEPTING)
    assert way(connection) == [connection]


def test_what_a_gateway_refuses_or_cannot_reach(home: Home) -> None:
    home.host("open", home.serve(known=HOST_KEY, gateway=True))
    home.host("shut", home.serve(known=HOST_KEY))
    gone = home.serve()
    gone.close()
    home.host("a", gone, "ProxyJump open")
    home.host("b", gone, "ProxyJump shut")
    home.host("c", home.serve(), "ProxyJump gone")
    home.host("gone", gone)
    refused(HostUnreachable, home.connection("a"), "the gateway open (127.0.0.1:", "can't reach a (127.0.0.1:")
    refused(HostUnreachable, home.connection("b"), "the gateway shut (127.0.0.1:", "AllowTcpForwarding")
    refused(HostUnreachable, home.connection("c"), "at the gateway to c", "gone (127.0.0.1:", "refuses connections")


def test_a_gateway_that_lets_nobody_in_is_named(home: Home) -> None:
    home.host("bastion", home.serve(known=HOST_KEY, users=[]))
    home.host("inner", home.serve(), "ProxyJump bastion")
    refused(AccessRefused, home.connection("inner"), "at the gateway to inner", "bastion (127.0.0.1:", f"doesn't let {USER} in")


@pytest.mark.parametrize("command", ("false", "/no/such/program %h", "echo hello", "sh -c 'exec cat >/dev/null'"))
def test_a_proxy_command_that_leads_nowhere(home: Home, command: str) -> None:
    home.host("inner", home.serve(), f"ProxyCommand {command}", "ConnectTimeout 1")
    refused(HostUnreachable, home.connection("inner"), "ProxyCommand", command.split(" ")[0])


def test_a_proxy_command_is_a_way(home: Home, tmp_path: Path) -> None:
    """Its tokens are filled in, the host's key is judged as ever, and bytes go both ways."""
    relay = tmp_path / "relay.py"
    relay.write_text(RELAY)
    server = home.serve()
    home.host("inner", server, f"ProxyCommand {sys.executable} {relay} %h %p")
    refused(HostKeyRefused, home.connection("inner"), HOST_KEY.fingerprint)
    connection = home.connection("inner")
    assert len(open_connection(connection, ACCEPTING)) == 1 and connection.is_connected
    assert connection.transport.is_authenticated() and server.tried[-1] == USER
    connection.close()


def test_who_reaches_its_public_ports_from_here(home: Home) -> None:
    """Not whoever's way is a gateway or a ProxyCommand: that is its sshd's way alone."""
    home.words += ["Host a", "HostName 10.0.0.1", "Host b", "HostName 10.0.0.2", "ProxyCommand relay %h %p", "Host c", "ProxyJump a"]
    home.words += ["Host d", "HostName 127.0.0.1", "Host e", "ProxyCommand none"]
    assert [SshHost(home.connection(name), STRICT).direct for name in "abcde"] == [True, False, False, False, True]


def test_with_a_host_its_gateways_are_closed(home: Home) -> None:
    """Each task on a line opens its own."""
    gateway = home.serve(gateway=True)
    home.host("bastion", gateway)
    home.host("inner", home.serve(NEW_KEY), "ProxyJump bastion")
    host = SshHost(home.connection("inner"), ACCEPTING)
    assert host.link.alive and all(one.is_connected for one in way(host.context))
    host.close()
    assert not any(one.is_connected for one in way(host.context))


# ---- the way there


def closed(home: Home) -> str:
    server = home.serve()
    server.close()
    return f"127.0.0.1:{server.port}"


def silent(home: Home) -> str:
    listening = socket.create_server(("127.0.0.1", 0))
    home.servers.append(listening)  # type: ignore[arg-type]
    return f"127.0.0.1:{listening.getsockname()[1]}"


def rude(home: Home) -> str:
    listening = socket.create_server(("127.0.0.1", 0))
    home.servers.append(listening)  # type: ignore[arg-type]
    threading.Thread(target=lambda: listening.accept()[0].close(), daemon=True).start()
    return f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.parametrize(
    ("place", "words"),
    (
        (closed, ("refuses connections to port", "fab -H 127.0.0.1:PORT")),
        (silent, ("does not answer within 1 s", "fab -t SECONDS")),
        (rude, ("no SSH session could be begun", "no SSH server")),
        (lambda home: "nobody.invalid", ("no address is known by this name", "`ssh nobody.invalid` must work")),
        (lambda home: "a..b", ("no address is known by this name",)),
        (lambda home: "ann@" + "x" * 70, ("no address is known by this name", "`ssh ann@xxx")),
    ),
)
def test_hosts_that_cannot_be_reached(home: Home, place: Callable[[Home], str], words: tuple[str, ...]) -> None:
    refused(HostUnreachable, home.connection(place(home), connect_timeout=1), *words)


@pytest.mark.parametrize(
    ("error", "words"),
    (
        (TimeoutError("timed out"), ("does not answer within 10 s", "fab -t SECONDS")),
        (OSError(101, "Network is unreachable"), ("can't be reached: Network is unreachable",)),
        (OSError(113, "No route to host"), ("can't be reached: No route to host",)),
        (ConnectionResetError(104, "Connection reset by peer"), ("can't be reached: Connection reset by peer",)),
    ),
)
def test_what_the_network_answers(home: Home, monkeypatch: pytest.MonkeyPatch, error: OSError, words: tuple[str, ...]) -> None:
    def connect(self: socket.socket, address: Any) -> None:
        raise error

    connection = home.connection("192.0.2.1")
    monkeypatch.setattr("paramiko.client.socket.socket", type("Socket", (socket.socket,), {"connect": connect}))
    refused(HostUnreachable, connection, *words)


def test_what_is_no_failure_of_the_way_stays_a_bug(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = home.to(home.serve(known=HOST_KEY))
    monkeypatch.setattr("paramiko.client.SSHClient._auth", lambda *words: {}["x"])
    with pytest.raises(KeyError):
        open_connection(connection, STRICT)


def test_the_time_to_wait(home: Home) -> None:
    home.host("slow", home.serve(), "ConnectTimeout 33")
    told = {"overrides": {"connect_kwargs": {"timeout": 7}}}  # as `fab -t 7`
    for connection, kwarg, seconds in (
        (home.connection("web1"), None, CONNECT_TIMEOUT),
        (home.connection("slow"), None, 33),
        (home.connection("slow", **told), 7, None),
        (home.connection("web1", **told), 7, None),
    ):
        prepare(connection, STRICT)
        assert (connection.connect_kwargs.get("timeout"), connection.connect_timeout) == (kwarg, seconds)
    # Fabric refuses both at once.
    open_connection(home.connection("slow", **told), ACCEPTING)


# ---- who comes in


def test_a_wrong_user_is_told_what_was_tried_and_what_is_taken(home: Home) -> None:
    server = home.serve(known=HOST_KEY)
    said = refused(
        AccessRefused, home.connection(f"bob@127.0.0.1:{server.port}"), "doesn't let bob in", "Tried: ~/.ssh/id_ed25519", "takes: publickey"
    )
    assert "-H USER@HOST" in said.hint and f"ssh -p {server.port} bob@127.0.0.1" in said.hint


def test_without_any_key(home: Home) -> None:
    (home.ssh / "id_ed25519").unlink()
    said = refused(AccessRefused, home.to(home.serve(known=HOST_KEY, password=True)), "Tried: nothing", "takes: publickey, password")
    assert "--prompt-for-login-password" in said.hint


def test_passwords(home: Home) -> None:
    (home.ssh / "id_ed25519").unlink()
    server = home.serve(known=HOST_KEY, password=True)
    open_connection(home.to(server, connect_kwargs={"password": PASSWORD}), STRICT)
    said = refused(AccessRefused, home.to(server, connect_kwargs={"password": "wrong"}), "Tried: the password")
    assert "wrong" not in str(said)


def test_a_key_with_a_passphrase(home: Home) -> None:
    locked = home.ssh / "locked"
    key = write_key(locked, "secret")
    (home.ssh / "id_ed25519").unlink()
    home.host("web1", home.serve(known=HOST_KEY, users=[key]), f"IdentityFile {locked}")
    said = refused(AccessRefused, home.connection("web1"), "~/.ssh/locked needs its passphrase")
    assert "ssh-add ~/.ssh/locked" in said.hint and "--prompt-for-passphrase" in said.hint
    said = refused(AccessRefused, home.connection("web1", connect_kwargs={"passphrase": "no"}), "The passphrase doesn't open ~/.ssh/locked")
    open_connection(home.connection("web1", connect_kwargs={"passphrase": "secret"}), STRICT)


def test_identity_files(home: Home, tmp_path: Path) -> None:
    """Of ssh_config and -i; one of ssh_config that isn't there is passed over, as by ssh, one of -i is an error."""
    other = write_key(home.ssh / "other")
    server = home.serve(known=HOST_KEY, users=[other])
    home.host("web1", server, "IdentityFile ~/.ssh/none", "IdentityFile ~/.ssh/other")
    open_connection(home.connection("web1"), STRICT)

    def given(*paths: Path) -> Connection:
        names = [str(path) for path in paths]
        told = {"connect_kwargs": {"key_filename": names}, "authentication": {"identities": list(paths)}}  # as `fab -i FILE`
        return home.connection(f"{USER}@127.0.0.1:{server.port}", overrides=told)

    open_connection(given(home.ssh / "other"), STRICT)
    refused(AccessRefused, given(tmp_path / "none"), "none can't be read: No such file", "-i FILE")
    refused(AccessRefused, given(home.known_hosts), "known_hosts (which is no private key)", "~/.ssh/id_ed25519")


def test_identities_only(home: Home) -> None:
    home.host("web1", home.serve(known=HOST_KEY), f"IdentityFile {home.ssh}/other", "IdentitiesOnly yes")
    write_key(home.ssh / "other")
    said = refused(AccessRefused, home.connection("web1"), "Tried: ~/.ssh/other.")
    assert "id_ed25519" not in said.what


def test_one_hosts_identities_are_not_tried_on_the_next(home: Home) -> None:
    write_key(home.ssh / "other")
    home.host("web1", home.serve(known=HOST_KEY), f"IdentityFile {home.ssh}/other")
    first = home.connection("web1")
    prepare(first, STRICT)
    second = Connection("web2", config=first.config)
    prepare(second, STRICT)
    assert os.path.basename(first.connect_kwargs["key_filename"][0]) == "other"
    assert second.connect_kwargs["key_filename"] == []
