"""The engine over a real sshd, by each of its ways: nothing is lost with many threads at once, and a connection that is dead is found."""

from __future__ import annotations

import io
import os
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import fabric
import pytest
from docker import APIClient

from silverlining.host.engine import Engine, Unreachable
from silverlining.host.ssh.engine import connect
from silverlining.host.ssh.link import Link, LinkLost
from tests.unit.test_engine import settings

from .hosts import PASSWORD, RemoteHost

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

IMAGE = "slr-link"
NAME = "slr-link-1"
FOUND = 30  # seconds until a dead connection must be found
# Way: user, what sshd is told, password, words of the way.
WAYS = {
    "forwarded": ("deployer", "", None, "forwarded by SSH"),
    "dial-stdio": ("deployer", "AllowStreamLocalForwarding no", None, "dial-stdio"),
    "sudo": ("admin", "", PASSWORD, "dial-stdio under sudo"),
}


def connection(host: RemoteHost, user: str) -> fabric.Connection:
    """Fabric's connection by the names and keys of the test's ~/.ssh."""
    config = fabric.Config(runtime_ssh_path=str(host.home.config), lazy=True)
    config.load_ssh_config()
    return fabric.Connection(host.alias, user=user, config=config, connect_timeout=10)


@contextmanager
def reached(host: RemoteHost, user: str, password: str | None = None, *sshd: str) -> Iterator[Engine]:
    """The host's engine; sshd has these further lines while the block runs."""
    with host.sshd(*sshd), connection(host, user) as made:
        link = Link(made)
        try:
            yield connect(link, settings(), password)
        finally:
            link.close()


@pytest.fixture(scope="module")
def container(web1: RemoteHost) -> Iterator[str]:
    """A container on web1 that says something each second, of a very small image."""
    shells = "bin lib lib64 usr/bin/dash usr/bin/sh usr/bin/cat usr/bin/sleep usr/lib64 usr/lib/*/libc.so.6 usr/lib/*/ld-linux*"
    web1.exec("sh", "-c", f"tar -C / -c {shells} | docker import - {IMAGE}")
    web1.docker("run", "--detach", "--name", NAME, IMAGE, "sh", "-c", "i=0; while :; do i=$((i + 1)); echo line $i; sleep 1; done")
    yield NAME
    web1.docker("rm", "--force", NAME)
    web1.docker("image", "rm", IMAGE)


@pytest.fixture(params=WAYS)
def engine(request: pytest.FixtureRequest, web1: RemoteHost, container: str) -> Iterator[Engine]:
    """Its engine, by each way."""
    user, sshd, password, words = WAYS[request.param]
    with reached(web1, user, password, *filter(None, [sshd])) as made:
        assert made.way.endswith(words), made.way
        yield made


