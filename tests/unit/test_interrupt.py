"""Ctrl-C is never lost, and SIGTERM and a lost terminal end a run like it."""

from __future__ import annotations

import signal
import time

import pytest

from silverlining.ops.interrupt import interruptible

pytestmark = pytest.mark.timeout(30)


class Finalized:
    """Something whose end takes a moment, in which the keys are pressed."""

    gone = False

    def __del__(self) -> None:
        Finalized.gone = True
        signal.raise_signal(signal.SIGINT)


def test_ctrl_c_while_something_is_finalized() -> None:
    with pytest.raises(KeyboardInterrupt), interruptible():
        thing = Finalized()
        del thing
        assert Finalized.gone
        end = time.monotonic() + 10
        while time.monotonic() < end:
            time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_ends_a_run(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), interruptible():
        signal.raise_signal(number)
        time.sleep(10)
    assert signal.getsignal(number) is before
