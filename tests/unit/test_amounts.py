"""Sizes, ages and rates as people read them; and that a pipe gets them as lines, not too often."""

from __future__ import annotations

import io

import pytest

from silverlining.console import board as console
from silverlining.console.voice import Voice
from silverlining.model.amounts import age, pace, size


@pytest.mark.parametrize(
    ("amount", "words"), ((0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (12_345, "12 kB"), (312e6, "312 MB"), (1.26e9, "1.3 GB"), (5e15, "5000 TB"))
)
def test_size(amount: float, words: str) -> None:
    assert size(amount) == words


@pytest.mark.parametrize(("seconds", "words"), ((-3, "0 s"), (40, "40 s"), (600, "10 min"), (3 * 3600, "3 h"), (12 * 86400, "12 days")))
def test_age(seconds: float, words: str) -> None:
    assert age(seconds) == words


def test_pace() -> None:
    assert pace(120_000_000, 312_000_000, 4) == "38 %, 120 MB of 312 MB, 30 MB/s"
    assert pace(120_000_000, 0, 4) == "120 MB, 30 MB/s"
    assert pace(0, 10, 0) == pace(0, 10, 0.01) == "0 %, 0 B of 10 B"


def test_amounts_in_a_pipe_are_lines_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(console.time, "monotonic", lambda: now)
    stream = io.StringIO()
    with Voice(stream).progress() as board:
        for percent in range(100):
            board.amount("loading x", f"{percent} %")
            now += 0.125
        board.done("loading x", "45 MB/s")
    assert stream.getvalue().splitlines() == ["  … loading x: 0 %", "  … loading x: 40 %", "  … loading x: 80 %", "  ✓ loading x (45 MB/s)  12.5 s"]
