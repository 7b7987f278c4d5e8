"""What runs over Fabric's open connection beside its commands: sockets to the host's engine and ports, and the watch that finds it dead.

The channels are opened by a function written anew: paramiko's open_channel takes any kind of channel, but not what its request carries
(paramiko #544). It uses private names of paramiko 5.1, which is pinned; tests/unit/test_ssh_link.py sees whether they are still there.
"""

from __future__ import annotations

import logging
import shlex
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from paramiko import ChannelException, Message, Transport
from paramiko.common import OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED, cMSG_CHANNEL_OPEN, cMSG_GLOBAL_REQUEST

from ...model.errors import EngineError
from ...model.text import _
from .channel import ChannelSocket, OpenChannel

if TYPE_CHECKING:
    from fabric import Connection

WINDOW = 16 * 1024 * 1024  # bytes on the way: with 20 ms of round trip paramiko's 2 MB make a download three times slower
PACKET = 32_768
PATIENCE = 30  # seconds until a channel must be open
SESSION_TRIES, SESSION_WAIT = 5, 0.1  # seconds
BEAT = 4  # seconds without a sign of life until one is asked for
MISSED = 4  # beats without an answer until the connection counts as dead: it is found 16 to 20 s after its end


# Connects the program's input and output to a TCP port by what bash has of its own (Debian's and Ubuntu's do); it ends with either side.
CARRY = 'exec 3<>"/dev/tcp/$1/$2" 4<&0 || exit; cat <&4 >&3 & cat <&3 & wait -n; kill $(jobs -p) 2>/dev/null'


class LinkLost(EngineError):
    """The SSH connection has ended, or nothing comes over it any more."""

    def __init__(self, host: str, reason: str = "") -> None:
        what = _("the SSH connection to {host} is lost: {reason}") if reason else _("the SSH connection to {host} is lost")
        super().__init__(what.format(host=host, reason=reason), _("run the same command again: it goes on from what stands"))


class Refused(ConnectionRefusedError):
    """The host doesn't open a channel; as with a socket that nobody listens on, and sshd doesn't tell which it is."""


class NoSession(Refused):
    """The host opens no further session on this connection: sshd's MaxSessions."""


class Link:
    """The sockets over one connection of Fabric's. It is opened if it isn't open; it can be used by many threads at once."""

    def __init__(self, connection: Connection) -> None:
        if not connection.is_connected:
            connection.open()
        # paramiko reports each refused channel as an error of its own; whoever opens it gets one anyway.
        logging.getLogger("paramiko.transport").setLevel(logging.CRITICAL)
        self.host: str = connection.original_host
        self.connection = connection
        self.transport: Transport = connection.transport
        self.opened: Counter[str] = Counter()
        self.spares: list[Callable[[], bool]] = []  # each ends a session that is kept for later, if it has one
        self._no_tcp = False  # sshd forbids to forward TCP
        self._lock = threading.Lock()
        self._watch = Watch(self.transport)
        _tune(connection)

    # ---- its state

    @property
    def alive(self) -> bool:
        """Whether the connection stands, as far as is known: a dead one is found within 20 s."""
        return bool(self.transport.is_active())

    def check(self) -> None:
        """Raises LinkLost if the connection has ended."""
        if not self.alive:
            raise self.lost()

    def lost(self) -> LinkLost:
        """The error that says so, with the reason where one is known."""
        reason = self._watch.reason
        error = self.transport.saved_exception
        # A refused channel is kept there, too, however long ago that was: it has ended nothing.
        if not reason and error and not isinstance(error, ChannelException):
            reason = getattr(error, "strerror", None) or str(error)
        return LinkLost(self.host, reason)

    def close(self) -> None:
        """Ends the watch. The connection is Fabric's and stays open."""
        self._watch.stop()

    # ---- sockets

    def unix(self, path: str) -> ChannelSocket:
        """A connection to a Unix socket of the host. Doesn't count against sshd's MaxSessions. Raises Refused or LinkLost."""
        request = Message()
        request.add_string(path)
        request.add_string("")
        request.add_int(0)
        return self._socket("unix", self._open("direct-streamlocal@openssh.com", request, path))

    def tcp(self, host: str, port: int) -> ChannelSocket:
        """A connection to a TCP port as the host sees it, forwarded by sshd; doesn't count against its MaxSessions. Raises Refused or LinkLost.

        Where sshd forbids that (AllowTcpForwarding, DisableForwarding, PermitOpen), a program there carries it. That is a session, ends as a
        whole when one side has ended its own half, and just ends where nobody listens.
        """
        if not self._no_tcp:
            try:
                return self._forwarded(host, port)
            except Refused:
                # Of all that OpenSSH refuses only this has that number (server_input_channel_open in its serverloop.c).
                error = self.transport.saved_exception
                self._no_tcp = isinstance(error, ChannelException) and error.code == OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED
                if not self._no_tcp:
                    raise
        return self.process(shlex.join(["bash", "-c", CARRY, "carry", host, str(port)]))

    def _forwarded(self, host: str, port: int) -> ChannelSocket:
        request = Message()
        request.add_string(host)
        request.add_int(port)
        request.add_string("127.0.0.1")  # who asks: for sshd's log only
        request.add_int(0)
        return self._socket("tcp", self._open("direct-tcpip", request, f"{host}:{port}"))

    def process(self, command: str, password: str | None = None) -> ChannelSocket:
        """A program on the host, whose standard input and output are the connection; one session of sshd's MaxSessions.

        `password` is its first line of input: `sudo -S` takes no more than that. Raises Refused or LinkLost.
        """
        channel = self._session()
        try:
            channel.exec_command(command)
        except Exception as error:
            channel.close()
            self.check()
            raise Refused(_("{host} doesn't run {command}: {error}").format(host=self.host, command=command, error=error)) from None
        made = self._socket("process", channel)
        if password is not None:
            with suppress(BrokenPipeError):  # it has ended already: whoever reads gets the end, and its words say why
                made.sendall(password.encode() + b"\n")
        return made

    def make_room(self) -> bool:
        """Ends a session that is kept for later; gives whether there was one. sshd counts it for a moment more."""
        return any(spare() for spare in self.spares)

    def _session(self) -> OpenChannel:
        """A channel for a command. Tries again: another one is ended where it is only kept, and sshd counts an ended one for a moment more."""
        for _again in range(SESSION_TRIES):
            with suppress(Refused):
                return self._open("session", Message(), _("a command"))
            self.make_room()
            time.sleep(SESSION_WAIT)
        try:
            return self._open("session", Message(), _("a command"))
        except Refused as error:
            raise NoSession(*error.args) from None

    def run(self, script: str, timeout: float = PATIENCE, given: bytes = b"") -> tuple[int, str, str]:
        """Runs a few lines of POSIX shell on the host, whatever the user's own shell; gives exit code, output and errors.

        `given` is their standard input.

        Raises Refused, LinkLost, or TimeoutError when nothing comes for `timeout` seconds.
        """
        with self.process(f"sh -c {shlex.quote(script)}") as made:
            made.settimeout(timeout)
            with suppress(BrokenPipeError):  # they have ended without reading it
                made.sendall(given)
            made.shutdown(socket.SHUT_WR)
            output = b""
            while piece := made.recv(PACKET):
                output += piece
            errors = made.words()
            made.channel.status_event.wait(timeout)
            return made.channel.exit_status, output.decode(errors="replace"), errors

    def _socket(self, kind: str, channel: OpenChannel) -> ChannelSocket:
        with self._lock:
            self.opened[kind] += 1
        return ChannelSocket(channel, self.lost)

    def _open(self, kind: str, request: Message, target: str) -> OpenChannel:
        """As Transport.open_channel, with what the request carries."""
        self.check()
        transport: Any = self.transport
        with transport.lock:
            number = transport._next_channel()
            message = Message()
            message.add_byte(cMSG_CHANNEL_OPEN)
            message.add_string(kind)
            message.add_int(number)
            message.add_int(WINDOW)
            message.add_int(PACKET)
            message.add_bytes(request.asbytes())
            channel = OpenChannel(number)
            opened = threading.Event()
            transport._channels.put(number, channel)
            transport.channel_events[number] = opened
            transport.channels_seen[number] = True
            channel._set_transport(transport)  # type: ignore[attr-defined]
            channel._set_window(WINDOW, PACKET)  # type: ignore[attr-defined]
        transport._send_user_message(message)
        deadline = time.monotonic() + PATIENCE
        # The event is also set when the connection ends; one that ended before this channel was known doesn't set it.
        while not opened.wait(1) and transport.is_active() and time.monotonic() < deadline:
            pass
        self.check()
        if not channel.active:
            with transport.lock:
                transport.channel_events.pop(number, None)
                transport._channels.delete(number)
            raise Refused(_("sshd on {host} opens no channel for {target}").format(host=self.host, target=target))
        return channel


