"""A voice for a room: one page at a time under a heading, never wider than the terminal, with the keys that may be pressed below."""

from __future__ import annotations

import os
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from .fold import BREAK, columns, fold, pages
from .voice import Voice

FEWEST = 6  # lines that a page has at least, however low the terminal is
SIGNS = {"+": "ok", "~": "command", "-": "fail"}


class Screen(Voice):
    """Keeps what is said on the page. With `paged`, a page begins on an empty screen, and what doesn't fit waits for the next one."""

    def __init__(self, stream: TextIO | None = None, paged: bool = False) -> None:
        super().__init__(stream)
        self.paged = paged and self.terminal
        self._head: list[str] = []
        self._lines: list[str | None] = []
        self._held = False
        self.stale = False  # something else has been on the screen: the page must be shown anew

    @property
    def rows(self) -> int:
        """Lines of the terminal."""
        return shutil.get_terminal_size((80, 24)).lines

    @property
    def room(self) -> int:
        """Lines that a page has between its heading and its keys, which may take two lines and have a rule above them."""
        return max(FEWEST, self.rows - len(self._head) - 4)

    def begin(self, left: str, right: str, title: str, hold: bool = True) -> None:
        """A new page: `left` and `right` above, a title below. With `hold`, lines that don't fit are kept for the page's next part."""
        self._held, self._lines, self.stale = hold and self.paged, [], False
        if not self.terminal:
            self.title(" · ".join(filter(None, (left, right, title))))
            return
        width = self.width
        space = width - columns(left) - columns(right) - 2
        bar = f" {left}{' ' * space}{right} " if space > 0 else " " + fold(left, width - 2)[0]
        self._head = [self.styled(bar.ljust(width), "bar")] if self.colour else [bar.rstrip(), "━" * width]
        self._head += [f"  {self.styled(line, 'bold')}" for line in fold(title, width - 2)]
        self._show([*([] if self.paged else [""]), *self._head, ""])

    def _show(self, lines: Sequence[str]) -> None:
        clear = "\x1b[2J\x1b[H" if self.paged and os.environ.get("TERM") != "dumb" else ""
        self._put(clear + "".join(f"{line}\n" for line in lines))

    def write(self, text: str = "") -> None:
        """A line, or what it folds into."""
        for line in [part for one in text.split("\n") for part in fold(one, self.width)] if self.terminal else [text]:
            if self._held and not any(self._lines) and not line.strip():
                continue  # the heading has air below it
            self._lines.append(line)
            if not self._held or not self.full:
                super().write(line)
            elif self.written == self.room:
                super().write(self.styled("  …", "dim"))

    @property
    def written(self) -> int:
        """Lines on the page so far."""
        return sum(kept is not BREAK for kept in self._lines)

    @property
    def full(self) -> bool:
        """Whether the page's last line was reached: what is shown is not all of it then."""
        return self._held and self.written >= self.room

    def part(self) -> None:
        """A new page may begin here."""
        self._lines.append(BREAK)

    def command(self, line: str) -> None:
        if not self.brief:
            self.part()
            if self.terminal:
                self.write()
        super().command(line)

    def output(self, text: str, most: int = 60) -> None:
        super().output(text, most)

    def sign(self, sign: str, text: str) -> str:
        """A text in the colour of its sign; without one as it is."""
        return self.styled(text, SIGNS.get(sign, ""))

    def signed(self, sign: str, text: str) -> None:
        """A line with a sign before it: + is new, ~ was changed, - is gone."""
        self.write(f"  {self.sign(sign, f'{sign} {text}')}")

    def trouble(self, text: str) -> None:
        """An error: what it is, and below it what to do."""
        first, *others = text.split("\n")
        self.fail(first)
        for line in others:
            self.write(f"  {line}")

    def strip(self, label: str, parts: Sequence[tuple[str, str]]) -> None:
        """(sign, words) side by side after a label, in as many lines as they need."""
        size = max(8, columns(label))
        line = "  " + self.styled(label.ljust(size), "dim")
        used = 2 + size
        for sign, words in parts:
            text = f"{sign}{words}"
            if used + 2 + columns(text) > self.width and used > 2 + size:
                self.write(line)
                line, used = " " * (2 + size), 2 + size
            line += "  " + self.sign(sign, text)
            used += 2 + columns(text)
        self.write(line)

    def entries(self, entries: Sequence[tuple[str, str]]) -> None:
        """(name, text) below each other, the texts in a column of their own."""
        size = max(columns(name) for name, _text in entries) + 2
        for name, text in entries:
            first, *others = textwrap.wrap(text, max(20, self.width - size - 2), break_on_hyphens=False)
            self.write(f"  {self.styled(name, 'bold')}{' ' * (size - columns(name))}{first}")
            for line in others:
                self.write(" " * (size + 2) + line)

    @property
    def parts(self) -> int:
        """How many pages the page has become."""
        return len(pages(self._lines, self.room)) if self.paged else 1

    def let_go(self) -> None:
        """The last page is over: what comes now is shown below it, as it comes."""
        self._held = False

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Another page for a moment; afterwards this one is the page again, and must be shown anew."""
        kept = self._head, self._lines, self._held
        try:
            yield
        finally:
            self._head, self._lines, self._held = kept
            self.stale = True

    def fits(self, count: int) -> bool:
        """Whether as many lines more make no further page."""
        return not self.paged or len(pages([*self._lines, *["."] * count], self.room)) == self.parts

    def again(self, number: int) -> None:
        """Shows one of the page's parts anew."""
        found = pages(self._lines, self.room)
        self._show([*self._head, "", *found[min(number, len(found) - 1)]])
        self.stale = False

    def keys(self, labels: Sequence[tuple[str, str]]) -> None:
        """The keys that may be pressed, below a rule."""
        line, lines = "", []
        for key, words in labels:
            bare = f"{key} {words}"
            if line and columns(line) + 2 + columns(bare) > self.width:
                lines.append(line)
                line = ""
            line += ("  " if line else " ") + f"{self.styled(key, 'key')} {words}"
        self._put("\n".join([self.styled("─" * self.width, "dim"), *lines, line]))

    def after_keys(self) -> None:
        """A key was pressed: what follows begins on a line of its own."""
        self._put("\n")
