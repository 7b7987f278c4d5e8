"""docker-py over channels: what it reads, sends and hijacks, and pools whose connections are few."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from docker import APIClient
from requests.exceptions import ConnectionError as Broken
from requests.exceptions import ReadTimeout

from silverlining.host.ssh import adapter
from silverlining.host.ssh.adapter import CALLS, STREAMS, WORKS, client_over, kind_of
from silverlining.host.ssh.link import Link, LinkLost
from silverlining.model.errors import EngineError
from silverlining.ops.faults import explain

from .raw_engine import RawEngine, raw_engine
from .ssh_server import Program, SshServer, served

pytestmark = pytest.mark.timeout(60)

Setting = tuple[APIClient, Link, SshServer, RawEngine]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[RawEngine]:
    with raw_engine(tmp_path) as made:
        yield made


@pytest.fixture(params=("unix", "process"))
def setting(request: pytest.FixtureRequest, engine: RawEngine) -> Iterator[Setting]:
    """The client by each way, the connection, the host, its engine."""
    with served(SshServer({"/docker.sock": engine.path}, {"dial-stdio": Program(socket=engine.path)})) as host, host.connection() as connection:
        link = Link(connection)
        ways: dict[str, Callable[[], Any]] = {"unix": lambda: link.unix("/docker.sock"), "process": lambda: link.process("docker system dial-stdio")}
        client = client_over(ways[request.param], request.param == "process", "1.41", 20)
        yield client, link, host, engine
        client.close()
        link.close()


def all_of(opened: Link) -> int:
    return sum(opened.opened.values())


@pytest.mark.parametrize(
    ("url", "kind"),
    (
        ("http+docker://localhost/v1.41/events?filters=x", "stream"),
        ("http+docker://localhost/v1.41/containers/a/logs?stderr=1&follow=1&tail=all", "stream"),
        ("http+docker://localhost/v1.41/containers/a/logs?stderr=1&follow=0", "call"),
        ("http+docker://localhost/v1.41/containers/a/logs", "call"),
        ("http+docker://localhost/v1.41/containers/a/attach?stream=1", "stream"),
        ("http+docker://localhost/v1.41/containers/a/stats?stream=False", "call"),
        ("http+docker://localhost/v1.41/containers/a/stats", "stream"),
        ("http+docker://localhost/v1.41/build?t=x", "work"),
        ("http+docker://localhost/v1.41/images/load", "work"),
        ("http+docker://localhost/v1.41/images/silver/app:1/get", "work"),
        ("http+docker://localhost/v1.41/containers/a/archive?path=/", "work"),
        ("http+docker://localhost/v1.41/containers/events/json", "call"),
        ("http+docker://localhost/v1.41/exec/a/start", "call"),
        ("http+docker://localhost/version", "call"),
    ),
)
def test_what_a_request_is(url: str, kind: str) -> None:
    assert kind_of(url) == kind


def test_one_connection_serves_many_calls(setting: Setting) -> None:
    client, link, _host, engine = setting
    for _call in range(5):
        assert client.version(api_version=False)["Version"] == "20.10.24"
    assert all_of(link) == 1 and engine.connections == 1


def test_the_output_that_comes_with_the_head_is_not_lost(setting: Setting) -> None:
    """An exec's answer in one piece with the head: whole, with and without a stream, many at once."""
    client = setting[0]
    assert client.exec_start("x") == b"hello world\n"
    assert list(client.exec_start("x", stream=True)) == [b"hello ", b"world\n"]
    assert client.exec_start("x", demux=True) == (b"hello world\n", None)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _n: client.exec_start("x"), range(40))) == {b"hello world\n"}


def test_a_hijacked_connection_is_a_socket(setting: Setting) -> None:
    """As the lock uses it: looked at without waiting, written to, and ended for both sides."""
    client, engine = setting[0], setting[3]
    raw = client.attach_socket("x", params={"stdin": 1, "stdout": 1, "stream": 1})
    sock = raw._sock
    sock.settimeout(0)
    with pytest.raises(BlockingIOError):
        sock.recv(1)
    sock.settimeout(10)
    sock.sendall(b"beat\n")
    assert sock.recv(100) == b"beat\n"
    sock.shutdown(socket.SHUT_RDWR)
    raw._response.close()
    assert engine.closed.acquire(timeout=10), "the engine isn't told of the end"


def test_a_stream_is_read_as_it_comes_and_can_be_ended(setting: Setting) -> None:
    client, _link, _host, engine = setting
    events = client.events(decode=True)
    assert next(events) == {"n": 1}
    threading.Timer(0.1, events.close).start()
    assert list(events) == []
    lines = client.logs("x", stream=True, follow=True)
    assert next(lines) == b"one\n"
    engine.go.set()
    assert list(lines) == [b"two\n"]


def test_uploads_and_downloads(setting: Setting) -> None:
    client, _link, _host, engine = setting
    data = bytes(range(256)) * 20_000
    assert client.put_archive("x", "/", data)
    assert engine.bodies == [data]
    client.import_image_from_data(iter([data[:100], data[100:70_000], data[70_000:]]))  # type: ignore[arg-type]
    assert engine.bodies[1] == data
    pieces, stat = client.get_archive("x", "/a")
    assert b"".join(pieces) == b"x" * 3_000_000 and stat["name"] == "a"