def tar_of(name: str, data: bytes) -> bytes:
    """An archive of one file."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


def test_no_output_is_lost(engine: Engine) -> None:
    """A dozen threads, a hundred execs, and files that go up and down meanwhile."""
    client = engine.client

    def run(number: int) -> str:
        asked = client.exec_create(NAME, ["sh", "-c", f"echo out {number}; echo err {number} >&2"])
        out, err = client.exec_start(asked["Id"], demux=True)
        return f"{out.decode()}{err.decode()}{client.exec_inspect(asked['Id'])['ExitCode']}"

    def copy(number: int) -> bool:
        data = os.urandom(5_000_000)
        client.put_archive(NAME, "/", tar_of(f"file{number}", data))
        pieces, _stat = client.get_archive(NAME, f"/file{number}")
        with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as archive:
            back: Any = archive.extractfile(f"file{number}")
            return bool(back.read() == data)

    with ThreadPoolExecutor(12) as pool:
        copies = [pool.submit(copy, number) for number in range(6)]
        got = list(pool.map(run, range(100)))
        assert all(done.result() for done in copies)
    assert got == [f"out {n}\nerr {n}\n0" for n in range(100)]
    assert engine.link and (engine.way.endswith("SSH") or sum(engine.link.opened.values()) >= 100)


def test_calls_use_few_channels(engine: Engine) -> None:
    """As many as threads at most, whatever the number of calls."""
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda _n: engine.client.inspect_container(NAME), range(200)))
    assert engine.link and sum(engine.link.opened.values()) <= 12, engine.link.opened


def test_streams(engine: Engine) -> None:
    """Logs that are followed, events, an attached container and a build, beside each other and beside calls."""
    client, seen = engine.client, {}
    lines = client.logs(NAME, stream=True, follow=True, tail=1)
    first = int(next(lines).split()[1])
    assert [int(next(lines).split()[1]) for _n in range(2)] == [first + 1, first + 2]
    lines.close()
    events = client.events(filters={"label": "slr-link"}, decode=True)
    made = client.create_container(
        IMAGE, ["cat"], stdin_open=True, labels={"slr-link": "1"}, host_config=client.create_host_config(network_mode="none")
    )
    try:
        raw = client.attach_socket(made["Id"], params={"stdin": 1, "stdout": 1, "stream": 1})
        client.start(made["Id"])
        raw._sock.sendall(b"hello\n")
        assert raw._sock.recv(100).endswith(b"hello\n")
        raw._sock.shutdown(2)
        raw._response.close()
        seen["ended"] = client.wait(made["Id"], timeout=20)["StatusCode"]
        context = tar_of("Dockerfile", f"FROM {IMAGE}\nRUN echo built\n".encode())
        said = list(client.build(fileobj=io.BytesIO(context), custom_context=True, tag=f"{IMAGE}:2", rm=True, decode=True))
        client.remove_image(f"{IMAGE}:2")
    finally:
        client.remove_container(made["Id"], force=True)
    actions = []
    for event in events:
        actions.append(event["Action"])
        if event["Action"] == "destroy":
            break
    events.close()
    assert seen == {"ended": 0} and any("built" in entry.get("stream", "") for entry in said)
    assert [action for action in actions if action in ("create", "attach", "start", "die", "destroy")] == [
        "create",
        "attach",
        "start",
        "die",
        "destroy",
    ]


def test_nothing_is_left_there(engine: Engine, web1: RemoteHost) -> None:
    """When the connection ends, its processes do, also with streams that are open."""
    kept = engine.client.events(decode=True)
    if "dial-stdio" in engine.way:
        assert "dial-stdio" in web1.exec("pgrep", "--full", "--list-full", "dial-stdio")
    assert engine.link
    engine.link.connection.close()
    end = time.monotonic() + 10
    while found := web1.exec("pgrep", "--full", "--list-full", "dial-stdio", check=False):
        assert time.monotonic() < end, found
        time.sleep(0.1)
    with pytest.raises(LinkLost):
        next(kept)


def dead(engine: Engine, client: APIClient, kill: Callable[[], None]) -> float:
    """Seconds until each of several waiting threads was told that the connection is lost."""
    ended: dict[str, BaseException | None] = {}

    def waits(name: str, work: Callable[[], Any]) -> threading.Thread:
        def body() -> None:
            ended[name] = None
            try:
                work()
            except BaseException as error:
                ended[name] = error

        thread = threading.Thread(target=body, daemon=True)
        thread.start()
        return thread

    events, lines = client.events(decode=True), client.logs(NAME, stream=True, follow=True)
    exec_id = client.exec_create(NAME, ["sleep", "100"])["Id"]
    works = {
        "events": lambda: list(events),
        "logs": lambda: list(lines),
        "exec": lambda: client.exec_start(exec_id),
        "wait": lambda: client.wait(NAME),
    }
    threads = [waits(name, work) for name, work in works.items()]
    begin = time.monotonic()
    kill()
    for thread in threads:
        thread.join(max(0.1, begin + FOUND - time.monotonic()))
    took = time.monotonic() - begin
    assert {name: type(error) for name, error in ended.items()} == dict.fromkeys(works, LinkLost), ended
    assert not any(thread.is_alive() for thread in threads) and engine.link and not engine.link.alive
    return took


def test_a_session_that_is_killed(engine: Engine, web1: RemoteHost) -> None:
    assert dead(engine, engine.client, lambda: web1.drop_sessions() and None) < 3


def test_a_host_that_falls_silent(web1: RemoteHost, container: str) -> None:
    """Nothing is closed, nothing comes any more."""
    frozen = web1.frozen()
    with reached(web1, "root") as engine:
        try:
            assert dead(engine, engine.client, frozen.__enter__) < FOUND
        finally:
            with suppress(RuntimeError):
                frozen.__exit__(None, None, None)


def test_a_host_behind_a_gateway_falls_silent(inner: RemoteHost, web1: RemoteHost) -> None:
    """The gateway goes on, and its socket tells nothing."""
    frozen = inner.frozen()
    with reached(inner, "root") as engine:
        events = engine.client.events(decode=True)
        begin = time.monotonic()
        frozen.__enter__()
        try:
            with pytest.raises(LinkLost):
                next(events)
            assert time.monotonic() - begin < FOUND
        finally:
            frozen.__exit__(None, None, None)


@pytest.mark.parametrize(
    ("host", "user", "password", "cause", "words"),
    (
        ("bare", "root", None, "missing", "step00-install"),
        ("web1", "nobody-else", None, "denied", "usermod -aG docker nobody-else"),
        ("web1", "admin", None, "denied", "--prompt-for-sudo-password"),
        ("web1", "admin", "wrong", "denied", "refuses the password"),
    ),
)
def test_no_way(request: pytest.FixtureRequest, host: str, user: str, password: str | None, cause: str, words: str) -> None:
    with pytest.raises(Unreachable) as caught, reached(request.getfixturevalue(host), user, password):
        pass
    assert caught.value.cause == cause and words in str(caught.value), caught.value


@pytest.mark.parametrize("forbids", ("DisableForwarding yes", "AllowTcpForwarding no", "AllowStreamLocalForwarding no", "PermitOpen 127.0.0.1:80"))
def test_ways_in_which_sshd_forbids_it(web1: RemoteHost, forbids: str) -> None:
    """Whatever sshd forwards, there is a way."""
    with reached(web1, "admin2", None, forbids, "MaxSessions 2") as engine:
        with ThreadPoolExecutor(5) as pool:
            assert len(list(pool.map(lambda _n: engine.client.version(), range(10)))) == 10
        assert engine.sudo and engine.client.ping()
