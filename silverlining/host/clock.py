"""The engine's own clock, by which it dates all that it has; this machine's may be far from it."""

from __future__ import annotations

from typing import Any

from ..model.logs import nanoseconds


def engine_time(client: Any) -> int:
    """What it shows now, in nanoseconds since 1970."""
    return nanoseconds(client.info()["SystemTime"])
