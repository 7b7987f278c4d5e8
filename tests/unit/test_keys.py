"""Single keys from a real pseudo-terminal, and its settings as before whatever happens."""

from __future__ import annotations

import os
import pty
import select
import termios
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, TextIO

import pytest

from silverlining.console.keys import HANGUP, Keys, on_terminal, restored


class Pair:
    """Both ends of a pseudo-terminal."""

    def __init__(self) -> None:
        self.ours, theirs = pty.openpty()
        self.stream: TextIO = os.fdopen(theirs, "r")

    def type(self, data: bytes) -> None:
        os.write(self.ours, data)

    @property
    def settings(self) -> Any:
        return termios.tcgetattr(self.stream.fileno())


@pytest.fixture
def pair() -> Iterator[Pair]:
    one = Pair()
    yield one
    one.stream.close()
    with suppress(OSError):
        os.close(one.ours)


@pytest.mark.parametrize(
    ("typed", "key"),
    (
        (b"\r", "enter"),
        (b"\n", "enter"),
        (b" ", "enter"),
        (b"\x1b[6~", "enter"),
        (b"b", "b"),
        (b"B", "b"),
        (b"?", "?"),
        (b"\x04", "q"),
        (b"\x1b[A", "\x1b[a"),
    ),
)
def test_a_key(pair: Pair, typed: bytes, key: str) -> None:
    keys = Keys(pair.stream)
    with keys.waiting():
        pair.type(typed)
        assert keys.read() == key


def test_keys_come_one_by_one_and_a_character_of_several_bytes_is_one(pair: Pair) -> None:
    keys = Keys(pair.stream)
    with keys.waiting():
        pair.type("中".encode())
        assert keys.read() == "中"
        pair.type(b"sq")
        assert [keys.read(), keys.read()] == ["s", "q"]


def test_what_was_typed_before_is_forgotten(pair: Pair) -> None:
    keys = Keys(pair.stream)
    pair.type(b"qqq\n")
    # The kernel carries it from one end to the other in its own time.
    assert select.select([pair.stream], [], [], 10)[0]
    with keys.waiting():
        pair.type(b"b")
        assert keys.read() == "b"


def test_no_echo_while_waiting_and_ctrl_c_stays_one(pair: Pair) -> None:
    before = pair.settings
    with Keys(pair.stream).waiting():
        local = pair.settings[3]
        assert not local & (termios.ECHO | termios.ICANON) and local & termios.ISIG
    assert pair.settings == before


@pytest.mark.parametrize("error", (KeyboardInterrupt, ZeroDivisionError, SystemExit))
def test_the_terminal_is_restored_whatever_happens(pair: Pair, error: type[BaseException]) -> None:
    before = pair.settings
    with pytest.raises(error), Keys(pair.stream).waiting():
        raise error
    with pytest.raises(error), restored(pair.stream):
        termios.tcsetattr(pair.stream.fileno(), termios.TCSANOW, [0, 0, 0, 0, *before[4:]])
        raise error
    assert pair.settings == before


def test_a_terminal_that_hangs_up_ends_it(pair: Pair) -> None:
    keys = Keys(pair.stream)
    with keys.waiting():
        os.close(pair.ours)
        assert keys.read() == HANGUP


def test_what_is_no_terminal(tmp_path: Any) -> None:
    with (tmp_path / "file").open("w+") as file:
        assert not on_terminal(file)
        with restored(file):
            pass
    assert not on_terminal(file)  # closed
