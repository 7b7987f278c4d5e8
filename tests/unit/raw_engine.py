"""An engine on a Unix socket that answers byte for byte as Docker's does where that is tricky: hijacked, chunked and endless answers."""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingMixIn, UnixStreamServer

VERSION = {"Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12", "Os": "linux"}
UPGRADED = b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


def frame(text: bytes, stream: int = 1) -> bytes:
    """A piece of a container's output."""
    return struct.pack(">BxxxL", stream, len(text)) + text


def chunk(text: bytes) -> bytes:
    """A piece of a chunked answer."""
    return b"%x\r\n%b\r\n" % (len(text), text)


class RawEngine:
    """`go` lets endless answers go on; `bodies` are what was uploaded; `connections` how many were opened."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.go = threading.Event()
        self.bodies: list[bytes] = []
        self.asked: list[str] = []
        self.connections = 0
        self.closed = threading.Semaphore(0)


@contextmanager
def raw_engine(folder: Path) -> Iterator[RawEngine]:
    """Serves while the block runs."""
    engine = RawEngine(str(folder / "engine.sock"))

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            engine.connections += 1
            while self.answer():
                pass
            engine.closed.release()

        def answer(self) -> bool:
            line = self.rfile.readline().decode().split()
            if not line:
                return False
            headers = {}
            while (header := self.rfile.readline().decode().strip()) != "":
                name, _colon, value = header.partition(":")
                headers[name.lower()] = value.strip()
            method, path = line[0], line[1]
            engine.asked.append(f"{method} {path}")
            body = self.body(headers)
            if path.endswith("/start") and "/exec/" in path:
                # All in one piece: who reads more than the head loses output.
                self.wfile.write(UPGRADED + frame(b"hello ") + frame(b"world\n"))
                return False
            if "/attach" in path:
                self.wfile.write(UPGRADED)
                while data := self.connection.recv(4096):
                    self.wfile.write(data)
                return False
            if "/events" in path or "follow=1" in path:
                self.wfile.write(CHUNKED + chunk(b'{"n": 1}' if "/events" in path else frame(b"one\n")))
                engine.go.wait(30)
                self.wfile.write(chunk(b'{"n": 2}' if "/events" in path else frame(b"two\n")) + chunk(b""))
                return True
            if "/wait" in path:
                engine.go.wait(30)
            if "/archive" in path and method == "GET":
                size = 3_000_000
                stat = "eyJuYW1lIjoiYSIsInNpemUiOjN9"  # {"name":"a","size":3}
                self.wfile.write(f"HTTP/1.1 200 OK\r\nX-Docker-Container-Path-Stat: {stat}\r\n".encode() + b"Transfer-Encoding: chunked\r\n\r\n")
                for _piece in range(3):
                    self.wfile.write(chunk(b"x" * (size // 3)))
                self.wfile.write(chunk(b""))
                return True
            if method in ("PUT", "POST"):
                engine.bodies.append(body)
            answer: object = VERSION if path.endswith("/version") else {"Id": "x", "Config": {"Tty": False}, "path": path}
            data = b"OK" if path.endswith("/_ping") else json.dumps(answer).encode()
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(data) + data)
            return True

        def body(self, headers: dict[str, str]) -> bytes:
            if "content-length" in headers:
                return self.rfile.read(int(headers["content-length"]))
            data = b""
            while headers.get("transfer-encoding") == "chunked":
                size = int(self.rfile.readline(), 16)
                data += self.rfile.read(size)
                self.rfile.readline()
                if not size:
                    break
            return data

    class Threaded(ThreadingMixIn, UnixStreamServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, *words: object) -> None:
            """A client that goes in the middle is expected."""

    with Threaded(engine.path, Handler) as made:
        threading.Thread(target=made.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield engine
        finally:
            engine.go.set()
            made.shutdown()
