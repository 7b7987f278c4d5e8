"""An SSH server in this process, with its own rules: which sockets it forwards, which commands it runs, how many sessions it allows."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import fabric
from paramiko import Channel, Message, RSAKey, ServerInterface, Transport
from paramiko.common import (
    AUTH_SUCCESSFUL,
    MSG_CHANNEL_OPEN,
    OPEN_FAILED_CONNECT_FAILED,
    OPEN_SUCCEEDED,
    cMSG_CHANNEL_SUCCESS,
)

STREAMLOCAL = "direct-streamlocal@openssh.com"
KEY = RSAKey.generate(2048)


@dataclass
class Program:
    """What a command does: writes `out` and `err` and exits with `code`, or with `socket` connects its input and output to that.

    With `real` it is run here, by sh, as sshd does: its input ends when the channel does.
    """

    out: bytes = b""
    err: bytes = b""
    code: int = 0
    socket: str = ""
    password: str | None = None  # the line that must come first
    real: bool = False


@dataclass
class SshServer:
    """A host. `forwards`: the Unix sockets that are forwarded; `programs`: what the first of them whose words are in a command does."""

    forwards: dict[str, str] = field(default_factory=dict)
    programs: dict[str, Program] = field(default_factory=dict)
    sessions: int = 10
    commands: list[str] = field(default_factory=list)
    most: int = 0  # sessions that were open at once
    port: int = 0
    transports: list[Transport] = field(default_factory=list)

    def connection(self, **more: Any) -> fabric.Connection:
        """Fabric's connection to it, not open."""
        kwargs = {"password": "any", "look_for_keys": False, "allow_agent": False}
        return fabric.Connection("127.0.0.1", user="someone", port=self.port, config=fabric.Config(lazy=True, **more), connect_kwargs=kwargs)

    def drop(self) -> None:
        """Ends all connections without a word, as when sshd's process is killed."""
        for transport in self.transports:
            transport.sock.shutdown(socket.SHUT_RDWR)


@contextmanager
def served(server: SshServer) -> Iterator[SshServer]:
    """Listens on a port of the loopback while the block runs."""
    listener = socket.create_server(("127.0.0.1", 0))
    server.port = listener.getsockname()[1]
    threading.Thread(target=_accept, args=(server, listener), daemon=True).start()
    try:
        yield server
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for transport in server.transports:
            transport.close()


def _accept(server: SshServer, listener: socket.socket) -> None:
    while True:
        try:
            client, _address = listener.accept()
        except OSError:
            return
        transport = Transport(client)
        transport.add_server_key(KEY)
        server.transports.append(transport)
        threading.Thread(target=_serve, args=(server, transport), daemon=True).start()


def _serve(server: SshServer, transport: Transport) -> None:
    rules = _Rules(server)
    # paramiko doesn't read what a request of this kind carries.
    opened = transport._handler_table[MSG_CHANNEL_OPEN]

    def noted(m: Message) -> None:
        copy = Message(m.get_remainder())
        kind, _number, _window, _packet = copy.get_text(), copy.get_int(), copy.get_int(), copy.get_int()
        rules.path = copy.get_text() if kind == STREAMLOCAL else ""
        opened(m)

    transport._handler_table[MSG_CHANNEL_OPEN] = noted
    with suppress(EOFError):
        transport.start_server(server=rules)
    kept = []  # paramiko closes a channel that nobody holds
    while transport.is_active():
        channel = transport.accept(1)
        kept.append(channel)
        if channel is not None and (path := rules.paths.get(channel.get_id())):
            threading.Thread(target=_bridge, args=(channel, path), daemon=True).start()


class _Rules(ServerInterface):
    def __init__(self, server: SshServer) -> None:
        self.server = server
        self.path = ""
        self.paths: dict[int, str] = {}
        self.open = 0

    def check_auth_password(self, username: str, password: str) -> int:
        return AUTH_SUCCESSFUL

    def get_allowed_auths(self, username: str) -> str:
        return "password"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        if kind == STREAMLOCAL and self.path in self.server.forwards:
            self.paths[chanid] = self.server.forwards[self.path]
            return OPEN_SUCCEEDED
        if kind == "session" and self.open < self.server.sessions:
            self.open += 1
            self.server.most = max(self.server.most, self.open)
            return OPEN_SUCCEEDED
        return OPEN_FAILED_CONNECT_FAILED  # what OpenSSH answers, whatever the reason

    def check_channel_exec_request(self, channel: Channel, command: bytes) -> bool:
        line = command.decode()
        self.server.commands.append(line)
        program = next((made for words, made in self.server.programs.items() if words in line), Program(err=b"sh: not found", code=127))
        # paramiko says yes after this function only, when the program may have ended already. A second yes does no harm.
        yes = Message()
        yes.add_byte(cMSG_CHANNEL_SUCCESS)
        yes.add_int(channel.remote_chanid)
        channel.transport._send_user_message(yes)
        run = self._run_really if program.real else self._run
        threading.Thread(target=run, args=(channel, replace(program, out=command) if program.real else program), daemon=True).start()
        return True

    def _run_really(self, channel: Channel, program: Program) -> None:
        pipe = subprocess.PIPE
        with subprocess.Popen(["sh", "-c", program.out], stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0) as process:
            ways: tuple[Any, ...] = (
                (channel.recv, process.stdin.write, process.stdin.close),  # type: ignore[union-attr]
                (process.stdout.read, channel.sendall, lambda: None),  # type: ignore[union-attr]
                (process.stderr.read, channel.sendall_stderr, lambda: None),  # type: ignore[union-attr]
            )
            threads = [threading.Thread(target=_pump, args=way, daemon=True) for way in ways]
            for thread in threads:
                thread.start()
            code = process.wait()
            for thread in threads[1:]:
                thread.join()
            with suppress(OSError, EOFError):
                channel.send_exit_status(code)
            self.open -= 1
            with suppress(OSError, EOFError):
                channel.close()
            threads[0].join()

    def _run(self, channel: Channel, program: Program) -> None:
        said = b""
        while program.password is not None and not said.endswith(b"\n") and (byte := channel.recv(1)):
            said += byte
        if program.password is not None and said.decode() != f"{program.password}\n":
            program = Program(err=b"sudo: 1 incorrect password attempt\n", code=1)
        if program.socket:
            _bridge(channel, program.socket, close=False)
        with suppress(OSError, EOFError):
            channel.sendall(program.out)
            channel.sendall_stderr(program.err)
            channel.send_exit_status(program.code)
        self.open -= 1
        with suppress(OSError, EOFError):
            channel.close()


def _bridge(channel: Channel, path: str, close: bool = True) -> None:
    """Carries bytes between a channel and a Unix socket until both have ended."""
    there = socket.socket(socket.AF_UNIX)
    try:
        there.connect(path)
    except OSError:
        channel.close()
        return
    back = threading.Thread(target=_pump, args=(there.recv, channel.sendall, channel.shutdown_write), daemon=True)
    back.start()
    _pump(channel.recv, there.sendall, lambda: there.shutdown(socket.SHUT_WR))
    back.join()
    there.close()
    if close:
        channel.close()


def _pump(read: Callable[[int], bytes], write: Callable[[bytes], None], end: Callable[[], None]) -> None:
    with suppress(OSError, EOFError):
        while data := read(65536):
            write(data)
    with suppress(OSError, EOFError):
        end()
