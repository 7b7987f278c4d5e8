"""Log lines as the engine stamps them: their times, their order across containers, and what `--since` and `--tail` mean. Pure."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone

from .errors import SilverliningError
from .text import _

NANO = 1_000_000_000
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
TAIL = 50
STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d) ?")


@dataclass(frozen=True)
class Line:
    """One line of a container's log. `stamp` is the engine's time in nanoseconds since 1970; `note` is ours and not the container's."""

    stamp: int
    container: str
    text: str
    note: bool = False


def nanoseconds(text: str) -> int:
    """Nanoseconds since 1970 of a time as Docker writes it. Raises ValueError."""
    match = STAMP.fullmatch(text.encode())
    if not match:
        raise ValueError(text)
    return _stamp(match)


def _stamp(match: re.Match[bytes]) -> int:
    whole, part, zone = match.groups()
    at = datetime.fromisoformat((whole + (b"+00:00" if zone == b"Z" else zone)).decode())
    return int(at.timestamp()) * NANO + int((part or b"").ljust(9, b"0"))


def written(stamp: int) -> str:
    """The time in UTC, to the millisecond, as ISO 8601 has it."""
    return datetime.fromtimestamp(stamp // NANO, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S") + f".{stamp % NANO // 1_000_000:03d}Z"


def since(text: str, now: int) -> int:
    """The time that `--since` means, in nanoseconds since 1970: an age (90s, 5m, 2h, 1h30m, 1d) before `now`, or a time. Raises SilverliningError."""
    text = text.strip()
    ages = re.findall(r"([0-9]+)([smhd])", text)
    try:
        if ages and "".join(number + unit for number, unit in ages) == text:
            found = now - sum(int(number) * UNITS[unit] for number, unit in ages) * NANO
        else:
            # Python 3.10 reads neither a Z nor a part of a second of any but six digits.
            exact = re.sub(r"\.([0-9]+)", lambda part: f".{part[1][:6]:0<6}", re.sub(r"[Zz]$", "+00:00", text))
            at = datetime.fromisoformat(exact)
            found = int(at.timestamp() * 1_000_000) * 1000
        if not 0 <= found <= now:
            raise ValueError(text)
    except (ValueError, OverflowError, OSError):
        raise SilverliningError(
            _("--since {text!r} is no time that has passed").format(text=text),
            _("write how long ago (90s, 5m, 2h, 1h30m, 1d), or when (2026-01-31T12:00:00, local time unless a zone follows)"),
        ) from None
    return found


def tail(text: str, everything: bool) -> int | str:
    """How many of the last lines of each container: a number, or "all", which with `everything` is the default. Raises SilverliningError."""
    text = text.strip()
    if not text:
        return "all" if everything else TAIL
    if text == "all":
        return text
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise SilverliningError(
            _("--tail {text!r} is no number of lines").format(text=text), _("write a whole number (the default is {tail}), or all").format(tail=TAIL)
        )
    return int(text)


class Assembler:
    """Makes lines of what the engine sends for one container: each piece begins with a time, a line may come in several pieces."""

    def __init__(self, container: str) -> None:
        self.container = container
        self._stamp = 0
        self._rest = b""

    def feed(self, piece: bytes) -> Iterator[Line]:
        """The lines that are complete with this piece."""
        for part in piece.splitlines(keepends=True):
            if match := STAMP.match(part):
                part = part[match.end() :]
                # What goes on with a line (the engine cuts long ones) has a time of its own; the line keeps its first.
                if not self._rest:
                    self._stamp = _stamp(match)
            self._rest += part
            if part.endswith((b"\n", b"\r")):
                yield from self.end()

    def end(self) -> Iterator[Line]:
        """What is left when nothing more comes."""
        if self._rest:
            text, self._rest = self._rest.decode(errors="replace").rstrip("\r\n"), b""
            yield Line(self._stamp, self.container, text)


class Merger:
    """Lines of several containers in order of time, while they come: each is held back for a moment, in case an older one is under way."""

    def __init__(self, hold: float) -> None:
        self.hold = hold
        self._heap: list[tuple[int, int, float, Line]] = []
        self._count = 0

    def push(self, line: Line, now: float) -> None:
        """Takes a line in; `now` is in seconds of any clock that goes on."""
        heapq.heappush(self._heap, (line.stamp, self._count, now, line))
        self._count += 1

    def ready(self, now: float) -> Iterator[Line]:
        """The lines that have been held long enough, with all that are older."""
        last = max((entry[:2] for entry in self._heap if now - entry[2] >= self.hold), default=(0, -1))
        while self._heap and self._heap[0][:2] <= last:
            yield heapq.heappop(self._heap)[-1]

    def rest(self) -> Iterator[Line]:
        """All that is left."""
        while self._heap:
            yield heapq.heappop(self._heap)[-1]
