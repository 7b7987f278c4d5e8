"""Tables: cells below each other, and on a narrow terminal nothing runs over its edge."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from silverlining.console.tables import columns, fitted
from silverlining.console.voice import Voice
from silverlining.model.images import IMAGES
from silverlining.ops import bundles, status

from .builders import stack, standing
from .test_voice import Terminal

ROWS = (
    ("service", "container", "state", "role"),
    ("redis-master", "silverlining-redis-master", "healthy", "master"),
    ("sentinel", "silverlining-sentinel-1", "healthy", "sees 172.30.0.10, 2 replicas, 2 others"),
)
WIDE = [
    "service       container                  state    role",
    "redis-master  silverlining-redis-master  healthy  master",
    "sentinel      silverlining-sentinel-1    healthy  sees 172.30.0.10, 2 replicas, 2 others",
]


LONG_ROW = ("app", "to get: bundle, streamed, mirror, packages", "", "", "")


def lines(rows: Any, width: int) -> list[str]:
    """All lines of a fitted table; none is wider than asked for, none is blank."""
    found = [line for row in fitted(rows, width) for line in row]
    assert all(line.strip() and len(line) <= width for line in found), found
    return found


def test_cells_stand_below_each_other() -> None:
    assert columns(ROWS) == lines(ROWS, 100) == WIDE


def test_a_last_cell_without_room_goes_under_the_second() -> None:
    assert lines(ROWS, 80) == [
        *WIDE[:2],
        "sentinel      silverlining-sentinel-1    healthy",
        "              sees 172.30.0.10, 2 replicas, 2 others",
    ]


def test_all_cells_without_room_go_there_and_stand_below_each_other_too() -> None:
    assert lines(ROWS, 46) == [
        "service       container",
        "              state    role",
        "redis-master  silverlining-redis-master",
        "              healthy  master",
        "sentinel      silverlining-sentinel-1",
        "              healthy",
        "              sees 172.30.0.10, 2 replicas, 2",
        "                others",
    ]


def test_where_a_word_has_no_room_there_it_goes_under_the_first() -> None:
    assert lines(ROWS, 30)[2:4] == ["redis-master", "  silverlining-redis-master"]
    assert lines((("container", "packet"), ("a", "x" * 30)), 20) == ["container  packet", "a", "  " + "x" * 18, "    " + "x" * 12]


def test_a_first_cell_that_is_too_wide_is_folded() -> None:
    assert lines((("name", "n"), ("word " * 6, "1")), 20) == ["name", "  n", "word word word word", "  word word", "  1"]


def test_a_cell_with_nothing_behind_it_makes_no_column_wider() -> None:
    rows = (("image", "rung", "digest", "size", "age"), LONG_ROW, ("haproxy", "packages", "0123456789ab", "101 MB", "12 days"))
    assert lines(rows, 51) == [
        "image    rung      digest        size    age",
        "app      to get: bundle, streamed, mirror, packages",
        "haproxy  packages  0123456789ab  101 MB  12 days",
    ]
    assert lines(rows, 50)[1:3] == ["app      to get: bundle, streamed, mirror,", "           packages"]
    assert lines(rows, 60) == lines(rows, 51)


# ---- the tables of the default stack


@pytest.fixture(params=(60, 80))
def terminal(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A desk with a terminal of that many columns; `lines` are what stands on it."""
    monkeypatch.setenv("COLUMNS", str(request.param))
    monkeypatch.setenv("NO_COLOR", "1")
    desk: Any = SimpleNamespace(voice=Voice(Terminal()), settings=SimpleNamespace(images=SimpleNamespace(bundle="")))
    desk.lines = lambda: desk.voice.stream.getvalue().splitlines()
    desk.columns = request.param
    return desk


def test_status_fits(terminal: Any) -> None:
    whole = stack("step08-netdata", stack="silverlining", subnet="172.30.0.0/24")
    status.table(terminal, standing(whole))
    found = terminal.lines()
    assert all(line.strip() and len(line) <= terminal.columns for line in found), found
    for cell in (cell for c in whole.containers for cell in (c.name, c.address)):
        assert any(cell in line for line in found)
    wanted = {
        60: ["  redis-master  silverlining-redis-master-1  healthy", "                172.30.0.10         master"],
        80: ["  redis-master  silverlining-redis-master-1  healthy  172.30.0.10         master"],
    }[terminal.columns]
    assert "\n".join(wanted) in "\n".join(found)


def test_images_fit(terminal: Any) -> None:
    """Some are there, and those that aren't can be had in many ways."""
    there = set(list(IMAGES)[::2])
    planned = {
        name: SimpleNamespace(reference=f"{name}:1", rung="present" if name in there else "to get", source="packages", fingerprint="f")
        for name in IMAGES
    }
    terminal.settings.images.bundle = "all.bundle"
    terminal.store = SimpleNamespace(
        plan_for=lambda names, listed: planned,
        streamable=lambda names, present: dict.fromkeys(names, ""),
        rungs=lambda name: ["mirror", "official", "packages"],
    )
    entries = [{"Id": "sha256:" + "0123456789ab" * 5, "RepoTags": [f"{name}:1"], "Created": 0, "Size": 101e6} for name in there]
    terminal.host = SimpleNamespace(client=SimpleNamespace(images=lambda: entries))
    bundles.list_images(terminal)
    table = [line for line in terminal.lines()[2:] if not line.startswith(("  →", "    "))]
    assert all(line.strip() and len(line) <= terminal.columns for line in terminal.lines()[1:])
    assert [line.split()[0] for line in table] == ["image", *IMAGES]
    assert table[0].split() == ["image", "rung", "digest", "size", "age"]
