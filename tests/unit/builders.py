"""Small builders for the unit tests: settings, images, stacks, and what is seen of a stack that stands."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

import steps
from silverlining.model import pretend
from silverlining.model.observed import Observed, SeenContainer
from silverlining.model.settings import PREFIX, Settings, load
from silverlining.model.stack import Code, Container, ImageRef, Stack, resolve

ROOT = Path(__file__).parents[2]
EXAMPLE: dict[str, Any] = yaml.safe_load((ROOT / "docs" / "silverlining.example.yaml").read_text())
HERE = Code("/code")
SUBNET = "10.0.7.0/24"
ALL = tuple(name for name in steps.NAMES if name != "step09-compose")  # step09 has step08's topology; Compose brings it up
WITH_REDIS = tuple(name for name in ALL if steps.load(name).TOPOLOGY.has("redis-master"))
WITH_SENTINELS = tuple(name for name in ALL if steps.load(name).TOPOLOGY.has("sentinel"))
REDIS = ("silver-redis-master-1", "silver-redis-slave-1", "silver-redis-slave-2")


def settings(**given: object) -> Settings:
    """The example's settings for a stack called silver; `ports_web=81` sets ports.web, as the environment does."""
    return load(EXAMPLE, environment={f"{PREFIX}{name.upper()}": str(value) for name, value in {"stack": "silver", **given}.items()})


def images(edited: tuple[str, ...] = ()) -> dict[str, ImageRef]:
    """All images of all steps; those that are `edited` have another fingerprint."""
    names = {"tools", *(service.image for step in ALL for service in steps.load(step).TOPOLOGY.services)}
    return {n: ImageRef(n, f"silverlining/{n.replace('/', '-')}:{'new' if n in edited else 'old'}", f"{n}-{n in edited}") for n in names}


@cache
def stack(step: str, edited: tuple[str, ...] = (), subnet: str = SUBNET, code: Code = HERE, **given: object) -> Stack:
    """The stack of a step."""
    return resolve(steps.load(step).TOPOLOGY, settings(**given), subnet, images(edited), code)


@cache
def spares() -> dict[str, Container]:
    """What ops/desk hands over: every Redis node that there could be."""
    full = stack("step05-sentinel", counts_redis_slave=9)
    return {c.name: c for c in full.containers if c.service.startswith("redis")}


def seen(c: Container, **changes: Any) -> SeenContainer:
    """A container as it is seen when it stands as defined."""
    return replace(pretend.seen(c), **{"id": f"id-{c.name}", **changes})


def standing(stack: Stack, **changes: Any) -> Observed:
    """What is seen of a host on which the stack stands, its first Redis being the master."""
    return replace(pretend.standing(stack), **{"containers": tuple(map(seen, stack.containers)), **changes})
