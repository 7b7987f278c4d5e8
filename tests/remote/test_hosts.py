"""The test hosts themselves: who may do what on them, what they run, and that one of them is out of reach from here."""

from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import fabric
import pytest
from paramiko import SSHClient
from paramiko.ssh_exception import AuthenticationException, SSHException

from .course import RemoteCourse, nothing_here
from .hosts import PASSWORD, USERS, RemoteHost, docker
from .relay import Relay
from .site import LABEL, Site, run_id
from .ssh_home import make_key

pytestmark = pytest.mark.timeout(300)


def connect(host: RemoteHost, user: str = "root", **more: object) -> fabric.Connection:
    """Fabric's connection by the names and keys of the test's ~/.ssh."""
    config = fabric.Config(runtime_ssh_path=str(host.home.config), lazy=True)
    config.load_ssh_config()
    return fabric.Connection(host.alias, user=user, config=config, connect_timeout=10, **more)


def say(connection: fabric.Connection, command: str) -> str:
    """What a command there says, output and errors."""
    result = connection.run(command, hide=True, warn=True, in_stream=False)
    return f"{result.stdout}{result.stderr}".strip()


@pytest.mark.parametrize("user", USERS)
def test_everybody_comes_in_with_the_key(web1: RemoteHost, web2: RemoteHost, bare: RemoteHost, user: str) -> None:
    """On every host, each user is known by the same key."""
    for host in (web1, web2, bare):
        with connect(host, user) as connection:
            assert say(connection, "id -un") == user


def test_two_ages_of_docker(web1: RemoteHost, web2: RemoteHost, bare: RemoteHost) -> None:
    """Debian 13's engine, Debian 12's, and none; root and the members of the group docker may use them."""
    for host, version in ((web1, "26.1."), (web2, "20.10.")):
        assert host.client().version()["Version"].startswith(version)
        for user in ("root", "deployer"):
            with connect(host, user) as connection:
                assert say(connection, "docker version --format '{{.Server.Version}}'").startswith(version)
        for user in ("admin", "nobody-else"):
            with connect(host, user) as connection:
                assert "ermission denied" in say(connection, "docker version")
    assert "v2." in web1.docker("compose", "version") or "version 2." in web1.docker("compose", "version")
    assert not bare.exec("sh", "-c", "command -v docker dockerd containerd || true")


def test_an_engine_in_there_runs_containers(web1: RemoteHost, web2: RemoteHost, site: Site) -> None:
    """What the engine of a host runs, this machine's engine hears nothing of."""
    with nothing_here(site.engine, "slr-there"):
        for host in (web1, web2):
            host.exec(
                "sh",
                "-c",
                "tar -C / -c bin lib lib64 usr/bin/dash usr/bin/sh usr/lib64 usr/lib/*/libc.so.6 usr/lib/*/ld-linux* | docker import - try",
            )
            assert host.docker("run", "--rm", "--name", "slr-there-1", "try", "sh", "-c", "echo alive") == "alive"
            host.docker("image", "rm", "try")


def test_nothing_here_notices_what_is_here(site: Site) -> None:
    """The opposite: a volume and a network of that name on this machine are found."""
    with pytest.raises(AssertionError, match="slr-here-data"), nothing_here(site.engine, "slr-here"):
        docker("volume", "create", *site.label, "slr-here-data")
        docker("volume", "rm", "slr-here-data")


def test_sudo(bare: RemoteHost) -> None:
    """admin needs the password, admin2 none, and nobody-else may not."""
    ask = "sudo -k; echo {} | sudo -S -p '' id -un"
    with connect(bare, "admin") as connection:
        assert say(connection, ask.format(PASSWORD)) == "root"
        assert "incorrect password" in say(connection, ask.format("wrong"))
        assert "password is required" in say(connection, "sudo -n true")
    with connect(bare, "admin2") as connection:
        assert say(connection, "sudo -n id -un") == "root"
    with connect(bare, "nobody-else") as connection:
        assert "password" in say(connection, "sudo -n true")


def test_the_inner_host_is_reached_through_web1_only(inner: RemoteHost, web1: RemoteHost) -> None:
    """No packet gets there from here; by ProxyJump everything works, and it has no way out of its own."""
    gateway = docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}")
    # Somebody on the way may take any connection, but it is not our sshd that answers.
    with suppress(OSError), socket.create_connection((inner.address, 22), timeout=2) as link:
        assert not link.recv(4)
    with connect(inner) as connection:
        assert connection.gateway and connection.gateway.host == web1.address
        assert say(connection, "hostname; docker version --format '{{.Server.Version}}'").split()[0] == "inner"
    for address in (gateway, "8.8.8.8"):
        assert inner.exec("bash", "-c", f"exec 2>/dev/null; timeout 3 bash -c '</dev/tcp/{address}/53' || echo none") == "none"


