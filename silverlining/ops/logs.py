"""The logs of a stack's containers side by side, in order of time; with `follow` also what comes, from containers that come too.

What is there is read from all containers at once and merged as it is read, whatever its size. What comes is read by a thread for each
container, and the engine's events tell of containers that start and end. All streams are closed at the end, and with them their threads end.
Where only a few streams can be open at once (an engine behind sshd's MaxSessions), the logs are read whole, and again and again.
"""

from __future__ import annotations

import heapq
import logging
import queue
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from ..console.columns import Columns
from ..host.clock import engine_time
from ..model import labels, logs
from ..model.errors import EngineError
from ..model.logs import NANO, Assembler, Line, Merger
from ..model.observed import SeenContainer
from ..model.text import _
from .desk import Desk
from .standing import chosen

HOLD = 0.25  # seconds: longer than one container's line may come behind another's
BEAT = 0.1
ENDING = 5
AT_ONCE = 1000
MOST = 10_000
POLL = 1.0  # seconds between two readings of a log that is not streamed
AT_A_TIME = 1000  # lines of one such reading
ENOUGH = 100  # streams at once, for any stack


def show_logs(desk: Desk, services: Iterable[str], *, follow: bool = False, since: str = "", tail: str = "", timestamps: bool = False) -> None:
    """Shows the logs of `services` (all without any). A reader who has gone, and Ctrl-C, end it and are no error. Raises SilverliningError."""
    # A stack of many containers has more streams than the client keeps connections: it says so for each that it doesn't keep.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    client = desk.host.client
    names = [name.strip() for text in services for name in text.split(",") if name.strip()]
    last = logs.tail(tail, everything=bool(since))
    now = engine_time(client)
    start = logs.since(since, now) if since else 0
    containers = chosen(desk, names)
    with suppress(KeyboardInterrupt):
        reader = Reader(desk, containers, timestamps)
        reader.history(start, last)
        if follow and not desk.voice.deserted():
            reader.follow({c.service for c in containers} if names else None, now)


