"""How a hit waits for its next try: without holding up others where the worker can, and not in a worker that stops."""

import threading
from collections.abc import Callable

stopping = threading.Event()


def _in_thread(seconds: float) -> None:
    stopping.wait(seconds)


_wait: Callable[[float], None] = _in_thread


def wait_by(function: Callable[[float], None]) -> None:
    """A worker without threads brings its own way of waiting (django_app/workers.py)."""
    global _wait
    _wait = function


def pause(seconds: float) -> bool:
    """Wait. False: this worker is about to stop, give up now."""
    if not stopping.is_set():
        _wait(seconds)
    return not stopping.is_set()
