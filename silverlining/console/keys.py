"""Single keys from a terminal: without Enter and without echo, and the terminal is as before whatever happens."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

HANGUP = ""
SEQUENCE_S = 0.05  # what follows an Escape within this time belongs to it: the terminal sends such keys in one go
NAMES = {
    "\r": "enter",
    "\n": "enter",
    " ": "enter",
    "\x1b[6~": "enter",  # Page Down: what a presenter's remote sends
    "\x1b[C": "enter",
    "\x1bOC": "enter",
    "\x04": "q",  # Ctrl-D
}


def on_terminal(stream: TextIO | None = None) -> bool:
    """Whether keys can be read from `stream` (standard input)."""
    stream = stream or sys.stdin
    with suppress(ValueError, OSError):
        return bool(stream and stream.isatty())
    return False


@contextmanager
def restored(stream: TextIO | None = None) -> Iterator[None]:
    """Whatever happens inside, the terminal has its settings back afterwards; without a terminal nothing is done."""
    stream = stream or sys.stdin
    if not on_terminal(stream):
        yield
        return
    number = stream.fileno()
    before = termios.tcgetattr(number)
    try:
        yield
    finally:
        with suppress(termios.error, OSError):  # it may have gone
            termios.tcsetattr(number, termios.TCSADRAIN, before)


class Keys:
    """Keys from a terminal. Inside `waiting`, they come one by one; Ctrl-C stays Ctrl-C."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stdin

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Single keys from here on. What was typed before is forgotten: nobody has seen yet what it would answer."""
        with restored(self.stream):
            with suppress(termios.error):  # a terminal that has gone: read() says so
                tty.setcbreak(self.stream.fileno(), termios.TCSAFLUSH)
            yield

    def read(self) -> str:
        """The next key: "enter", a character in lower case, or HANGUP when the terminal has gone."""
        number = self.stream.fileno()
        try:
            data = os.read(number, 1)
            while data and (data[0] == 0x1B or data[0] >= 0x80) and len(data) < 8 and select.select([number], [], [], SEQUENCE_S)[0]:
                more = os.read(number, 1)
                if not more:
                    break
                data += more
        except OSError:
            return HANGUP
        if not data:
            return HANGUP
        text = data.decode(errors="replace")
        return NAMES.get(text, text.lower())
