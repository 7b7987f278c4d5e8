"""Sentinels that look more often while somebody waits: told before, and told back whatever happens between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from silverlining.ops.sentinels import OFTEN, USUAL, attentive


class Engine:
    """Notes what is run in a container, and answers with an exit code."""

    def __init__(self, code: int = 0) -> None:
        self.code = code
        self.told: list[tuple[str, str]] = []

    def exec_create(self, container: str, argv: Sequence[str], user: str = "") -> dict[str, str]:
        assert list(argv[:6]) == ["redis-ask", "-p", "26379", "sentinel", "debug", "info-period"]
        self.told.append((container, argv[6]))
        return {"Id": container}

    def exec_start(self, _id: str) -> bytes:
        return b"OK"

    def exec_inspect(self, _id: str) -> dict[str, Any]:
        return {"ExitCode": self.code}


def told(milliseconds: int) -> set[tuple[str, str]]:
    return {("a", str(milliseconds)), ("b", str(milliseconds))}


@pytest.mark.parametrize("code", [0, 1], ids=["", "an older Redis refuses"])
def test_all_are_told_before_and_after(code: int) -> None:
    engine = Engine(code)
    with attentive(engine, iter(("a", "b"))):
        assert set(engine.told) == told(OFTEN) and len(engine.told) == 2
    assert set(engine.told[2:]) == told(USUAL) and len(engine.told) == 4


def test_an_interrupted_wait_tells_them_back() -> None:
    engine = Engine()
    with pytest.raises(KeyboardInterrupt), attentive(engine, ("a", "b")):
        raise KeyboardInterrupt
    assert set(engine.told[2:]) == told(USUAL)


def test_where_there_are_none_nothing_is_asked() -> None:
    engine = Engine()
    with attentive(engine, ()):
        pass
    assert not engine.told
