"""Everything that a person sees goes through a Voice: on a terminal with colour and live progress, in a pipe as plain lines."""

from __future__ import annotations

import errno
import os
import re
import select
import shutil
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TextIO

from ..model.errors import SilverliningError
from ..model.text import _
from .board import Board, LiveBoard
from .fold import fold
from .tables import columns, fitted

STYLES = {"title": "1;36", "command": "33", "dim": "2", "ok": "32", "fail": "1;31", "note": "36", "bold": "1", "bar": "1;7", "key": "1;32"}

# A task as our texts name it; `invoke TASK` too.
CALL = re.compile(r"(?<![\w/.-])invoke (?=[a-zA-Z-])")


def launched_as(program: str) -> str:
    """What a person types for `program`: the launcher (launch.sh) tells how it was called itself."""
    typed = os.environ.get("LAUNCHED_AS", "")
    # A shell that found it on the path gives its whole path.
    return typed if typed == f"./{program}" else program


class Voice:
    """Writes to `stream`. `quiet` says nothing but errors (standard output belongs to JSON then)."""

    def __init__(self, stream: TextIO | None = None, quiet: bool = False) -> None:
        # A closed standard output is None; what would be said then is nobody's to read.
        self.stream = stream or sys.stdout or open(os.devnull, "w")  # noqa: SIM115
        self.quiet = quiet
        self.terminal = self.stream.isatty()
        self.colour = self.terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self.program = launched_as("invoke")  # what a person types in front of a task: `fab -H HOST` where the task works on another machine
        self.brief = ""  # the command that shows a long plan whole; set, plans are shown in short
        self.above: Callable[[str], None] | None = None  # writes lines above what changes in place, while something does
        self._lock = threading.Lock()

    @property
    def width(self) -> int:
        """Columns to write in: the terminal's, at least 40; 100 in a pipe."""
        return max(40, min(shutil.get_terminal_size((100, 24)).columns, 110)) if self.terminal else 100

    def styled(self, text: str, style: str) -> str:
        """The text with its style where colours are seen."""
        return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if self.colour and style in STYLES else text

    def write(self, text: str = "") -> None:
        """A line as it is. A reader that has gone (a closed pipe) is no error."""
        if not self.quiet:
            self._put(f"{text}\n")

    def data(self, text: str) -> None:
        """What a program reads: written although `quiet`."""
        self._put(f"{text}\n")

    def _put(self, text: str) -> None:
        with self._lock:
            try:
                if self.above:
                    self.above(text)
                else:
                    self.stream.write(text)
                    self.stream.flush()
            except OSError as error:
                if error.errno not in (errno.EPIPE, errno.EIO, errno.ENOSPC):  # EIO: the terminal has gone
                    raise
                self.quiet = True
                # What Python still holds in its buffer must not raise at exit.
                os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())
                if error.errno == errno.ENOSPC:
                    words = _("the output can't be written: {why}").format(why=error.strerror)
                    raise SilverliningError(words, _("make room, or write it elsewhere")) from None

    def named(self, text: str) -> str:
        """The text with the tasks that it names as a person must type them for this host."""
        return CALL.sub(lambda _found: f"{self.program} ", text) if self.program != "invoke" else text

    def deserted(self) -> bool:
        """Whether nobody reads any more: asked by what may have nothing to write for long, while the reader or the terminal has gone."""
        if self.quiet:
            return True
        with suppress(OSError, ValueError):  # a stream without a number
            poll = select.poll()
            poll.register(self.stream.fileno(), 0)
            return any(event & (select.POLLERR | select.POLLHUP) for _number, event in poll.poll(0))
        return False

    def error(self, text: str) -> str:
        """The text of an error: its mark in front, each line wrapped under its own beginning on a terminal."""
        lines = f"{self.styled('✗', 'fail')} {self.named(text)}".split("\n")
        if not self.terminal:
            return "\n".join(lines)
        wrapped = []
        for line in lines:
            bare = line.lstrip(" ")
            indent = " " * (len(line) - len(bare) + (2 if bare.startswith(("→", "✗", "\x1b", "|")) else 0))
            wrapped += textwrap.wrap(line, self.width, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False) or [""]
        return "\n".join(wrapped)

    def title(self, text: str) -> None:
        """A heading with air above it."""
        self.write()
        self.write(self.styled(text, "title"))

    def text(self, text: str, indent: str = "  ") -> None:
        """A paragraph, wrapped."""
        for paragraph in self.named(text).split("\n"):
            self.write(textwrap.fill(paragraph, self.width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False))

    def command(self, line: str) -> None:
        """A command as it would be typed; a long one goes on in further lines, so that it can still be pasted into a shell."""
        self.write("  " + self.styled("$ " + folded(line, self.width - 8), "command"))

    def output(self, text: str, most: int = 30) -> None:
        """What a command said, indented; very long output is cut in the middle and says so."""
        for line in shortened(text, most):
            self.write("    " + line)

    def ok(self, text: str) -> None:
        """Something that holds."""
        self._marked("✓", "ok", text)

    def fail(self, text: str) -> None:
        """Something that doesn't hold."""
        self._marked("✗", "fail", text)

    def warn(self, text: str) -> None:
        """Something that could be better."""
        self._marked("!", "command", text)

    def note(self, text: str) -> None:
        """Something to look at."""
        self._marked("→", "note", text)

    def _marked(self, mark: str, style: str, text: str) -> None:
        """A line with a mark in front; on a terminal what is too long goes on under the text's beginning."""
        line = f"  {self.styled(mark, style)} {self.named(text)}"
        for part in fold(line, self.width) if self.terminal else [line]:
            self.write(part)

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]], indent: str = "  ") -> None:
        """Rows in columns under a heading; on a terminal no wider than that."""
        if not rows:
            return
        all_rows = (head, *rows)
        heading, *others = fitted(all_rows, self.width - len(indent)) if self.terminal else [[line] for line in columns(all_rows)]
        for line in heading:
            self.write(self.styled(indent + line, "dim"))
        for line in (line for row in others for line in row):
            self.write(indent + line)

    def ask(self, question: str) -> bool:
        """A yes-or-no question on the terminal; no is the default."""
        self.stream.write(f"{question} [y/N] ")
        self.stream.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    @contextmanager
    def progress(self, slow: bool = False) -> Iterator[Board]:
        """Live lines, one for each thing that is under way; in a pipe a line when it is done, and where it is meanwhile (see Board).

        Where `brief` is set, what is done is only counted on a terminal.
        """
        board: Board = LiveBoard(self, bool(self.brief)) if self.terminal and not self.quiet else Board(self, slow)
        try:
            yield board
        finally:
            board.close()


