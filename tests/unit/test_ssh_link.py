"""Channels as sockets, the watch that finds a dead connection, and that paramiko still has the private names that both rest on."""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from paramiko import Transport
from paramiko.buffered_pipe import PipeTimeout

from silverlining.host.ssh.channel import ChannelSocket, Inbox
from silverlining.host.ssh.forward import Forward
from silverlining.host.ssh.link import MISSED, Link, LinkLost, Refused, Watch

from .ssh_server import Program, SshServer, served

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def echo(tmp_path: Path) -> Iterator[str]:
    """A Unix socket that sends back what comes, and ends when the other side does."""
    path = str(tmp_path / "echo.sock")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)

    def serve(client: socket.socket) -> None:
        with client:
            while data := client.recv(65536):
                client.sendall(data)

    def accept() -> None:
        while True:
            try:
                client = listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=serve, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield path
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


@pytest.fixture
def host(echo: str) -> Iterator[SshServer]:
    """A host that forwards /echo."""
    with served(SshServer({"/echo": echo}, {"greet": Program(b"hello\n", b"oops\n", 3), "dial": Program(socket=echo)})) as server:
        yield server


@pytest.fixture
def link(host: SshServer) -> Iterator[Link]:
    """The connection to it."""
    with host.connection() as connection:
        made = Link(connection)
        yield made
        made.close()


def test_a_socket_of_the_host(link: Link) -> None:
    with link.unix("/echo") as sock:
        sock.sendall(b"ping")
        assert sock.recv(100) == b"ping"
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(100) == b""
    assert dict(link.opened) == {"unix": 1} and link.alive


def test_a_program_of_the_host(link: Link, host: SshServer) -> None:
    """Its standard input and output are the connection; a password goes before everything else."""
    host.programs["dial"].password = "open sesame"
    with link.process("dial", "open sesame") as sock:
        sock.sendall(b"ping")
        assert sock.recv(100) == b"ping"
    assert link.run("greet 'you'") == (3, "hello\n", "oops")
    assert host.commands == ["dial", "sh -c 'greet '\"'\"'you'\"'\"''"]
    assert dict(link.opened) == {"process": 2}


def test_all_bytes_come_through_whatever_their_number(link: Link) -> None:
    """Several threads, more bytes than any window, read in pieces of odd sizes."""
    wrong: list[int] = []

    def work(number: int) -> None:
        data = os.urandom(1_000_000) * 5
        with link.unix("/echo") as sock, sock.makefile("rb") as reader:
            sender = threading.Thread(target=lambda: (sock.sendall(data), sock.shutdown(socket.SHUT_WR)))
            sender.start()
            got = b"".join(iter(lambda: reader.read(77_777), b""))
            sender.join()
        if got != data:
            wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and link.opened["unix"] == 6


