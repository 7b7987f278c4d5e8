"""Ctrl-C is never lost, and SIGTERM and a lost terminal end a run like it."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

import pytest

from silverlining.ops.interrupt import AGAIN, interruptible

pytestmark = pytest.mark.timeout(30)


class Finalized:
    """Something whose end takes a moment, in which the keys are pressed."""

    gone = False

    def __del__(self) -> None:
        Finalized.gone = True
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("waits", [lambda: time.sleep(20), lambda: threading.Event().wait(20), lambda: os.read(os.pipe()[0], 1)])
def test_ctrl_c_while_something_is_finalized(waits: Callable[[], object]) -> None:
    """What waits for long afterwards is ended by it."""
    with pytest.raises(KeyboardInterrupt), interruptible():
        thing = Finalized()
        del thing
        assert Finalized.gone
        waits()


def test_ctrl_c_in_the_last_moment() -> None:
    """It belongs to the block, and doesn't come behind it."""
    with pytest.raises(KeyboardInterrupt), interruptible():
        thing = Finalized()
        del thing
    time.sleep(3 * AGAIN)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_ends_a_run(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), interruptible():
        signal.raise_signal(number)
        time.sleep(10)
    assert signal.getsignal(number) is before
