"""Requests to a stack under test, one after another from several clients at once: bounded in time and number, over the loopback only."""

from __future__ import annotations

import http.client
import threading
import time
from dataclasses import dataclass
from itertools import pairwise
from types import TracebackType

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Hit:
    """One request: when it began and ended (time.monotonic), the number that it was answered with, or what went wrong."""

    began: float
    ended: float
    number: int
    error: str = ""


def ask(connection: http.client.HTTPConnection, path: str = "/", headers: dict[str, str] | None = None) -> tuple[int, str]:
    """Status and text of one GET. Raises OSError or HTTPException."""
    connection.request("GET", path, headers=headers or {})
    answer = connection.getresponse()
    return answer.status, answer.read().decode(errors="replace").strip()


def get(port: int, path: str = "/", host: str = HOST, timeout: float = 30) -> tuple[int, str]:
    """Status and text of one GET on a connection of its own; status 0 and the reason if there is no answer."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        return ask(connection, path, {"Connection": "close"})
    except (OSError, http.client.HTTPException) as error:
        return 0, f"{type(error).__name__}: {error}"
    finally:
        connection.close()


class Load:
    """Clients that ask until the block ends: `fresh` ones make a connection for each request, `kept` ones keep theirs.

    A kept connection is made anew only when the server has said `Connection: close`; anything else counts as a failure.
    """

    def __init__(
        self, port: int, path: str = "/", *, fresh: int = 3, kept: int = 3, beat: float = 0.1, most: int = 60_000, seconds: float = 420
    ) -> None:
        self.port, self.path, self.beat, self.seconds = port, path, beat, seconds
        self.hits: list[Hit] = []
        self._stop = threading.Event()
        self._each = most // (fresh + kept)
        self._threads = [threading.Thread(target=self._work, args=(keep,), daemon=True) for keep in [False] * fresh + [True] * kept]

    def __enter__(self) -> Load:
        self._end = time.monotonic() + self.seconds
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(45)

    def _work(self, keep: bool) -> None:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=30)
        for _ in range(self._each):
            if self._stop.is_set() or time.monotonic() > self._end:
                break
            began = time.monotonic()
            try:
                status, text = ask(connection, self.path, {} if keep else {"Connection": "close"})
                good = status == 200 and (self.path != "/" or text.isdigit())
                hit = Hit(began, time.monotonic(), int(text) if good and self.path == "/" else 0, "" if good else f"{status} {text[:80]}")
            except (OSError, http.client.HTTPException) as error:
                hit = Hit(began, time.monotonic(), 0, f"{'kept' if keep else 'fresh'} {type(error).__name__}: {error}")
                connection.close()
            self.hits.append(hit)
            self._stop.wait(self.beat)
        connection.close()

    @property
    def failures(self) -> list[str]:
        """What went wrong, in order."""
        return [hit.error for hit in self.hits if hit.error]

    @property
    def numbers(self) -> list[int]:
        """The answered numbers, in order of their answers."""
        return [hit.number for hit in sorted(self.hits, key=lambda h: h.ended) if not hit.error]

    def falls(self) -> list[tuple[int, int]]:
        """(number answered before, lower or equal number of a request that began after it): none on a counter that goes on."""
        answered = sorted((hit for hit in self.hits if not hit.error), key=lambda h: h.ended)
        found, top, at = [], 0, 0
        for hit in sorted(answered, key=lambda h: h.began):
            while answered[at].ended < hit.began:
                top, at = max(top, answered[at].number), at + 1
            if hit.number <= top:
                found.append((top, hit.number))
        return found

    def gap(self) -> float:
        """The longest time between two answers that follow each other."""
        ends = sorted(hit.ended for hit in self.hits if not hit.error)
        return max((b - a for a, b in pairwise(ends)), default=0.0)

    def must_be_whole(self) -> None:
        """No request was lost and the counter never fell."""
        assert len(self.hits) > 20, f"only {len(self.hits)} requests: that proves nothing"
        assert not self.failures, f"{len(self.failures)} of {len(self.hits)} lost: {self.failures[:5]}"
        assert self.path != "/" or not self.falls(), self.falls()[:5]
