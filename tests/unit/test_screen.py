"""Pages for a room: nothing is wider than the terminal, nothing scrolls away, and in a pipe all is plain lines."""

from __future__ import annotations

import io

import pytest

from silverlining.console.fold import BREAK, columns, fold, pages
from silverlining.console.screen import Screen

from .test_voice import Terminal

STYLED = "\x1b[33m$ docker run --name silverlining-redis-master-1 silverlining/upstream-redis:0123456789ab\x1b[0m"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("LINES", "20")


@pytest.mark.parametrize(
    "line", ("  word " * 30, "    " + "x" * 200, STYLED, "    a\tb" * 20, "  中文" * 40, "a " + "y" * 70, "    NAMES    STATUS" * 6)
)
@pytest.mark.parametrize("width", (20, 60))
def test_a_folded_line_keeps_its_words_within_the_width(line: str, width: int) -> None:
    folded = fold(line, width)
    assert all(columns(part) <= width for part in folded) and len(folded) > 1
    assert "".join("".join(folded).split()) == "".join(line.split())
    indents = {len(part) - len(part.lstrip(" ")) for part in folded[1:]}
    assert len(indents) == 1


def test_a_short_line_is_left_alone_and_a_program_cannot_move_the_cursor() -> None:
    assert fold("  $ docker ps", 60) == ["  $ docker ps"]
    assert fold("\x1b[2Jgone\x1b[10;1H\x07\r \x1b[31mred\x1b[0m\x1b[?25l", 60) == ["gone \x1b[31mred\x1b[0m"]


def test_one_page_if_it_fits() -> None:
    assert pages(["a", BREAK, "b", ""], 3) == [["a", "b"]]
    assert pages([], 3) == [[]]


def test_pages_end_at_a_break_if_that_can_be() -> None:
    assert pages(["a", "b", BREAK, "c", "d", BREAK, "e"], 4) == [["a", "b"], ["c", "d", "", "e"]]
    assert pages([*"abcdefg", BREAK, "h"], 3) == [["a", "b", "c"], ["d", "e", "f"], ["g", "", "h"]]
    assert pages(["a", BREAK, *"bcdefg"], 6) == [["a", "", "b", "c", "d", "e"], ["f", "g"]], "a page with one line says little"
    every = [line for page in pages([*map(str, range(100))], 7) for line in page]
    assert every == [*map(str, range(100))]


def said(screen: Screen) -> str:
    stream = screen.stream
    assert isinstance(stream, io.StringIO)
    return stream.getvalue()


def filled(count: int) -> Screen:
    screen = Screen(Terminal(), paged=True)
    screen.begin("step03-redis", "act 1 of 3", "A title")
    for number in range(count):
        screen.write(f"  line {number};")
    return screen


def test_a_page_that_fits_is_shown_as_it_comes() -> None:
    screen = filled(5)
    assert "\x1b[2J" in said(screen) and "line 4;" in said(screen)
    assert screen.parts == 1 and not screen.full


def test_what_does_not_fit_waits_and_nothing_is_lost() -> None:
    screen = filled(40)
    assert screen.full and screen.parts == 3
    assert "line 12;" in said(screen) and "line 14;" not in said(screen)
    for part in range(screen.parts):
        screen.again(part)
    last = said(screen).split("\x1b[2J")
    assert [f"line {n};" in said(screen) for n in range(40)] == [True] * 40
    assert all(len(page.splitlines()) <= screen.rows - 3 for page in last[2:])
    assert all("A title" in page for page in last[1:])


def test_an_aside_gives_the_page_back() -> None:
    screen = filled(3)
    with screen.aside():
        screen.begin("step03-redis", "the picture", "Another")
        screen.write("something else")
    assert screen.stale
    screen.again(0)
    assert "line 2;" in said(screen).rsplit("\x1b[2J", 1)[1] and not screen.stale


@pytest.mark.parametrize("colour", ("", "1"))
def test_nothing_is_wider_than_the_terminal(colour: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if colour:
        monkeypatch.setenv("NO_COLOR", colour)
    screen = Screen(Terminal(), paged=True)
    screen.begin("step07-etcd-confd", "act 12 of 30", "A long title " * 9)
    screen.text("text " * 60)
    screen.command("docker run " + "--label io.silverlining.stack=silver " * 9 + "x" * 90)
    screen.output("NAMES                STATUS                    PORTS           \n" + "z" * 100)
    screen.ok("fine " * 30)
    screen.note("look " * 30)
    screen.table(("one", "two"), (("a" * 40, "b" * 40),))
    screen.strip("before", [("", "redis-master"), ("+", "redis-slave ×2"), ("-", "nginx"), ("~", "ping-app ×3")])
    screen.entries([("redis-slave ×2", "words " * 20)])
    screen.keys([("Enter", "make it so"), ("b", "back: step07-etcd-confd"), ("s", "shell: redis-master"), ("?", "picture"), ("q", "leave")])
    for part in range(screen.parts):
        screen.again(part)
    lines = said(screen).replace("\x1b[2J\x1b[H", "\n").splitlines()
    assert max(map(columns, lines)) <= 60
    assert ("\x1b[1;7m" in said(screen)) == (not colour)


def test_a_dumb_terminal_is_not_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b" not in said(filled(5))


def test_in_a_pipe_all_is_plain_lines_at_once() -> None:
    screen = Screen(stream := io.StringIO(), paged=True)
    screen.begin("step03-redis", "act 1 of 3", "Each hit adds one")
    for number in range(200):
        screen.write(f"  line {number} " + "x" * 100)
    lines = stream.getvalue().splitlines()
    assert lines[:2] == ["", "step03-redis · act 1 of 3 · Each hit adds one"] and len(lines) == 202
    assert screen.parts == 1 and not screen.full


def test_the_signs_are_said_too() -> None:
    screen = Screen(stream := io.StringIO())
    screen.signed("+", "new: netdata")
    screen.strip("after", [("", "django"), ("+", "redis-master")])
    assert stream.getvalue() == "  + new: netdata\n  after     django  +redis-master\n"
