"""An SSH server inside the test: it shows the keys that it is given, lets one key or password in, and may be a gateway."""

from __future__ import annotations

import io
import queue
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import paramiko
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from paramiko import PKey, ServerInterface, Transport

USER, PASSWORD = "ann", "open-sesame"


def new_key(kind: str = "ed25519") -> PKey:
    """A private key of this type."""
    if kind == "rsa":
        return paramiko.RSAKey.generate(2048)
    made = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    return paramiko.Ed25519Key.from_private_key(io.StringIO(made.decode()))


def write_key(path: Path, passphrase: str = "") -> PKey:
    """Writes a new private key to a file."""
    cover = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    path.touch(0o600)
    path.write_bytes(Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, cover))
    return paramiko.Ed25519Key.from_private_key_file(str(path), passphrase or None)


class Rules(ServerInterface):
    """Who may come in, and that a gateway lets them through, whatever the host's name, to a port of this machine."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.waiting: queue.Queue[socket.socket] = queue.Queue()

    def get_allowed_auths(self, username: str) -> str:
        return "publickey,password" if self.server.password else "publickey"

    def check_auth_publickey(self, username: str, key: PKey) -> int:
        good = username == USER and key in self.server.users
        self.server.tried.append(username)
        return paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED

    def check_auth_password(self, username: str, password: str) -> int:
        good = self.server.password and (username, password) == (USER, PASSWORD)
        return paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def check_channel_direct_tcpip_request(self, chanid: int, origin: tuple[str, int], destination: tuple[str, int]) -> int:
        if not self.server.gateway:
            return paramiko.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED
        try:
            there = socket.create_connection(("127.0.0.1", destination[1]), timeout=5)
        except OSError:
            return paramiko.OPEN_FAILED_CONNECT_FAILED
        self.server.passed.append(destination)
        self.waiting.put(there)
        return paramiko.OPEN_SUCCEEDED


class Server:
    """Listens on a free port of 127.0.0.1 until it is closed."""

    def __init__(self, keys: Sequence[PKey], users: Sequence[PKey] = (), password: bool = False, gateway: bool = False) -> None:
        self.keys, self.users, self.password, self.gateway = list(keys), list(users), password, gateway
        self.tried: list[str] = []
        self.passed: list[tuple[str, int]] = []
        self.transports: list[Transport] = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                link, _address = self.socket.accept()
            except OSError:
                return
            transport = Transport(link)
            for key in self.keys:
                transport.add_server_key(key)
            self.transports.append(transport)
            rules = Rules(self)
            # Without an event this would wait for the client.
            transport.start_server(threading.Event(), rules)
            if self.gateway:
                threading.Thread(target=self._let_through, args=(transport, rules), daemon=True).start()

    @staticmethod
    def _let_through(transport: Transport, rules: Rules) -> None:
        while transport.is_active():
            if channel := transport.accept(1):
                there = rules.waiting.get()
                for source, sink in ((channel, there), (there, channel)):
                    threading.Thread(target=_pump, args=(source, sink), daemon=True).start()

    def close(self) -> None:
        """Ends it, and what is connected."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)  # or the thread that accepts would keep it open
        self.socket.close()
        for transport in self.transports:
            transport.close()


def _pump(source: socket.socket | paramiko.Channel, sink: socket.socket | paramiko.Channel) -> None:
    try:
        while data := source.recv(1 << 15):
            sink.sendall(data)
    except OSError:
        pass
    finally:
        sink.close()
