"""The picture in the terminal: every container with its address and ports, on the way from the client to Redis, within the width."""

from __future__ import annotations

import pytest

from silverlining.model.picture import LAYERS, draw

from .builders import ALL, stack


@pytest.mark.parametrize("width", (40, 80, 200))
@pytest.mark.parametrize("step", ALL)
def test_every_container_is_drawn_within_the_width(step: str, width: int) -> None:
    made = stack(step)
    lines = draw(made, width).splitlines()
    assert all(len(line) <= width for line in lines)
    assert "\n".join(lines).count("┌") == len(made.containers) == "\n".join(lines).count("┘")
    for c in made.containers:
        assert any(f"{c.service} {c.index}" in line for line in lines)
        assert any(f"{c.address} " in line for line in lines)


def test_every_service_of_the_course_has_its_layer() -> None:
    assert {s.name for step in ALL for s in stack(step).topology.services} == {name for layer in LAYERS for name in layer}


def test_the_exact_picture_of_a_small_stack() -> None:
    assert draw(stack("step03-redis")) == "\n".join(
        (
            "  ┌──────────┐",
            "  │ django 1 │",
            "  │ 10.0.7.3 │",
            "  │ :8080    │",
            "  └──────────┘",
            "          │",
            "  ┌────────────────┐",
            "  │ redis-master 1 │",
            "  │ 10.0.7.10      │",
            "  │ private        │",
            "  └────────────────┘",
        )
    )


def test_a_public_port_is_marked() -> None:
    lines = draw(stack("step08-netdata")).splitlines()
    assert any("│ *:80 :8404 │" in line for line in lines)


def test_from_the_client_down_to_redis() -> None:
    text = draw(stack("step08-netdata"))
    places = [text.index(name) for name in ("haproxy 1", "ping-app 1", "redis-master 1", "sentinel 1", "netdata 1")]
    assert places == sorted(places)


def test_a_bare_host_has_no_picture() -> None:
    assert draw(stack("step00-install")) == ""
