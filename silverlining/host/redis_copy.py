"""A Redis data set outside its node: taken from a running master as an RDB, and opened in a Redis of its own that others can copy from."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from ..model import labels
from ..model.errors import Unhealthy
from ..model.text import _
from .exec import demand, execute, last_lines, pause
from .helpers import sweep
from .redis_facts import redis_fields

NAME = "redis.rdb"
HELPER = "redis-copy"
MAGIC = b"REDIS"
# The password goes from the secrets into a file inside, never onto a command line. Nothing is written to disk but what was put there.
# Whoever made it may have been killed: it ends by itself.
SCRIPT = """set -eu
. /usr/local/lib/redis-common.sh
{ echo "requirepass $(quoted_password)"; echo 'repl-diskless-sync-delay 0'; } > /tmp/copy.conf
exec timeout 900 redis-server /tmp/copy.conf --dir /data --dbfilename redis.rdb --appendonly no --save '' --loglevel warning
"""


def take(client: Any, master: str, file: IO[bytes]) -> None:
    """Writes the master's data set, as it is at one moment, into `file`; hits go on meanwhile. Raises Unhealthy.

    redis-cli asks for it as a replica would: the master forks, and nothing is written to its disk.
    """
    made = client.exec_create(master, ["redis-ask", "--rdb", "-"])
    said = b""
    for out, err in client.exec_start(made["Id"], stream=True, demux=True):
        if out:
            file.write(out)
        said = (said + (err or b""))[-2000:]
    code = client.exec_inspect(made["Id"])["ExitCode"]
    file.flush()
    file.seek(0)
    magic = file.read(len(MAGIC))
    file.seek(0)
    if code != 0 or magic != MAGIC:
        words = said.decode(errors="replace").strip().splitlines()
        raise Unhealthy(
            _("{master} gave no snapshot of its data: {words}").format(master=master, words=words[-1] if words else code), _("invoke status")
        )


class Copy:
    """A data set that is open in a Redis of its own: a helper container."""

    def __init__(self, client: Any, container: str, network: str) -> None:
        self.client, self.container, self._network = client, container, network

    @property
    def address(self) -> str:
        """Its address on the stack's network."""
        return str(self.client.inspect_container(self.container)["NetworkSettings"]["Networks"][self._network]["IPAddress"])

    def counter(self) -> int:
        """The number of hits in it."""
        return counter(self.client, self.container)

    def keys(self) -> int:
        """How many keys it has, in all databases."""
        return keys(self.client, self.container)


@contextmanager
def opened(client: Any, stack: str, image: str, rdb: IO[bytes], size: int, deadline: float, network: str = "none") -> Iterator[Copy]:
    """Opens an RDB of `size` bytes in a helper container of the Redis `image`, which goes afterwards. Raises Unhealthy if Redis can't read it."""
    from docker.types import Mount

    sweep(client, stack)
    secrets = Mount("/secrets", f"{stack}-secrets", type="volume", read_only=True)
    config = client.create_host_config(network_mode=network, mounts=[secrets], cap_drop=["ALL"], security_opt=["no-new-privileges"])
    made = client.create_container(
        image,
        ["sh", "-c", SCRIPT],
        host_config=config,
        labels={labels.STACK: stack, labels.HELPER: HELPER},
        entrypoint=[],
        user="999:999",
        healthcheck={"test": ["NONE"]},
    )
    try:
        client.put_archive(made["Id"], "/data", _tar(rdb, size))
        client.start(made["Id"])
        _await_open(client, made["Id"], deadline)
        yield Copy(client, made["Id"], network)
    finally:
        client.remove_container(made["Id"], force=True, v=True)


def _tar(rdb: IO[bytes], size: int) -> Iterator[bytes]:
    """The RDB as a tar, in pieces."""
    entry = tarfile.TarInfo(NAME)
    entry.size, entry.mode, entry.uid, entry.gid = size, 0o600, 999, 999
    yield entry.tobuf(tarfile.GNU_FORMAT)
    rdb.seek(0)
    while data := rdb.read(1 << 20):
        yield data
    yield b"\0" * (-size % tarfile.BLOCKSIZE + 2 * tarfile.BLOCKSIZE)


def _await_open(client: Any, container: str, deadline: float) -> None:
    end = time.monotonic() + deadline
    while execute(client, container, ("redis-ask", "ping")).text != "PONG":
        running = client.inspect_container(container)["State"]["Running"]
        if not running or not pause(0.05, end):
            raise Unhealthy(
                _("Redis can't open the data:\n{log}").format(log=last_lines(client, container)), _("take another backup, or a newer Redis image")
            )


def counter(client: Any, node: str) -> int:
    """The number of hits that a node has."""
    text = demand(client, node, "redis-ask", "get", "count").strip()
    return int(text) if text.isdigit() else 0


def keys(client: Any, node: str) -> int:
    """How many keys a node has, in all databases."""
    facts = redis_fields(demand(client, node, "redis-ask", "info", "keyspace"))
    return sum(int(value.split(",")[0].removeprefix("keys=")) for name, value in facts.items() if name.startswith("db"))


def version(client: Any, node: str) -> str:
    """The version of a node's Redis."""
    return redis_fields(demand(client, node, "redis-ask", "info", "server")).get("redis_version", "")


def read_all(pieces: Iterator[bytes]) -> Iterator[tuple[str, IO[bytes]]]:
    """(name, file) of each member of a tar that comes in pieces; a file is good until the next is asked for."""
    with tarfile.open(fileobj=_Pieces(pieces), mode="r|") as tar:
        for member in tar:
            if file := tar.extractfile(member):
                yield member.name, file


class _Pieces(io.RawIOBase):
    """A stream made of pieces."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._left = pieces, b""

    def read(self, size: int = -1) -> bytes:
        """The next `size` bytes."""
        while size < 0 or len(self._left) < size:
            piece = next(self._pieces, b"")
            if not piece:
                break
            self._left += piece
        size = len(self._left) if size < 0 else size
        out, self._left = self._left[:size], self._left[size:]
        return out
