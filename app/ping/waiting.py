"""How a hit waits for its next try: without holding up others where the worker can, and not in a worker that stops."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

stopping = threading.Event()


def _in_thread(seconds: float) -> None:
    stopping.wait(seconds)


_wait: Callable[[float], None] = _in_thread
_seats = threading.BoundedSemaphore(100)


def wait_by(function: Callable[[float], None] | None = None, *, seats: int) -> None:
    """A worker says how many hits may wait at once, and one without threads brings its own way of waiting."""
    global _wait, _seats
    _wait, _seats = function or _wait, threading.BoundedSemaphore(seats)


@contextmanager
def seat() -> Iterator[bool]:
    """A place to wait, if there is one: hits that wait must not keep a health check from being answered."""
    seats = _seats
    seated = seats.acquire(blocking=False)
    try:
        yield seated
    finally:
        if seated:
            seats.release()


def pause(seconds: float) -> bool:
    """Wait. False: this worker is about to stop, give up now."""
    if not stopping.is_set():
        _wait(seconds)
    return not stopping.is_set()