class Reader:
    """Reads logs and writes them. `seen` is the time of the last line of each container, by id."""

    def __init__(self, desk: Desk, containers: tuple[SeenContainer, ...], timestamps: bool) -> None:
        self.desk, self.client, self.voice = desk, desk.host.client, desk.voice
        self.containers, self.timestamps = containers, timestamps
        self.streams = desk.host.engine.streams >= ENOUGH
        self.columns = Columns(self.voice, [self._short(c.name) for c in containers])
        self.seen: dict[str, int] = {}
        self._queue: queue.Queue[tuple[str, Any]] = queue.Queue(MOST)
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._streams: list[Any] = []
        self._threads: dict[str, threading.Thread] = {}

    def _short(self, name: str) -> str:
        return name.removeprefix(f"{self.desk.settings.stack}-")

    def write(self, line: Line) -> None:
        """One line, with the name of its container."""
        stamp = f"{logs.written(line.stamp)} " if self.timestamps else ""
        self.columns.write(line.container, stamp + line.text, line.note)

    # ---- what is there

    def history(self, start: int, last: int | str) -> None:
        """What the containers have written from `start` on: the `last` lines of each."""
        with ExitStack() as stack:
            with ThreadPoolExecutor(16) as pool:
                opened = list(pool.map(lambda c: self._open(c.id, start, last), self.containers))
            for stream in opened:
                stack.callback(close, stream)
            for line in heapq.merge(*(self._lines(c, s, start) for c, s in zip(self.containers, opened, strict=True)), key=lambda line: line.stamp):
                self.write(line)
                if self.voice.quiet:
                    return

    def _open(self, identity: str, start: int, last: int | str, follow: bool = False) -> Any:
        """The engine's stream of a container's log; an empty one for a container that has gone."""
        from docker.errors import NotFound

        try:
            # Whole seconds: what is too much is left out by its exact time.
            read = self.client.logs(identity, stream=self.streams, timestamps=True, follow=follow, tail=last, since=start // NANO or None)
        except NotFound:
            return iter(())
        return read if self.streams else iter((read,))

    def _lines(self, c: SeenContainer, stream: Any, start: int) -> Iterator[Line]:
        for line in assembled(Assembler(self._short(c.name)), stream):
            self.seen[c.id] = max(line.stamp, self.seen.get(c.id, 0))
            if line.stamp >= start:
                yield line

    # ---- what comes

    def follow(self, services: set[str] | None, now: int) -> None:
        """What comes after `history`, until nobody reads any more. `now` is the engine's time before it. Raises EngineError if the engine goes."""
        merger = Merger(HOLD if self.streams else HOLD + POLL)
        with self._threads_that_end():
            self._start("events", self._watch, services, now)
            for c in self.containers:
                if c.state in ("running", "paused", "restarting"):
                    self._start(c.id, self._listen, c.id, c.name, self.seen.get(c.id, now))
            while not self.voice.deserted():
                with suppress(queue.Empty):
                    self._take(*self._queue.get(timeout=BEAT), merger, now)
                    for _more in range(AT_ONCE):
                        self._take(*self._queue.get_nowait(), merger, now)
                for line in merger.ready(time.monotonic()):
                    self.write(line)

    def _take(self, kind: str, what: Any, merger: Merger, now: int) -> None:
        if kind == "error":
            raise what
        if kind == "line":
            merger.push(what, time.monotonic())
        elif kind == "event":
            at, identity, name = int(what["timeNano"]), what["Actor"]["ID"], self._name_in(what)
            if at <= now or what["Action"] not in ("start", "die"):
                return  # it is in the history already
            if what["Action"] == "die":
                code = what["Actor"]["Attributes"].get("exitCode", "?")
                merger.push(Line(at, name, _("ended with exit code {code}").format(code=code), note=True), time.monotonic())
                return
            if (before := self._threads.pop(identity, None)) and before.is_alive():
                before.join(ENDING)
            merger.push(Line(at, name, _("started"), note=True), time.monotonic())
            self._start(identity, self._listen, identity, name, self.seen.get(identity, 0))

    def _name_in(self, event: dict[str, Any]) -> str:
        return self._short(event["Actor"]["Attributes"].get("name", event["Actor"]["ID"][:12]))

    def _start(self, key: str, work: Any, *words: Any) -> None:
        thread = threading.Thread(target=self._guarded, args=(work, *words), daemon=True, name=f"logs {key[:12]}")
        self._threads[key] = thread
        thread.start()

    def _guarded(self, work: Any, *words: Any) -> None:
        try:
            work(*words)
        except Exception as error:
            self._put("error", error)

    def _put(self, kind: str, what: Any) -> None:
        """Hands something to the one who writes, who may be slow; nothing when that one has ended."""
        while not self._closing.is_set():
            with suppress(queue.Full):
                self._queue.put((kind, what), timeout=BEAT)
                return

    def _kept(self, stream: Any) -> Any:
        """The stream, to be closed at the end; closed at once if that has begun."""
        with self._lock:
            self._streams.append(stream)
            if self._closing.is_set():
                close(stream)
        return stream

    def _listen(self, identity: str, name: str, after: int) -> None:
        """Puts a container's lines that are later than `after` into the queue, until it ends."""
        if not self.streams:
            self._look_again(identity, name, after)
            return
        stream = self._kept(self._open(identity, after, "all", follow=True))
        for line in assembled(Assembler(self._short(name)), stream):
            if line.stamp > after:
                self.seen[identity] = max(line.stamp, self.seen.get(identity, 0))
                self._put("line", line)
        close(stream)

    def _look_again(self, identity: str, name: str, after: int) -> None:
        """As `_listen`, by reading the end of the log again and again."""
        start, running = self._started(identity), True
        while running and not self._closing.wait(POLL):
            # Asked before the reading, so that the last one has all. After another start there is another reader.
            running = bool(start) and self._started(identity) == start
            lines = self._end_of(identity, name, after, AT_A_TIME, running)
            if lines and lines[0].stamp > after:  # the line that was read last isn't among them: there may be more
                lines = self._end_of(identity, name, after, "all", running)
            for line in lines:
                if line.stamp > after:
                    self.seen[identity] = line.stamp
                    self._put("line", line)
            after = max(after, self.seen.get(identity, 0))

    def _end_of(self, identity: str, name: str, after: int, last: int | str, more: bool) -> list[Line]:
        """The last lines of a log. If there will be `more`, one that is not complete waits for the next reading."""
        assembler = Assembler(self._short(name))
        lines = [line for piece in self._open(identity, after, last) for line in assembler.feed(piece)]
        return lines if more else [*lines, *assembler.end()]

    def _started(self, identity: str) -> str:
        """When a container was started, if it runs."""
        from docker.errors import NotFound

        with suppress(NotFound):
            state: dict[str, Any] = self.client.inspect_container(identity)["State"]
            return str(state["StartedAt"]) if state["Running"] else ""
        return ""

    def _watch(self, services: set[str] | None, now: int) -> None:
        """Puts the starts and ends of the stack's containers into the queue."""
        wanted = {"type": ["container"], "event": ["start", "die"], "label": [f"{labels.STACK}={self.desk.settings.stack}"]}
        for event in self._kept(self.client.events(since=now // NANO, filters=wanted, decode=True)):
            service = event["Actor"]["Attributes"].get(labels.SERVICE)
            if service and (services is None or service in services):
                self._put("event", event)
        if not self._closing.is_set():
            raise EngineError(_("the engine has ended its stream of events"), _("`docker info` says whether it is well"))

    @contextmanager
    def _threads_that_end(self) -> Iterator[None]:
        try:
            yield
        finally:
            with self._lock:
                self._closing.set()
                for stream in self._streams:
                    close(stream)
            end = time.monotonic() + ENDING
            for thread in self._threads.values():
                thread.join(max(0, end - time.monotonic()))


def assembled(assembler: Assembler, stream: Any) -> Iterator[Line]:
    """The lines of a container's stream."""
    for piece in stream:
        yield from assembler.feed(piece)
    yield from assembler.end()


def close(stream: Any) -> None:
    """Ends a stream of the engine: whoever reads it finds its end."""
    with suppress(OSError, AttributeError):  # it has ended by itself
        getattr(stream, "close", lambda: None)()
