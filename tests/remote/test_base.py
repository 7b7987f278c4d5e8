"""The Debian base on a host over SSH: made there and imported there, whoever comes in, and nothing of it is left after Ctrl-C."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from silverlining.host.debian import PATH, BootstrapFailed, make_base
from silverlining.host.ssh.host import SshHost
from silverlining.model import settings
from silverlining.model.images import Image
from tests.engine.course import until

from . import images
from .hosts import PASSWORD, RemoteHost
from .test_hosts import connect

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
BASE = Image("slr-base", suite="trixie")
LABELS = {"slr.test": 'a "quoted" word'}


@contextmanager
def reached(host: RemoteHost, user: str, password: str = "") -> Iterator[SshHost]:
    """The host as the tool has it, in the name of `user`."""
    connection = connect(host, user)
    connection.config.sudo.password = password or None
    made = SshHost(connection, settings.load(images.example()))
    try:
        yield made
    finally:
        made.close()


def litter(host: RemoteHost) -> str:
    """What a base that isn't finished has on the host: processes and directories."""
    return host.exec("sh", "-c", "pgrep -a 'mmdebstrap|debootstrap|dpkg' | grep -v pgrep; ls -d /tmp/mmdebstrap.* /tmp/tmp.* 2>/dev/null; true")


def prepared(host: RemoteHost) -> None:
    """mmdebstrap is there, and what it needs without root; nothing of a test that failed before is."""
    host.exec("sh", "-c", "rm -rf /tmp/mmdebstrap.* /tmp/tmp.*")
    host.exec("sh", "-c", "{ command -v mmdebstrap && command -v newuidmap; } || { apt-get update -q && apt-get install -qy mmdebstrap uidmap; }")
    host.exec("sh", "-c", "command -v mmdebstrap && command -v newuidmap")


def gone_by(host: RemoteHost, seconds: float) -> None:
    """Waits until nothing of a base is left. Raises AssertionError with what is."""
    try:
        until(lambda: not litter(host), "nothing left", seconds)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{litter(host)}\n{host.exec('ps', '-eo', 'pid,ppid,pgid,args')}") from None


@pytest.fixture(autouse=True)
def tidy(web1: RemoteHost) -> Iterator[None]:
    """No base stays."""
    yield
    web1.exec("sh", "-c", "docker images -q slr/base silverlining/slr-base | xargs -r docker rmi -f")


def test_a_sudo_user_gets_a_base(web1: RemoteHost) -> None:
    """With a password: what makes it is installed. (Who has no root gets one in test_rungs.)"""
    web1.exec("sh", "-c", "! dpkg-query --show mmdebstrap || dpkg --purge mmdebstrap")
    steps: list[str] = []
    with reached(web1, "admin", PASSWORD) as host:
        make_base(host.client, BASE, "1", LABELS, "", host.runner, steps.append)
        assert host.runner.is_root()
    assert "installing mmdebstrap on the docker host" in steps and not any("importing" in step for step in steps)
    config = json.loads(web1.docker("image", "inspect", f"{BASE.repository}:1"))[0]["Config"]
    assert config["Labels"] == LABELS and config["Cmd"] == ["sh"] and config["Env"] == [f"PATH={PATH}"]
    assert web1.docker("run", "--rm", f"{BASE.repository}:1", "cat", "/etc/debian_version").startswith("13")
    assert not litter(web1)


def test_what_fails_leaves_no_image_and_says_why(web1: RemoteHost) -> None:
    """A mirror that isn't there."""
    prepared(web1)
    before = web1.docker("images", "--quiet", "--all")
    with reached(web1, "root") as host, pytest.raises(BootstrapFailed, match=r"mmdebstrap could not make Debian trixie \(exit code [1-9]"):
        make_base(host.client, BASE, "1", LABELS, "http://127.0.0.1:9/debian", host.runner, lambda step: None)
    assert web1.docker("images", "--quiet", "--all") == before and not litter(web1)


@pytest.mark.parametrize(("user", "password"), (("admin", PASSWORD), ("deployer", "")))
def test_what_is_cut_off_ends_there_too(web1: RemoteHost, user: str, password: str) -> None:
    """The connection ends in the middle, as by Ctrl-C: what runs on the host goes, with its directory, and no image stays."""
    prepared(web1)
    before = web1.docker("images", "--quiet", "--all")
    ended = threading.Event()
    with reached(web1, user, password) as host:
        client, runner = host.client, host.runner

        def make() -> None:
            try:
                make_base(client, BASE, "1", LABELS, "", runner, lambda step: None)
            except Exception:
                ended.set()

        threading.Thread(target=make, daemon=True).start()
        until(lambda: "dpkg" in litter(web1) and "/tmp/tmp." in litter(web1), "a base half made", 60)
    assert ended.wait(30)
    gone_by(web1, 30)
    assert web1.docker("images", "--quiet", "--all") == before


def test_a_proxy_is_in_no_command_line(web1: RemoteHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its address may hold a password; the program gets it all the same."""
    monkeypatch.setenv("http_proxy", "http://ann:slr-secret@127.0.0.1:9/")
    seen: list[str] = []
    with reached(web1, "root") as host:
        thread = threading.Thread(target=lambda: seen.append(host.runner(["sh", "-c", "echo $http_proxy >&2; sleep 3"])[1]))
        thread.start()
        until(lambda: "sleep 3" in web1.exec("ps", "-eo", "args"), "the program")
        assert "slr-secret" not in web1.exec("ps", "-eo", "args")
        thread.join()
    assert "slr-secret" in seen[0]
