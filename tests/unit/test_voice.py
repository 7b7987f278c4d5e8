"""The voice: plain lines in a pipe, colour and wrapping on a terminal, nothing where nobody listens."""

from __future__ import annotations

import io
import os
import re
import shlex
import time

import pytest

from silverlining.console.voice import Voice, folded
from silverlining.model.commands import line, run
from silverlining.model.errors import SilverliningError

from .builders import stack


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")


def test_a_pipe_gets_plain_lines_that_are_not_broken() -> None:
    stream = io.StringIO()
    voice = Voice(stream)
    voice.note("word " * 60)
    voice.ok("good")
    voice.fail("bad")
    note, ok, fail = stream.getvalue().splitlines()
    assert note == "  → " + "word " * 60 and ok == "  ✓ good" and fail == "  ✗ bad"


@pytest.mark.parametrize(("name", "value", "coloured"), (("COLUMNS", "60", True), ("NO_COLOR", "1", False), ("TERM", "dumb", False)))
def test_colour_only_where_it_is_wanted(name: str, value: str, coloured: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    voice = Voice(stream := Terminal())
    voice.title("a title")
    assert ("\x1b[" in stream.getvalue()) == coloured


def test_an_error_is_wrapped_under_its_own_beginning_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "what " * 20 + "happened\n  | " + "log " * 20 + "line\n  → " + "do " * 30 + "this"
    assert Voice(io.StringIO()).error(text) == f"✗ {text}"
    monkeypatch.setenv("NO_COLOR", "1")
    lines = Voice(Terminal()).error(text).splitlines()
    assert all(len(line) <= 60 for line in lines)
    firsts = [n for n, line in enumerate(lines) if line.startswith(("✗ ", "  | ", "  → "))]
    assert len(firsts) == 3
    assert all(line.startswith("  what") for line in lines[1 : firsts[1]] if "what" in line)
    assert all(line.startswith("    do ") for line in lines[firsts[2] + 1 :])


def test_quiet_says_nothing_but_data() -> None:
    voice = Voice(stream := io.StringIO(), quiet=True)
    voice.title("title")
    voice.table(("a",), (("b",),))
    with voice.progress() as board:
        board.update("x", "y")
        board.done("x")
    voice.data("{}")
    assert stream.getvalue() == "{}\n"


def test_a_reader_that_has_gone_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        voice = Voice(stream)
        voice.write("one")
        assert voice.quiet
        voice.write("two")
        voice.data("three")


def test_another_error_of_the_stream_is_one() -> None:
    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(9, "Bad file descriptor")

    with pytest.raises(OSError, match="Bad file"):
        Voice(Broken()).write("x")


def test_a_full_disk_is_told_as_to_a_person() -> None:
    with open("/dev/full", "w") as stream, pytest.raises(SilverliningError, match="output can't be written: No space left"):
        Voice(stream).write("x")


def test_what_was_dropped_is_not_shown_as_failed() -> None:
    voice = Voice(stream := io.StringIO())
    with voice.progress() as board:
        for name in ("a", "b"):
            board.update(name, "starting")
        board.dropped("a")
        board.failed("b")
    assert stream.getvalue() == "  ✗ b\n"


def test_codes_for_a_terminal_are_left_out_of_what_a_program_said() -> None:
    Voice(stream := io.StringIO()).output("\x1b[2Kredis-slave-1  | \x1b[32mready\x1b[0m\n50 %")
    assert stream.getvalue() == "    redis-slave-1  | ready\n    50 %\n"


@pytest.mark.parametrize("line", ("docker run --name a " + "--env 'A=b c' " * 20 + "image cmd", "short", "sh -c 'a\nb' " + "x " * 80))
def test_a_folded_command_is_the_same_to_a_shell(line: str) -> None:
    assert shlex.split(folded(line, 60).replace("\\\n", "")) == shlex.split(line)


def test_what_is_said_meanwhile_stands_above_what_changes_in_place() -> None:
    """Each line once and whole, in its order, and nothing of the display stays behind."""
    voice = Voice(stream := Terminal())
    with voice.progress() as board:
        for name in ("a", "b", "c"):
            board.update(f"run {name}", "starting")
        time.sleep(0.3)  # the display is drawn eight times a second, whatever happens
        for name in ("a", "b", "c"):
            board.done(f"run {name}")
        voice.note("said meanwhile")
    voice.write("after")
    lines = shown(stream.getvalue())
    assert [line.split("  ")[1] for line in lines[:3]] == ["✓ run a", "✓ run b", "✓ run c"]
    assert lines[3:] == ["  → said meanwhile", "after"]


def shown(text: str) -> list[str]:
    """What is left on a terminal that only knows lines, up, return, and erase: all that the display uses."""
    lines, row, column = [""], 0, 0
    for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|[^\x1b]", text):
        if part == "\n":
            row, column = row + 1, 0
            lines += [""] * (row + 1 - len(lines))
        elif part == "\r":
            column = 0
        elif part.startswith("\x1b"):
            row -= int(part[2:-1] or 1) if part[-1] == "A" else 0
            lines[row] = "" if part == "\x1b[2K" else lines[row]
        else:
            lines[row] = lines[row][:column].ljust(column) + part + lines[row][column + 1 :]
            column += 1
    return [line.rstrip() for line in lines if line.strip()]


@pytest.mark.parametrize("width", (52, 72, 92))
@pytest.mark.parametrize("service", ("ping-app", "haproxy", "redis-master"))
def test_a_command_of_many_flags_keeps_the_width_and_is_the_same_to_a_shell(service: str, width: int) -> None:
    command = line(run(stack("step08-netdata").of(service)[0]))
    told = folded(command, width)
    assert shlex.split(told.replace("\\\n", "")) == shlex.split(command)
    parts = [part.strip().removesuffix(" \\") for part in told.split("\n")]
    # What is longer than a line by itself stands alone.
    assert all(len(part) <= width or len(shlex.split(part)) == 1 for part in parts)
