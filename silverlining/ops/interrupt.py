"""Ctrl-C, and what ends a run as that does."""

from __future__ import annotations

import _thread
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
    are ignored, and sys.unraisablehook hears of them): then it is raised once more, and nobody has to press the keys again.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    def dropped(what: Any) -> None:
        if what.exc_type is KeyboardInterrupt:
            # Not at once: raised in here, it would be dropped as well.
            timer = threading.Timer(AGAIN, _thread.interrupt_main)
            timer.daemon = True
            timer.start()
        else:
            hook(what)

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_DFL}
    hook, sys.unraisablehook = sys.unraisablehook, dropped
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)
