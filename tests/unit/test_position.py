"""Which step a host is taken to be at, from what stands there."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

import steps
from silverlining.model.observed import Observed
from silverlining.ops.position import find

from .builders import settings, stack, standing

DESK: Any = SimpleNamespace(
    settings=settings(),
    planned=lambda topologies: {topology.step: None for topology in topologies},
    stack=lambda topology, images, seen, subnet: stack(topology.step),
)


def without(seen: Observed, *services: str) -> Observed:
    return replace(seen, containers=tuple(c for c in seen.containers if c.service not in services))


@pytest.mark.parametrize("step", steps.NAMES[:-1])
def test_where_all_stands_it_is_that_step(step: str) -> None:
    position, found = find(DESK, standing(stack(step)))
    assert (position.step, position.exact, str(position)) == (step, True, step)
    assert found == stack(step)


@pytest.mark.parametrize(
    ("stood", "gone", "step"),
    (
        ("step02-django", ("django",), "step00-install"),
        # step03 and step04 have this Redis alike: the label tells which of them has made it.
        ("step03-redis", ("django",), "step03-redis"),
        ("step04-image", ("ping-app",), "step04-image"),
        ("step03-redis", ("redis-master",), "step02-django"),
        ("step05-sentinel", ("ping-app",), "step05-sentinel"),
        ("step08-netdata", ("netdata",), "step07-etcd-confd"),
        ("step08-netdata", ("haproxy", "ping-app"), "step08-netdata"),
    ),
)
def test_of_what_stands_in_part_the_step_that_fits_best(stood: str, gone: tuple[str, ...], step: str) -> None:
    assert find(DESK, without(standing(stack(stood)), *gone))[0].step == step


def test_of_steps_that_fit_alike_the_first_where_the_labels_tell_nothing() -> None:
    seen = without(standing(stack("step04-image")), "ping-app")
    older = replace(seen, containers=tuple(replace(c, step="step99-other") for c in seen.containers))
    assert find(DESK, older)[0].step == "step03-redis"


def test_what_differs_is_said() -> None:
    position, _stack = find(DESK, without(standing(stack("step08-netdata")), "netdata", "ping-app"))
    assert not position.exact and "ping-app 0 of 3" in str(position)