class Watch:
    """Finds a connection over which nothing comes any more, and closes it: then everything that waits on it ends.

    It notes each packet that comes, and asks for one (`keepalive@openssh.com`, which sshd refuses: an answer like any other) after a beat of
    silence. paramiko's own keepalive asks for no answer, and its global_request waits for one without end. Beats are counted, not
    seconds: a process that was stopped for a while doesn't take that for the other side's silence.
    """

    def __init__(self, transport: Transport, beat: float = BEAT) -> None:
        self.reason = ""
        self._transport = transport
        self._beat = beat
        self._heard = False
        self._stopped = threading.Event()
        self._asking: threading.Thread | None = None
        packets: Any = transport.packetizer
        read = packets.read_message

        def noted() -> Any:
            packet = read()
            self._heard = True
            return packet

        packets.read_message = noted
        threading.Thread(target=self._run, name="ssh watch", daemon=True).start()

    def stop(self) -> None:
        """Ends the watch."""
        self._stopped.set()

    def _run(self) -> None:
        missed = 0
        while not self._stopped.wait(self._beat) and self._transport.is_active():
            if self._heard:
                self._heard, missed = False, 0
                continue
            missed += 1
            if missed >= MISSED:
                self.reason = _("it has not answered for {seconds:.0f} s").format(seconds=missed * self._beat)
                self._transport.close()
                return
            # In a thread of its own: where the connection is dead, sending may block, and behind another sender it does.
            if self._asking is None or not self._asking.is_alive():
                self._asking = threading.Thread(target=self._ask, name="ssh keepalive", daemon=True)
                self._asking.start()

    def _ask(self) -> None:
        message = Message()
        message.add_byte(cMSG_GLOBAL_REQUEST)
        message.add_string("keepalive@openssh.com")
        message.add_boolean(True)
        with suppress(Exception):  # the connection has ended meanwhile
            self._transport._send_user_message(message)  # type: ignore[attr-defined]


def _tune(connection: Connection) -> None:
    """Sets what paramiko does not: small packets go at once, and the kernel gives up a dead connection. Behind gateways, on the first one."""
    one: Any = connection
    while one is not None and hasattr(one, "transport"):
        sock = one.transport.sock if one.transport else None
        if isinstance(sock, socket.socket):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, BEAT * (MISSED + 1) * 1000)
        one = one.gateway
