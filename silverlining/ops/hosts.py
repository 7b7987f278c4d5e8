"""Several hosts side by side: each in a process of its own, its lines behind its name, and a table of the results at the end."""

from __future__ import annotations

import atexit
import json as js
import os
import selectors
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NoReturn

from invoke import Exit

from ..console.columns import Columns
from ..console.voice import Voice
from ..model.errors import SilverliningError
from ..model.text import _

CHUNK = 1 << 16
ENDING: tuple[signal.Signals, ...] = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def names(text: str) -> list[str]:
    """The hosts of `-H`, each once. Raises SilverliningError where one is no `[USER@]HOST[:PORT]`."""
    found = [part.strip() for part in text.split(",")]
    example = _("for example -H web1,deploy@web2:2222")
    for one in found:
        if not one:
            raise SilverliningError(_("-H {text}: a host's name is missing beside a comma").format(text=text), example)
        place = one.rpartition("@")[2]
        host, colon, port = (place, "", "") if place.count(":") > 1 else place.partition(":")  # an IPv6 address has no port here
        if not host or "@" in host or any(c.isspace() for c in one) or (colon and not (port.isdecimal() and 0 < int(port) < 65536)):
            raise SilverliningError(_("-H {one}: a host is written as HOST, USER@HOST or USER@HOST:PORT").format(one=one), example)
    return list(dict.fromkeys(found))


class Run:
    """One host's process: where its output comes from, and how it ended."""

    def __init__(self, host: str, pid: int, pipes: dict[str, int]) -> None:
        self.host = host
        self.pid = pid
        self.pipes = pipes  # those that are still open: out, err, and report, where the error's words come
        self.begun = time.monotonic()
        self.seconds = 0.0
        self.code: int | None = None
        self.asked_to_end = False
        self.rest = {"out": b"", "err": b""}
        self.out = b""
        self.report = b""

    @property
    def result(self) -> str:
        """The outcome in words for the table."""
        if self.code == 0:
            return _("done")
        if self.asked_to_end:
            return _("interrupted")
        return _("failed: {why}").format(why=self.why)

    @property
    def why(self) -> str:
        """The first line of the error that ended it."""
        if self.asked_to_end:
            return _("interrupted")
        if self.code is not None and self.code < 0:
            return _("ended by {signal}").format(signal=signal.Signals(-self.code).name)
        return self.report.decode(errors="replace") or _("exit code {code}").format(code=self.code)


