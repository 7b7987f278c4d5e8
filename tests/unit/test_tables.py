"""Tables: cells below each other, and on a narrow terminal nothing runs over its edge."""

from __future__ import annotations

from silverlining.console.tables import columns, fitted

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


def test_cells_stand_below_each_other() -> None:
    assert columns(ROWS) == fitted(ROWS, 100) == WIDE


def test_a_last_cell_without_room_goes_under_the_second() -> None:
    assert fitted(ROWS, 80) == [
        *WIDE[:2],
        "sentinel      silverlining-sentinel-1    healthy",
        "              sees 172.30.0.10, 2 replicas, 2 others",
    ]


def test_it_is_folded_where_even_that_is_too_wide() -> None:
    lines = fitted(ROWS, 40)
    assert lines[-2:] == ["              sees 172.30.0.10, 2", "                replicas, 2 others"]
    assert "  ".join(("redis-master", "silverlining-redis-master", "healthy")) in lines


def test_two_columns_stay_as_they_are() -> None:
    assert fitted((("container", "packet"), ("a", "x" * 50)), 20) == ["container  packet", "a          " + "x" * 50]
