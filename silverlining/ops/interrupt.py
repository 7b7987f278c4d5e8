"""Ctrl-C, and what ends a run as that does."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

AGAIN = 0.05  # seconds


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM and a terminal that goes away end a run as Ctrl-C does: what a proof has paused is put back.

    Python drops a KeyboardInterrupt that comes while an object is being finalized (`object.__del__` in its data model: such exceptions
    are ignored, and sys.unraisablehook hears of them): then the signal comes once more, at the latest at the end of the block.
    """
    main, again = threading.get_ident(), list[threading.Timer]()

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    def dropped(what: Any) -> None:
        if what.exc_type is KeyboardInterrupt:
            # Not at once: raised in here, it would be dropped as well. As a signal, which also wakes a thread that waits.
            number = signal.SIGINT if callable(signal.getsignal(signal.SIGINT)) else signal.SIGTERM
            again.append(timer := threading.Timer(AGAIN, signal.pthread_kill, (main, number)))
            timer.daemon = True
            timer.start()
        else:
            hook(what)

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_DFL}
    hook, sys.unraisablehook = sys.unraisablehook, dropped
    try:
        yield
        if any(timer.is_alive() for timer in again):
            raise KeyboardInterrupt
    finally:
        for timer in again:
            timer.cancel()
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)
