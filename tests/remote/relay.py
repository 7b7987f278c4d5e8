"""A TCP relay that makes the way to a host longer, cuts it, or lets it fall silent: this machine's kernel has no netem."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

CHUNK = 1 << 16
RESET = struct.pack("ii", 1, 0)


class Relay:
    """Listens on `listen`:`port` (0 takes a free one) and hands each connection on to `target` while the block runs.

    `round_trip` are the seconds that an answer takes more than without the relay, half of them each way; throughput stays as it is.
    """

    def __init__(self, target: tuple[str, int], round_trip: float = 0.0, listen: str = "127.0.0.1", port: int = 0) -> None:
        self._target, self._delay = target, round_trip / 2
        self._listener = socket.create_server((listen, port))
        self.address, self.port = self._listener.getsockname()[:2]
        self.accepted = 0
        self._open: dict[StreamWriter, StreamWriter] = {}
        self._loop = asyncio.new_event_loop()
        self._flows = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay", daemon=True)

    def __enter__(self) -> Relay:
        self._thread.start()
        self._do(self._start())
        return self

    def __exit__(self, *_error: object) -> None:
        self._do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def open(self) -> int:
        """How many connections stand."""
        return len(self._open)

    def cut(self) -> int:
        """Resets every connection that stands, on both sides; gives their number. New ones are served."""
        return int(self._call(self._reset))

    def freeze(self) -> None:
        """Nothing is handed on any more and nothing is closed, until `thaw`; new connections are accepted and hear nothing.

        Each side's kernel still gets its packets acknowledged, up to a full window: who wants packets to vanish takes RemoteHost.cut_off.
        """
        self._call(self._flows.clear)

    def thaw(self) -> None:
        """What was held back is handed on."""
        self._call(self._flows.set)

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def _call(self, function: Callable[[], Any]) -> Any:
        async def call() -> Any:
            return function()

        return self._do(call())

    async def _start(self) -> None:
        self._flows.set()
        self._server = await asyncio.start_server(self._serve, sock=self._listener)

    async def _stop(self) -> None:
        self._server.close()
        self._reset()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _reset(self) -> int:
        pairs = list(self._open.items())
        for pair in pairs:
            for writer in pair:
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                writer.transport.abort()
        return len(pairs)

    async def _serve(self, near_in: StreamReader, near_out: StreamWriter) -> None:
        self.accepted += 1
        await self._flows.wait()
        try:
            far_in, far_out = await asyncio.open_connection(*self._target)
        except OSError:
            near_out.transport.abort()
            return
        self._open[near_out] = far_out
        try:
            await asyncio.gather(self._flow(near_in, far_out), self._flow(far_in, near_out))
        finally:
            del self._open[near_out]
            for writer in (near_out, far_out):
                writer.close()

    async def _flow(self, source: StreamReader, sink: StreamWriter) -> None:
        """One direction: each piece is kept until its time; the end of a stream is handed on as that."""
        kept: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(maxsize=1024)
        reading = asyncio.ensure_future(self._keep(source, kept))
        try:
            while True:
                due, data = await kept.get()
                await asyncio.sleep(due - self._loop.time())
                await self._flows.wait()
                if not data:
                    break
                sink.write(data)
                await sink.drain()
            if sink.can_write_eof():
                sink.write_eof()
        except OSError:
            pass  # the other side has gone: its own direction ends as well
        finally:
            reading.cancel()

    async def _keep(self, source: StreamReader, kept: asyncio.Queue[tuple[float, bytes]]) -> None:
        data = b"-"
        while data:
            await self._flows.wait()
            data = b""
            with suppress(OSError):
                data = await source.read(CHUNK)
            await kept.put((self._loop.time() + self._delay, data))