def shortened(text: str, most: int) -> list[str]:
    """The lines of a text without a terminal's codes; where they are more than `most`, those in the middle are left out, and a line says so."""
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).splitlines()
    return lines if len(lines) <= most else [*lines[: most - 5], f"… {len(lines) - most + 1} lines …", *lines[-4:]]


def folded(line: str, width: int) -> str:
    """A shell command in lines of about `width` columns, broken between words (never inside quotes) with a backslash."""
    import shlex

    if len(line) <= width or "\n" in line:
        return line
    words = re.findall(r"(?:[^\s'\"\\]|'[^']*'|\"(?:[^\"\\]|\\.)*\"|\\.)+", line)
    if shlex.split(line) != shlex.split(" ".join(words)):
        return line
    lines = [""]
    for unit in _units(words, width):
        if lines[-1] and len(lines[-1]) + 1 + len(unit) > width:
            lines.append("")
        lines[-1] += f" {unit}" if lines[-1] else unit
    return " \\\n      ".join(lines)


def _units(words: Sequence[str], width: int) -> list[str]:
    """The words, a flag with its value as one where both fit into a line."""
    units: list[str] = []
    for word in words:
        last = units[-1] if units else ""
        waits = last.startswith("--") and not {" ", "="} & set(last)
        if waits and not word.startswith("-") and len(last) + 1 + len(word) <= width:
            units[-1] += f" {word}"
        else:
            units.append(word)
    return units
