"""Progress in a pipe: where slow work is, as plain lines that are neither missing nor too many."""

from __future__ import annotations

import io
import time
from typing import Any

import pytest

from silverlining.console import board as boards
from silverlining.console.voice import Voice
from silverlining.model.errors import SilverliningError

from .test_voice import Terminal


class Clock:
    """A time that goes on when somebody says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(boards.time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_a_slow_thing_says_its_current_step(clock: Clock) -> None:
    stream = io.StringIO()
    with Voice(stream).progress(slow=True) as board:
        for _second in range(12):
            board.update("image app", f"packages: Step {1 + int(clock.now - 100) // 6}/2")
            clock.now += 1
        board.done("image app", "packages")
    assert stream.getvalue().splitlines() == [
        "  … image app: packages: Step 1/2",
        "  … image app: packages: Step 2/2",
        "  ✓ image app (packages)  12.0 s",
    ]


def test_each_name_has_a_time_of_its_own(clock: Clock) -> None:
    stream = io.StringIO()
    with Voice(stream).progress(slow=True) as board:
        for step in range(3):
            for name in ("a", "b"):
                board.update(name, f"step {step}")
            clock.now += 4
    assert stream.getvalue().splitlines() == ["  … a: step 0", "  … b: step 0", "  … a: step 2", "  … b: step 2"]


def test_what_was_done_may_begin_again_at_once(clock: Clock) -> None:
    stream = io.StringIO()
    with Voice(stream).progress(slow=True) as board:
        board.update("a", "one")
        board.done("a")
        board.update("a", "one")
    assert stream.getvalue().splitlines() == ["  … a: one", "  ✓ a  0.0 s", "  … a: one"]


def test_a_step_that_came_too_early_and_stays_is_said_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boards, "EVERY", 1.0)
    stream = io.StringIO()
    with Voice(stream).progress(slow=True) as board:
        for words in ("pulling", "unpacking", "the one that takes minutes"):
            board.update("a", words)
        end = time.monotonic() + 10
        while "minutes" not in stream.getvalue() and time.monotonic() < end:
            time.sleep(0.02)
        board.update("a", "the one that takes minutes")
    assert stream.getvalue().splitlines() == ["  … a: pulling", "  … a: the one that takes minutes"]


def test_a_disk_that_fills_up_meanwhile_is_told_where_the_work_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boards, "EVERY", 1.0)
    voice = Voice(io.StringIO())
    with voice.progress(slow=True) as board:
        board.update("a", "one")

        def full(text: str) -> None:
            raise SilverliningError("the output can't be written")

        voice.above = full
        board.update("a", "two")
        board._teller.join(10)  # type: ignore[union-attr]
        with pytest.raises(SilverliningError, match="can't be written"):
            board.update("a", "three")


def test_a_long_command_is_cut(clock: Clock) -> None:
    voice = Voice(stream := io.StringIO())
    with voice.progress(slow=True) as board:
        board.update("a", "RUN " + "apt-get " * 50)
        board.update("b", "refused\nand why")
    first, second = stream.getvalue().splitlines()
    assert len(first) == voice.width and first.endswith(" …") and second == "  … b: refused"


def test_what_is_quick_says_that_it_is_done_and_no_more(clock: Clock) -> None:
    stream = io.StringIO()
    with Voice(stream).progress() as board:
        board.update("run a", "starting")
        clock.now += 4
        board.update("run a", "waiting")
        board.done("run a")
    assert stream.getvalue().splitlines() == ["  ✓ run a  4.0 s"]


def test_what_takes_long_is_told_although_it_is_quick_as_a_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container that doesn't become healthy says so while it is waited for, each state once."""
    monkeypatch.setattr(boards, "EVERY", 0.5)
    stream = io.StringIO()
    with Voice(stream).progress() as board:
        board.update("run a", "starting")
        board.update("run a", "waiting: unhealthy")
        end = time.monotonic() + 10
        while not stream.getvalue() and time.monotonic() < end:
            time.sleep(0.02)
        board.done("run a")
    first, last = stream.getvalue().splitlines()
    assert first == "  … run a: waiting: unhealthy" and last.startswith("  ✓ run a")


@pytest.mark.parametrize("columns", (60, 80))
def test_a_rate_is_seen_beside_a_long_name(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(columns))
    name, words = "loading a-bundle-with-quite-a-long-name-2026-11.bundle", "38 %, 120 MB of 312 MB, 45 MB/s"
    with Voice(Terminal()).progress() as live:
        board: Any = live
        board.update(name, words)
        line = str(board._lines())
    assert line.endswith(f".bundle: {words} (0 s)") and len(line) < columns


def test_on_a_page_that_does_not_scroll_what_is_done_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    voice = Voice(terminal := Terminal())
    voice.brief = "invoke step05-sentinel --dry"
    with voice.progress() as live:
        board: Any = live
        for number in range(20):
            board.update(f"run {number}", "starting")
        assert len(str(board._lines()).splitlines()) == boards.BRIEF
        for number in range(20):
            board.done(f"run {number}")
        assert str(board._lines()) == "  ✓ 20 are done"
    assert terminal.getvalue().endswith("  ✓ 20 are done\n") and "✓ run 1" not in terminal.getvalue()


@pytest.mark.parametrize("end", ("done", "failed", "dropped"))
def test_on_a_terminal_nothing_is_said_twice(end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    voice = Voice(Terminal())
    with voice.progress(slow=True) as live:
        board: Any = live
        board.update("a", "one")
        board.amount("b", "2 %")
        assert board.words == {"a": "one", "b": "2 %"} and not board._told
        getattr(board, end)("a")
        assert board.words == {"b": "2 %"}