def test_what_the_host_refuses(link: Link, host: SshServer) -> None:
    """Each thread gets its own refusal, and sockets that are not refused go on."""
    with link.unix("/echo") as sock, pytest.raises(Refused, match="/forbidden"):
        link.unix("/forbidden")
    refused: list[Exception] = []

    def knock(path: str) -> None:
        try:
            link.unix(path).close()
        except Refused as error:
            refused.append(error)

    threads = [threading.Thread(target=knock, args=("/echo" if number % 2 else f"/no-{number}",)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(str(error).rpartition("/")[2] for error in refused) == sorted(f"no-{number}" for number in range(0, 20, 2))
    assert sock.recv(1) == b"" and link.alive
    host.sessions = 0
    with pytest.raises(Refused, match="a command"):
        link.process("greet")


def test_a_session_that_has_ended_counts_for_a_moment_more(link: Link, host: SshServer) -> None:
    host.sessions = 1
    sock = link.process("dial")
    threading.Timer(0.2, sock.close).start()
    assert link.run("greet")[0] == 3
    assert host.most == 1


def test_a_socket_that_does_not_block(link: Link) -> None:
    """As the lock's: nothing there, something there, the end; poll tells which."""
    sock = link.unix("/echo")
    sock.settimeout(0)
    with pytest.raises(BlockingIOError):
        sock.recv(1)
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    assert not poll.poll(0)
    sock.send(b"xy")
    assert poll.poll(5000) and sock.recv(1) == b"x"
    assert poll.poll(0) and sock.recv(1) == b"y" and not poll.poll(0)
    sock.shutdown(socket.SHUT_WR)
    assert poll.poll(5000) and sock.recv(1) == b""
    sock.close()
    assert sock.fileno() == -1


def test_a_time_limit(link: Link) -> None:
    with link.unix("/echo") as sock:
        sock.settimeout(0.05)
        with pytest.raises(TimeoutError):
            sock.recv(1)


def test_a_socket_lives_as_long_as_a_file_made_of_it(link: Link) -> None:
    sock = link.unix("/echo")
    ended: list[int] = []
    sock.when_closed(lambda: ended.append(1))
    reader = sock.makefile("rb")
    sock.close()
    sock.sendall(b"line\n")
    assert reader.readline() == b"line\n" and not ended
    reader.close()
    assert ended == [1] and sock.recv(1) == b""
    with pytest.raises(BrokenPipeError):
        sock.sendall(b"x")


def test_shutdown_wakes_who_reads(link: Link) -> None:
    sock = link.unix("/echo")
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(sock.recv(1)))
    reader.start()
    sock.shutdown(socket.SHUT_RDWR)
    reader.join(10)
    assert got == [b""]


def test_a_lost_connection_is_no_end_of_a_stream(link: Link, host: SshServer) -> None:
    """Whoever waits, and whoever comes later, is told; one that only looks gets what sockets give."""
    sock, looking = link.unix("/echo"), link.unix("/echo")
    looking.settimeout(0)
    errors: list[BaseException] = []

    def wait() -> None:
        try:
            sock.recv(1)
        except LinkLost as error:
            errors.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    host.drop()
    waiting.join(10)
    assert (
        [type(error) for error in errors] == [LinkLost] and "127.0.0.1 is lost" in str(errors[0]) and "run the same command again" in str(errors[0])
    )
    with pytest.raises(ConnectionResetError):
        looking.recv(1)
    with pytest.raises(LinkLost):
        sock.sendall(b"x")
    for opens in (lambda: link.unix("/echo"), lambda: link.process("greet"), link.check):
        with pytest.raises(LinkLost):
            opens()
    assert not link.alive


def test_a_refusal_of_long_ago_is_no_reason(link: Link, host: SshServer) -> None:
    with pytest.raises(Refused):
        link.unix("/forbidden")
    host.drop()
    end = time.monotonic() + 10
    while link.alive:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert "Connect failed" not in str(link.lost()) and "is lost" in str(link.lost())


def test_a_program_that_ends_before_it_has_its_password(link: Link, host: SshServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """As sudo that isn't there: the end and the program's words come, not a broken pipe."""
    sends = ChannelSocket.sendall

    def late(self: ChannelSocket, data: Any, flags: int = 0) -> None:
        assert self.channel.status_event.wait(10)
        while not self.channel.closed:
            time.sleep(0.01)
        sends(self, data, flags)

    monkeypatch.setattr(ChannelSocket, "sendall", late)
    with link.process("greet", "open sesame") as sock:
        assert sock.recv(100) == b"hello\n" and sock.recv(100) == b"" and sock.words() == "oops"
    assert link.run("greet", given=b"x") == (3, "hello\n", "oops")


def test_what_a_program_is_given(link: Link, host: SshServer) -> None:
    """More than a command line can hold."""
    host.programs["wc"] = Program(real=True)
    code, said, _errors = link.run("wc -c", given=b"x" * 300_000)
    assert (code, said.strip()) == (0, "300000")


def test_a_port_where_sshd_forwards_none(link: Link, host: SshServer) -> None:
    """A program there carries it, and ends with either side. That it is forbidden is asked once."""
    host.programs["/dev/tcp"] = Program(real=True)
    data = os.urandom(300_000)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with link.tcp("127.0.0.1", port) as sock, listener.accept()[0] as there:
            for sender, reader in ((sock, there), (there, sock)):
                threading.Thread(target=sender.sendall, args=(data,)).start()
                with reader.makefile("rb") as file:
                    assert file.read(len(data)) == data
            there.close()
            assert sock.recv(1) == b""
        sock = link.tcp("127.0.0.1", port)
        with listener.accept()[0] as there:
            sock.close()
            there.settimeout(10)
            assert there.recv(1) == b""
    with link.tcp("127.0.0.1", port) as sock:
        assert sock.recv(1) == b"" and "refused" in sock.words()
    assert dict(link.opened) == {"process": 3}


@pytest.mark.parametrize("end", ("the host's", "ours"))
def test_a_browser_that_stays_is_told_of_the_end(link: Link, host: SshServer, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    """Ctrl-C of `open` closes the connection under a client that keeps its own: it gets an end, and nobody a traceback."""
    failed: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    far: Any = SimpleNamespace(tcp=lambda name, port: link.unix("/echo"))
    before = set(threading.enumerate())
    with Forward(far, 0) as forward, socket.create_connection(("127.0.0.1", forward.port), timeout=10) as browser:
        browser.sendall(b"page")
        assert browser.recv(10) == b"page"
        host.drop() if end == "the host's" else link.connection.close()
        assert browser.recv(10) == b""
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive()
    assert not failed


# ---- what comes and isn't read yet


def test_pieces_come_out_in_order_and_no_larger_than_asked() -> None:
    inbox = Inbox()
    for piece in (b"abc", b"de", b"f"):
        inbox.feed(piece)
    assert len(inbox) == 6 and inbox.read_ready()
    assert [inbox.read(2), inbox.read(2), inbox.read(9), inbox.empty()] == [b"ab", b"c", b"de", b"f"]
    with pytest.raises(PipeTimeout):
        inbox.read(1, 0.01)
    inbox.close()
    assert inbox.read(1) == b"" and not inbox.read_ready()


def test_the_descriptor_of_what_has_come_before_it_was_asked_for() -> None:
    inbox = Inbox()
    inbox.feed(b"x")
    assert select.select([inbox], [], [], 0)[0]
    inbox.drop()
    inbox.feed(b"y")  # nothing is written into a descriptor that is closed
    assert inbox.read(2) == b"x" and inbox.fileno() == -1


# ---- the watch


class Wire:
    """A transport as the watch sees it: `answers` says whether a question brings a packet, `stuck` that sending blocks."""

    def __init__(self, answers: bool, stuck: bool = False) -> None:
        self.answers, self.stuck = answers, stuck
        self.asked = 0
        self.closed = threading.Event()
        self.packetizer = self
        self.arrived = threading.Semaphore(0)

    def is_active(self) -> bool:
        return not self.closed.is_set()

    def close(self) -> None:
        self.closed.set()

    def read_message(self) -> str:
        self.arrived.acquire()
        return "packet"

    def _send_user_message(self, message: Any) -> None:
        self.asked += 1
        if self.stuck:
            self.closed.wait(30)
        if self.answers:
            self.arrived.release()

    def reads(self) -> None:
        while True:
            self.packetizer.read_message()


def watched(wire: Wire) -> Watch:
    watch = Watch(cast(Transport, wire), beat=0.02)
    threading.Thread(target=wire.reads, daemon=True).start()
    return watch


def test_a_connection_that_answers_is_left_alone() -> None:
    wire = Wire(answers=True)
    watch = watched(wire)
    end = time.monotonic() + 20
    while wire.asked < 3 * MISSED:
        assert time.monotonic() < end and not watch.reason
        time.sleep(0.01)
    assert not wire.closed.is_set()
    watch.stop()


@pytest.mark.parametrize("stuck", (False, True))
def test_a_connection_that_does_not_answer_is_closed(stuck: bool) -> None:
    """Also where the question itself can't be sent."""
    wire = Wire(answers=False, stuck=stuck)
    watch = watched(wire)
    assert wire.closed.wait(10)
    assert wire.asked == (1 if stuck else MISSED - 1) and "has not answered" in watch.reason


def test_a_real_server_answers_the_question(host: SshServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It refuses the request, which is an answer."""
    monkeypatch.setattr("silverlining.host.ssh.link.Watch.__init__.__defaults__", (0.02,))
    with host.connection() as connection:
        link = Link(connection)
        end = time.monotonic() + 0.02 * MISSED * 5
        while time.monotonic() < end:
            link.check()
            time.sleep(0.02)
        link.close()


def test_small_packets_go_at_once(link: Link) -> None:
    assert link.transport.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert 15_000 <= link.transport.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) <= 25_000