def test_an_answer_that_does_not_come_in_time(setting: Setting) -> None:
    client, link, _host, engine = setting
    with pytest.raises(ReadTimeout):
        client.wait("x", timeout=0.2)  # type: ignore[arg-type]
    engine.go.set()
    assert client.wait("x")["Id"] == "x" and link.alive


def test_a_lost_connection_ends_streams_with_an_error(setting: Setting) -> None:
    """Where docker-py alone would end them in silence, and give an exec without output."""
    client, link, host, _engine = setting
    events, raw = client.events(decode=True), client.attach_socket("x")
    assert next(events) == {"n": 1}
    host.drop()
    for reads in (lambda: next(events), lambda: raw.read(1), client.version, lambda: client.exec_start("x")):
        with pytest.raises(LinkLost):
            reads()
    assert not link.alive


# ---- few connections


@pytest.fixture
def few(engine: RawEngine) -> Iterator[Setting]:
    """An engine by processes."""
    with served(SshServer(programs={"dial-stdio": Program(socket=engine.path)})) as host, host.connection() as connection:
        link = Link(connection)
        client = client_over(lambda: link.process("docker system dial-stdio"), True, "1.41", 20)
        yield client, link, host, engine
        client.close()
        link.close()


def test_calls_wait_for_each_other(few: Setting) -> None:
    client, link, host, _engine = few
    with ThreadPoolExecutor(20) as pool:
        assert len(list(pool.map(lambda _n: client.version(), range(100)))) == 100
    assert host.most <= CALLS and all_of(link) <= CALLS


def test_streams_and_uploads_take_no_call_s_turn(few: Setting) -> None:
    """Streams that never end, of which none is left over, and calls that go on."""
    client, _link, host, _engine = few
    kept = [client.events(decode=True) for _n in range(STREAMS)]
    for stream in kept:
        assert next(stream) == {"n": 1}
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda _n: client.version(), range(50)))
        list(pool.map(lambda _n: client.put_archive("x", "/", b"data"), range(10)))
    assert host.most <= CALLS + WORKS + STREAMS < host.sessions
    kept.pop().close()
    assert next(client.events(decode=True)) == {"n": 1}


def test_one_stream_too_many(few: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_pool(few[0], "stream"), "_turn", 0.2)
    kept = [few[0].events(decode=True) for _n in range(STREAMS)]
    with pytest.raises(EngineError, match=f"{STREAMS} streams") as caught:
        few[0].logs("x", stream=True, follow=True)
    assert "AllowStreamLocalForwarding" in caught.value.hint and len(kept) == STREAMS


def test_a_stream_that_is_forgotten_gives_its_place_back(few: Setting) -> None:
    for _n in range(3 * STREAMS):
        assert next(iter(few[0].events(decode=True))) == {"n": 1}


def test_a_host_that_allows_fewer_sessions(few: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then those that are open must do."""
    monkeypatch.setattr(adapter, "RETRY", 0.05)
    monkeypatch.setattr("silverlining.host.ssh.link.SESSION_WAIT", 0.01)
    few[2].sessions = 1
    with ThreadPoolExecutor(10) as pool:
        assert len(list(pool.map(lambda _n: few[0].version(), range(50)))) == 50
    assert few[2].most == 1
    few[0].close()


def test_a_host_whose_sessions_never_become_free(few: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits is told in time, whether others of ours are open or none."""
    monkeypatch.setattr("silverlining.host.ssh.link.SESSION_WAIT", 0.01)
    monkeypatch.setattr(adapter, "RETRY", 0.05)
    monkeypatch.setattr(adapter, "ALONE", 0.2)
    monkeypatch.setattr(client_pool(few[0], "stream"), "_turn", 0.3)
    few[2].sessions = 1
    kept = few[0].events(decode=True)
    assert next(kept) == {"n": 1}
    for ask in (lambda: few[0].events(decode=True), few[0].version):
        begun = time.monotonic()
        with pytest.raises(Broken) as caught:
            ask()
        assert time.monotonic() - begun < 5 and "MaxSessions" in str(explain(caught.value))


def test_what_is_only_kept_makes_room(few: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a stream, for a command, and for who asks."""
    client, link, host, engine = few
    host.sessions, host.programs["greet"] = 1, Program(b"hello\n")
    link.spares.append(client._custom_adapter.release)  # type: ignore[attr-defined]
    client.version()
    assert link.run("greet")[1] == "hello\n"
    client.version()
    with closing(client.events(decode=True)) as events:
        assert next(events) == {"n": 1} and not link.make_room()
    engine.go.set()
    client.version()
    assert host.most == 1 and link.make_room() and not link.make_room()


def test_a_connection_that_the_engine_has_closed_is_not_used_again(few: Setting) -> None:
    client, link, _host, engine = few
    client.version()
    idle: Any = client_pool(client, "call")._idle[0]
    idle.sock.shutdown(socket.SHUT_WR)
    assert engine.closed.acquire(timeout=10)
    end = time.monotonic() + 10
    while idle.is_connected:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert client.version() and all_of(link) == 2


def client_pool(client: APIClient, kind: str) -> Any:
    return client._custom_adapter._pools[kind]  # type: ignore[attr-defined]
