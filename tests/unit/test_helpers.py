"""What killed runs leave: helpers that have ended go with the next run, those that may be at work and the lock stay."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from silverlining.host.helpers import sweep
from silverlining.model import labels

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


class Engine:
    """An engine with helpers of these kinds and ages (seconds)."""

    def __init__(self, *helpers: tuple[str, float]) -> None:
        self.there = [
            {"Id": f"{kind}-{age:g}", "Created": NOW.timestamp() - age, "Labels": {labels.STACK: "sl", labels.HELPER: kind}} for kind, age in helpers
        ]
        self.gone: list[str] = []
        self.asked: list[Any] = []

    def containers(self, **words: Any) -> list[dict[str, Any]]:
        self.asked.append(words["filters"])
        return self.there

    def info(self) -> dict[str, str]:
        # An engine tells its clock in its own zone.
        return {"SystemTime": NOW.astimezone(timezone(timedelta(hours=2))).strftime("%Y-%m-%dT%H:%M:%S.123456789+02:00")}

    def remove_container(self, name: str, v: bool) -> None:
        self.gone.append(name)


def test_only_old_helpers_go() -> None:
    engine = Engine(("sh", 90), ("sh", 5), ("lock", 900), ("audit", 3600))
    sweep(engine, "sl")
    assert engine.gone == ["sh-90", "audit-3600"]
    (asked,) = engine.asked
    assert f"{labels.STACK}=sl" in asked["label"] and "running" not in asked["status"]


def test_nothing_left_asks_for_no_clock() -> None:
    engine = Engine()
    engine.info = lambda: 1 / 0  # type: ignore[method-assign, assignment, return-value]
    sweep(engine, "sl")
    assert engine.gone == []
