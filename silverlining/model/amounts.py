"""Amounts as people read them: sizes, rates and ages. Pure functions."""

from __future__ import annotations

from .text import _

STEP = 1000
SOON = 0.2  # seconds
UNITS = ("B", "kB", "MB", "GB", "TB")


def size(amount: float) -> str:
    """A number of bytes with its unit: "0 B", "812 kB", "1.3 GB"."""
    unit, *larger = UNITS
    while larger and amount >= STEP:
        amount /= STEP
        unit, *larger = larger
    return f"{amount:.1f} {unit}" if amount < 10 and unit != "B" else f"{amount:.0f} {unit}"


def age(seconds: float) -> str:
    """A time that has gone by in its largest whole unit: "40 s", "3 h", "12 days"."""
    if seconds < 120:
        return _("{count} s").format(count=max(0, int(seconds)))
    if seconds < 7200:
        return _("{count} min").format(count=int(seconds // 60))
    if seconds < 48 * 3600:
        return _("{count} h").format(count=int(seconds // 3600))
    return _("{count} days").format(count=int(seconds // 86400))


def pace(done: int, total: int, seconds: float) -> str:
    """How far something is: "38 %, 120 MB of 312 MB, 45 MB/s"; without `total` (0) only the bytes and their rate."""
    # The first moment's rate says nothing.
    rate = _("{size}/s").format(size=size(done / seconds)) if seconds >= SOON else ""
    if total:
        words = _("{percent} %, {done} of {total}").format(percent=min(100, done * 100 // total), done=size(done), total=size(total))
    else:
        words = size(done)
    return f"{words}, {rate}" if rate else words
