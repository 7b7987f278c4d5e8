"""HAProxy beside confd (builds/haproxy-confd): what it starts with, and a reload that fails is tried until it is done."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from docker import APIClient
from invoke import Context

from silverlining.console.voice import Voice
from silverlining.host.contexts import File, pack
from silverlining.host.exec import Answer, execute
from silverlining.ops.desk import Desk
from silverlining.ops.settings import read_settings

from .course import until

FILE = "/usr/local/etc/haproxy/haproxy.cfg"
# Says no as HAProxy's master would, until somebody opens.
REFUSING = b"""#!/bin/sh
[ -e /tmp/open ] || { echo 'Success=0'; exit 1; }
exec /usr/local/bin/haproxyctl "$@"
"""


class Proxy:
    """A container of the image in which nothing runs but what a test starts."""

    def __init__(self, engine: APIClient, image: str) -> None:
        self.engine = engine
        self.id = engine.create_container(
            image,
            entrypoint=["sleep", "600"],
            command=[],
            host_config=engine.create_host_config(network_mode="none", init=True),
            labels=["sl-test-haproxy"],
        )["Id"]
        engine.put_archive(self.id, "/", pack({"opt/refusing/haproxyctl": File(0o755, REFUSING)}).getvalue())
        engine.start(self.id)

    def shell(self, script: str) -> Answer:
        """What a script says, as the user that HAProxy has."""
        return execute(self.engine, self.id, ("sh", "-c", script))

    def boot(self) -> None:
        """Starts HAProxy as supervisord would and awaits that it answers."""
        self.shell("mkdir -p -m 700 /tmp/haproxy")
        self.engine.exec_start(self.engine.exec_create(self.id, ["haproxy-boot"])["Id"], detach=True)
        until(lambda: self.shell("haproxyctl show info").ok, "HAProxy answers", 20)

    def servers(self) -> list[str]:
        """The servers that the running HAProxy has, by name."""
        rows = [line.split() for line in self.shell("haproxyctl show servers state webserver").text.splitlines()]
        return [row[3] for row in rows if len(row) > 4 and row[0].isdecimal()]

    def log(self) -> str:
        """What the scripts have written into the container's log."""
        return str(self.engine.logs(self.id).decode())


@pytest.fixture
def proxy(engine: APIClient) -> Iterator[Proxy]:
    desk = Desk(Context(), read_settings({}, environ={}), Voice(quiet=True))
    one = Proxy(engine, desk.store.resolve(["haproxy-confd"])["haproxy-confd"].reference)
    yield one
    engine.remove_container(one.id, force=True, v=True)


def with_server(name: str) -> str:
    """A script that puts a file with this server into place, as confd does."""
    line = f"    server {name} 127.0.0.1:9 disabled"
    return f"sed '/^backend webserver$/a\\{line}' {FILE} > {FILE}.new && haproxy -c -q -f {FILE}.new && mv {FILE}.new {FILE}"


def test_without_a_usable_file_it_starts_without_servers(proxy: Proxy) -> None:
    proxy.shell(f"echo 'no such section' > {FILE}")
    proxy.boot()
    assert proxy.servers() == []
    assert "no configuration that can be used, starting without servers" in proxy.log()
    assert proxy.shell("haproxy-reload --loaded").ok


def test_it_starts_with_the_file_that_confd_has_left(proxy: Proxy) -> None:
    assert proxy.shell(with_server("left")).ok
    proxy.boot()
    assert proxy.servers() == ["left"]
    assert "starting without servers" not in proxy.log()


def test_a_reload_loads_the_file_in_place_once(proxy: Proxy) -> None:
    proxy.boot()
    assert proxy.shell(with_server("one")).ok
    assert not proxy.shell("haproxy-reload --loaded").ok
    assert "HAProxy has loaded" in proxy.shell("haproxy-reload").text
    assert proxy.servers() == ["one"]
    reloads = "haproxyctl master show proc | grep -m 1 master"
    before = proxy.shell(reloads).text.split()
    assert proxy.shell("haproxy-reload").ok
    assert proxy.shell(reloads).text.split()[:3] == before[:3]  # process, type, reloads


def test_a_refused_reload_is_tried_until_it_is_done(proxy: Proxy) -> None:
    proxy.boot()
    refused = "export PATH=/opt/refusing:$PATH; "
    insisting = "grep -lsa -e '--insis[t]' /proc/[0-9]*/cmdline | wc -l"
    assert proxy.shell(refused + with_server("one")).ok
    answer = proxy.shell(refused + "haproxy-reload")
    assert answer.code == 1
    assert "Success=0" in answer.text
    assert "going on in the background" in answer.text
    # Another change meanwhile: it comes with the same reload, and nobody else begins to insist.
    assert proxy.shell(refused + with_server("two")).ok
    assert proxy.shell(refused + "haproxy-reload").code == 1
    until(lambda: proxy.log().count("Success=0") >= 2, "it is tried in the background", 20)
    assert proxy.servers() == []
    assert not proxy.shell("haproxy-reload --loaded").ok
    proxy.shell("touch /tmp/open")
    until(lambda: sorted(proxy.servers()) == ["one", "two"], "the file in place is loaded", 30)
    until(lambda: proxy.shell("haproxy-reload --loaded").ok, "it says so", 5)
    until(lambda: proxy.shell(insisting).text == "0", "nobody insists any more", 20)