class SideBySide:
    """Runs `work(host)` for every host in a forked child, at most `at_once` at a time. With `json` standard output is one object by host."""

    def __init__(self, hosts: Sequence[str], at_once: int, work: Callable[[str], None], json: bool = False) -> None:
        self.hosts = list(hosts)
        self.at_once = at_once
        self.work = work
        self.json = json
        self.runs: dict[str, Run] = {}
        self.interrupted = False
        for number in range(3):
            # A closed one (`>&-`) would be taken by the first pipe.
            with suppress(OSError):
                os.close(os.dup(number))
                continue
            os.open(os.devnull, os.O_RDWR)
        self._out, self._err = Voice(sys.stdout), Voice(sys.stderr or open(os.devnull, "w"))  # noqa: SIM115
        self._columns = {"out": Columns(self._out, self.hosts), "err": Columns(self._err, self.hosts)}
        self._selector = selectors.DefaultSelector()
        self._life: tuple[int, int] = (-1, -1)

    def run(self) -> bool:
        """Works until every host is done or has failed; gives whether all are done. Ctrl-C, SIGTERM and a lost terminal end the children, and
        what has not begun doesn't begin; children are awaited all the same, since each puts back what it has changed.
        """
        self._life = os.pipe()
        waiting = list(self.hosts)
        with self._ended_with_us():
            while True:
                while waiting and not self.interrupted and len(self._running()) < self.at_once:
                    self._begin(waiting.pop(0))
                if not self._running():
                    break
                self._listen()
        for end in self._life:
            os.close(end)
        self._summary()
        return all(host in self.runs and self.runs[host].code == 0 for host in self.hosts)

    def _running(self) -> list[Run]:
        return [run for run in self.runs.values() if run.code is None]

    def _begin(self, host: str) -> None:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        try:
            # A signal that came just before this would not reach the new child.
            if self.interrupted:
                return
            ends = {name: os.pipe() for name in ("out", "err", "report")}
            for stream in filter(None, (sys.stdout, sys.stderr)):
                with suppress(OSError, ValueError):
                    stream.flush()
            pid = os.fork()
            if pid == 0:
                self._be_the_child(host, ends, before)
            for _read, write in ends.values():
                os.close(write)
            run = self.runs[host] = Run(host, pid, {name: read for name, (read, _write) in ends.items()})
            for name, number in run.pipes.items():
                self._selector.register(number, selectors.EVENT_READ, (run, name))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    # ---- in the child

    def _be_the_child(self, host: str, ends: dict[str, tuple[int, int]], mask: set[int | signal.Signals]) -> NoReturn:
        code = 1
        report = ends["report"][1]
        try:
            self._settle_in(ends, mask)
            self.work(host)
            code = 0
        except Exit as exit:
            code = exit.code
            self._tell(report, exit.message or "")
        except KeyboardInterrupt:
            pass
        except SystemExit as exit:
            code = exit.code if isinstance(exit.code, int) else int(exit.code is not None)
        except BaseException as error:
            # A bug: with its traceback, as with one host.
            sys.excepthook(type(error), error, error.__traceback__)
            self._tell(report, f"{type(error).__name__}: {error}", show=False)
        finally:
            # A Ctrl-C that comes now finds nothing more to interrupt.
            for number in ENDING:
                signal.signal(number, signal.SIG_IGN)
            # As at the end of any Python: what was registered to be tidied up is.
            with suppress(BaseException):
                atexit._run_exitfuncs()
            for stream in (sys.stdout, sys.stderr):
                with suppress(OSError, ValueError):
                    stream.flush()
            os._exit(code)

    def _settle_in(self, ends: dict[str, tuple[int, int]], mask: set[int | signal.Signals]) -> None:
        # Without a terminal: Ctrl-C reaches the parent alone, which tells each child once; and nothing can be asked.
        os.setsid()
        for number in ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(ends["out"][1], 1)
        os.dup2(ends["err"][1], 2)
        for read, write in ends.values():
            os.close(read)
            if write != ends["report"][1]:
                os.close(write)
        for other in self.runs.values():
            for pipe in other.pipes.values():
                os.close(pipe)
        self._selector.close()
        os.close(self._life[1])
        threading.Thread(target=self._end_with_the_parent, args=(self._life[0],), daemon=True).start()
        # The old ones may remember that they were a file, with a position.
        sys.stdin = os.fdopen(0, closefd=False)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", 1, "utf-8", "replace", closefd=False) for number in (1, 2))
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    @staticmethod
    def _end_with_the_parent(life: int) -> None:
        """The parent alone holds the other end: it is closed when the parent is, also by kill -9."""
        os.read(life, 1)
        os.kill(os.getpid(), signal.SIGINT)

    @staticmethod
    def _tell(report: int, text: str, show: bool = True) -> None:
        if show and text:
            print(text, file=sys.stderr)
        first = (text.strip().splitlines() or [""])[0].removeprefix("✗ ")
        with suppress(OSError):
            os.write(report, first.encode()[:4000])

    # ---- in the parent

    @contextmanager
    def _ended_with_us(self) -> Iterator[None]:
        def end(number: int, frame: FrameType | None) -> None:
            self.interrupted = True
            for run in self._running():
                run.asked_to_end = True
                with suppress(ProcessLookupError):
                    os.kill(run.pid, signal.SIGINT)

        before = {number: signal.signal(number, end) for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _listen(self) -> None:
        # Standard output first: an error's words come after what was said before it. The report last: its end is the child's.
        order = ("out", "err", "report")
        ready = [key.data for key, _events in self._selector.select()]
        for run, name in sorted(ready, key=lambda pair: (self.hosts.index(pair[0].host), order.index(pair[1]))):
            if name in run.pipes:
                self._read(run, name)

    def _read(self, run: Run, name: str) -> None:
        data = os.read(run.pipes[name], CHUNK)
        if data:
            self._hear(run, name, data)
        elif name == "report":
            self._close(run, name)
            self._ended(run)
        else:
            self._close(run, name)

    def _hear(self, run: Run, name: str, data: bytes) -> None:
        if name == "report":
            run.report += data
        elif name == "out" and self.json:
            run.out += data
        else:
            *lines, run.rest[name] = (run.rest[name] + data).split(b"\n")
            for line in lines:
                self._say(run, name, line)

    def _say(self, run: Run, name: str, line: bytes) -> None:
        self._columns[name].write(run.host, line.decode(errors="replace").rstrip("\r"))

    def _close(self, run: Run, name: str) -> None:
        number = run.pipes.pop(name)
        self._selector.unregister(number)
        os.close(number)

    def _ended(self, run: Run) -> None:
        """The child has gone. What it has started may still hold its output open: only what is there is read."""
        _pid, status = os.waitpid(run.pid, 0)
        for name, number in list(run.pipes.items()):
            os.set_blocking(number, False)
            with suppress(BlockingIOError):
                while data := os.read(number, CHUNK):
                    self._hear(run, name, data)
            self._close(run, name)
        for name, line in run.rest.items():
            if line:
                self._say(run, name, line)
        run.seconds = time.monotonic() - run.begun
        run.code = os.waitstatus_to_exitcode(status)

    def _summary(self) -> None:
        if self.json:
            self._out.data(js.dumps({host: self._given(host) for host in self.hosts}, indent=2))
        voice = self._err if self.json else self._out
        rows = [(host, f"{run.seconds:.1f}", run.result) if (run := self.runs.get(host)) else (host, "-", _("not begun")) for host in self.hosts]
        voice.title(_("Hosts"))
        voice.table((_("host"), _("seconds"), _("result")), rows)

    def _given(self, host: str) -> Any:
        """The JSON that the host's tasks have given: a document, a list of several, or an object with the error where there is none."""
        if host not in self.runs:
            return {"error": _("not begun")}
        run = self.runs[host]
        found, text = [], run.out.decode(errors="replace").strip()
        with suppress(ValueError):
            while text:
                value, end = js.JSONDecoder().raw_decode(text)
                found.append(value)
                text = text[end:].lstrip()
        if not found:
            return {"error": run.why}
        return found[0] if len(found) == 1 else found
