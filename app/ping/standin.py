"""For tests: a few lines of a real socket server that answer like Redis, or like a Sentinel."""

import socketserver

from ping.masters import Address

PASSWORD = "not a secret"


class Node(socketserver.ThreadingTCPServer):
    """Answers like Redis, or like a Sentinel, from a table; keeps what it was asked."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Talk)
        self.asked: list[list[str]] = []
        self.number = 0
        self.role = "master"
        self.silent = False
        self.refusals: list[str] = []
        self.state: dict[str, object] = {}
        self.address = Address(*self.server_address[:2])

    def believe(self, master: Address, epoch: int, flags: str = "master") -> None:
        """Make it a Sentinel that holds this to be the master."""
        self.state = {"name": "master", "ip": master.host, "port": master.port, "flags": flags, "config-epoch": epoch}

    def reply(self, words: list[str]) -> str:
        command = words[0].upper()
        if command == "AUTH":
            return "+OK" if words[1] == PASSWORD else "-WRONGPASS invalid username-password pair"
        self.asked.append(words)
        if self.refusals:
            return "-" + self.refusals.pop(0)
        if command == "INCR":
            self.number += 1
            return f":{self.number}"
        if command == "ROLE":
            return f"*1\r\n${len(self.role)}\r\n{self.role}"
        items = [str(item) for pair in self.state.items() for item in pair]
        return "\r\n".join([f"*{len(items)}", *(f"${len(item)}\r\n{item}" for item in items)])


class Talk(socketserver.StreamRequestHandler):
    server: Node

    def handle(self) -> None:
        while head := self.rfile.readline():
            words = []
            for _ in range(int(head[1:])):
                size = int(self.rfile.readline()[1:])
                words.append(self.rfile.read(size + 2)[:-2].decode())
            if self.server.silent:
                continue
            self.wfile.write(f"{self.server.reply(words)}\r\n".encode())
