"""Lines of several speakers side by side: each with its name in front, in a colour of its own, and wrapped under its own beginning."""

from __future__ import annotations

import re
import shutil
import unicodedata
from collections.abc import Iterator

from .voice import Voice

# Red is left to what goes wrong.
PALETTE = ("36", "33", "32", "35", "34", "96", "93", "92", "95", "94")
ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[@-Z\\-_]")
LEAST = 20


class Columns:
    """Writes lines of `names` to a voice. A name that comes later is welcome, too."""

    def __init__(self, voice: Voice, names: list[str]) -> None:
        self.voice = voice
        self._colours: dict[str, str] = {}
        self._width = 0
        for name in names:
            self._colour(name)

    def write(self, name: str, text: str, note: bool = False) -> None:
        """A line of `name`; a `note` is what we say about it."""
        colour = self._colour(name)
        prefix = f"{name:<{self._width}} | "
        if self.voice.terminal:
            # Whatever a program writes must not move our cursor or change our colours.
            text = printable(text)
            room = max(LEAST, shutil.get_terminal_size((80, 24)).columns - len(prefix))
            parts = list(folded(text, room)) or [""]
        else:
            parts = [text]
        for number, part in enumerate(parts):
            front = prefix if number == 0 else " " * self._width + " | "
            self.voice.write(self._painted(front, colour) + (self.voice.styled(part, "dim") if note else part))

    def _colour(self, name: str) -> str:
        self._width = max(self._width, len(name))
        return self._colours.setdefault(name, PALETTE[len(self._colours) % len(PALETTE)])

    def _painted(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.voice.colour else text


def printable(text: str) -> str:
    """The text without what a terminal would take for an order; a tab is two spaces."""
    return "".join(c for c in ESCAPES.sub("", text).replace("\t", "  ") if unicodedata.category(c) not in ("Cc", "Cs"))


def folded(text: str, width: int) -> Iterator[str]:
    """The text in pieces of at most `width` columns, wide characters counted as two."""
    piece, used = "", 0
    for c in text:
        size = 0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        if used + size > width:
            yield piece
            piece, used = "", 0
        piece, used = piece + c, used + size
    if piece:
        yield piece