def test_another_key_and_a_changed_host_key_are_refused(bare: RemoteHost, tmp_path: Path) -> None:
    """A key that nobody knows does not come in; a client that reads known_hosts refuses a host whose keys have changed."""
    stranger, _ = make_key(tmp_path / "id")
    with connect(bare, connect_kwargs={"key_filename": str(stranger), "look_for_keys": False, "allow_agent": False}) as connection:
        connection.ssh_config.pop("identityfile", None)
        connection.connect_kwargs["key_filename"] = [str(stranger)]
        with pytest.raises((AuthenticationException, SSHException)):
            connection.open()
    bare.new_host_keys()
    with SSHClient() as client:
        client.load_host_keys(str(bare.home.known_hosts))
        with pytest.raises(SSHException, match="does not match"):
            client.connect(bare.address, username="root", key_filename=str(bare.home.key), allow_agent=False, timeout=10)
    bare.home.known_as(bare.alias, bare.host_keys())
    with SSHClient() as client:
        client.load_host_keys(str(bare.home.known_hosts))
        client.connect(bare.address, username="root", key_filename=str(bare.home.key), allow_agent=False, timeout=10)


def test_sshd_with_other_rules(web1: RemoteHost) -> None:
    """A forbidden forward is refused while the rule stands, and not afterwards."""

    def reach() -> bool:
        with connect(web1) as connection:
            connection.open()
            try:
                connection.transport.open_channel("direct-tcpip", ("127.0.0.1", 22), ("127.0.0.1", 0), timeout=10).close()
            except SSHException:
                return False
            return True

    assert reach()
    with web1.sshd("AllowTcpForwarding no"):
        assert not reach()
    assert reach()


def test_dropped_sessions_are_noticed(web1: RemoteHost) -> None:
    """Killing what serves the connections ends each of them."""
    with connect(web1) as connection:
        connection.open()
        assert web1.sessions() and web1.drop_sessions()
        connection.transport.join(10)
        assert not connection.is_connected


def test_a_host_that_is_cut_off_or_frozen_is_silent(web1: RemoteHost) -> None:
    """Packets vanish, or nobody answers: connections stay open and hear nothing, and go on afterwards."""
    for trouble in (web1.cut_off, web1.frozen):
        with connect(web1) as connection:
            connection.open()
            with trouble():
                channel = connection.transport.open_session
                with pytest.raises(SSHException, match=r"[Tt]imeout"):
                    channel(timeout=1)
                assert connection.is_connected
            assert say(connection, "echo back") == "back"


def test_a_host_at_the_end_of_a_long_way(web1: RemoteHost) -> None:
    """By a relay under another name, with the same host key under the relay's address."""
    with Relay((web1.address, 22), round_trip=0.02) as relay:
        web1.home.add("web1-far", relay.address, web1.host_keys(), Port=str(relay.port))
        far = RemoteHost(web1.home, web1.name, "web1-far")
        with connect(far) as connection:
            assert say(connection, "hostname") == "web1" and relay.accepted == 1
        web1.home.forget("web1-far")
        assert f"[{relay.address}]:{relay.port} " not in web1.home.known_hosts.read_text()


def test_a_restart_keeps_the_disk(web2: RemoteHost) -> None:
    """A host that was switched off comes back with its engine, its data and its host keys."""
    web2.docker("volume", "create", "kept")
    keys = web2.host_keys()
    web2.restart()
    web2.await_engine()
    assert web2.docker("volume", "ls", "--quiet") == "kept" and web2.host_keys() == keys
    with connect(web2) as connection:
        assert say(connection, "hostname") == "web2"


def test_a_host_with_a_small_disk(site: Site) -> None:
    """Its engine works until the disk is full."""
    host = site.start("small", "trixie", size="60m")
    host.await_engine()
    host.docker("volume", "create", "some")
    said = host.exec("sh", "-c", "head -c 100000000 /dev/zero >/var/lib/docker/volumes/some/_data/fill", check=False)
    assert "No space left" in said
    host.stop()


def test_what_a_killed_run_has_left_goes(site: Site, tmp_path: Path) -> None:
    """A run that is gone has left a host, a network and a volume: the next one takes them away, and leaves those of a run that goes on."""
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True).stdout.strip()
    label, mine = f"{LABEL}={gone}-1", site.images["bare"]
    docker("run", "--detach", "--name", "slr-left", "--label", label, "--volume=/data", mine, "sleep", "100")
    docker("network", "create", "--label", label, "slr-left")
    docker("volume", "create", "--label", label, "slr-left")
    ours = docker("ps", "--quiet", "--filter", f"label={LABEL}={run_id()}")
    site.sweep()
    for kind in (("ps", "--all"), ("network", "ls"), ("volume", "ls")):
        assert not docker(*kind, "--quiet", "--filter", f"label={label}")
    assert docker("ps", "--quiet", "--filter", f"label={LABEL}={run_id()}") == ours


def test_fab_knows_the_hosts(web1: RemoteHost) -> None:
    """fab finds names, user and key in the home directory of the tests."""
    for one in (RemoteCourse(web1), RemoteCourse(web1).as_user("deployer")):
        assert one.json("status")["engine"]["version"].startswith("26.1.")
