"""Small servers on real sockets that give one answer to everything: engines and what is no engine."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import TCPServer, ThreadingMixIn, UnixStreamServer
from typing import Any


class Server:
    """What a server was asked, and where it is."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.asked: list[str] = []


@contextmanager
def serve(kind: Any, at: Any, name: Callable[[Any], str], body: bytes, status: int = 200) -> Iterator[Server]:
    """A server that gives one answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.asked.append(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: Any) -> None:
            """Keeps quiet."""

        def address_string(self) -> str:
            return ""

    class Threaded(ThreadingMixIn, kind):  # type: ignore[misc]
        daemon_threads = True

        def handle_error(self, *words: Any) -> None:
            """A client that speaks TLS to it is expected."""

    with Threaded(at, Handler) as made:
        server = Server(name(made))
        threading.Thread(target=made.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield server
        finally:
            made.shutdown()


def unix(folder: Path, answer: object) -> Any:
    """A server on a Unix socket that answers with JSON."""
    path = str(folder / "docker.sock")
    return serve(UnixStreamServer, path, lambda made: f"unix://{path}", json.dumps(answer).encode())


def tcp(body: bytes, status: int = 200) -> Any:
    """A server on a TCP port of the loopback."""
    return serve(TCPServer, ("127.0.0.1", 0), lambda made: f"tcp://127.0.0.1:{made.server_address[1]}", body, status)
