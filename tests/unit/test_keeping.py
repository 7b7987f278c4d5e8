"""The lock of an operation that takes it several times: held from the first to the end, and one line in the trail."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from silverlining.model.errors import Busy
from silverlining.ops import lock as ours
from silverlining.ops.lock import keeping, lock

TOOLS: Any = SimpleNamespace(reference="tools:1")


class FakeLock:
    """Notes what becomes of it."""

    def __init__(self, notes: list[str]) -> None:
        self.notes = notes
        self.is_lost = False

    def __enter__(self) -> FakeLock:
        self.notes.append("taken")
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self.notes.append(f"let go: {error}")

    def check(self) -> None:
        if self.is_lost:
            raise Busy("lost", "again")


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    made: list[str] = []
    monkeypatch.setattr(ours, "new_lock", lambda desk, tools: FakeLock(made))
    return made


@pytest.fixture
def desk() -> Any:
    return SimpleNamespace(kept=None, held=None)


def test_alone_it_is_let_go_of_at_the_end_of_its_block(desk: Any, notes: list[str]) -> None:
    for _time in range(2):
        with lock(desk, TOOLS):
            notes.append("work")
    assert notes == ["taken", "work", "let go: None"] * 2


def test_kept_it_is_taken_once_and_held_to_the_end(desk: Any, notes: list[str]) -> None:
    with keeping(desk):
        assert not notes, "who changes nothing needs none"
        with lock(desk, TOOLS) as first:
            notes.append("converge")
        with lock(desk, TOOLS) as second:
            notes.append("lesson")
        assert first is second
    assert notes == ["taken", "converge", "lesson", "let go: None"]
    with lock(desk, TOOLS) as third:
        assert third is not first


def test_kept_it_hears_of_the_error_that_ends_the_block(desk: Any, notes: list[str]) -> None:
    with pytest.raises(ValueError), keeping(desk):
        with lock(desk, TOOLS):
            pass
        raise ValueError("the lesson")
    assert notes == ["taken", "let go: the lesson"] and desk.held is desk.kept is None


def test_kept_and_lost_nothing_more_is_begun(desk: Any, notes: list[str]) -> None:
    with pytest.raises(Busy), keeping(desk):
        with lock(desk, TOOLS) as held:
            held.is_lost = True  # type: ignore[attr-defined]
        with lock(desk, TOOLS):
            notes.append("never")
    assert "never" not in notes
