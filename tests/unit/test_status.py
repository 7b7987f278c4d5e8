"""What `status` says of a container: a Redis node's role by its own word and by the Sentinels', and what a Sentinel sees."""

from __future__ import annotations

import pytest

from silverlining.model.observed import RedisNode, SentinelView
from silverlining.ops.status import role

from .builders import REDIS, stack, standing

FIVE = stack("step05-sentinel")
MASTER, REPLICA, OTHER = REDIS
ADDRESS = {c.name: c.address for c in FIVE.containers}
NODES = {MASTER: RedisNode("master", "", False, 9), REPLICA: RedisNode("slave", ADDRESS[MASTER], True, 9), OTHER: RedisNode("slave", "", False, 9)}


def said(name: str, *masters: str) -> str:
    """The role of a container where each of the Sentinels takes one node for the master."""
    views = {f"silver-sentinel-{n}": SentinelView(ADDRESS[node], 2, 2) for n, node in enumerate(masters, 1)}
    seen = standing(FIVE, redis=NODES, sentinels=views)
    return next(role(c, seen) for c in seen.containers if c.name == name)


@pytest.mark.parametrize(
    ("name", "masters", "words"),
    (
        (MASTER, (MASTER,) * 3, "master"),
        (REPLICA, (MASTER,) * 3, "replica"),
        (OTHER, (MASTER,) * 3, "replica, link down"),
        (MASTER, (REPLICA,) * 3, "master, but the Sentinels say otherwise"),
        (REPLICA, (REPLICA,) * 3, "replica, but the Sentinels say otherwise"),
        (MASTER, (), "master"),
        (REPLICA, (), "replica"),
        ("silver-sentinel-2", (MASTER,) * 3, f"sees {ADDRESS[MASTER]}, 2 replicas, 2 others"),
        ("silver-ping-app-1", (MASTER,) * 3, ""),
    ),
)
def test_a_role_is_told_by_the_node_and_by_the_sentinels(name: str, masters: tuple[str, ...], words: str) -> None:
    assert said(name, *masters) == words


def test_a_sentinel_that_has_not_found_all_yet() -> None:
    seen = standing(FIVE, redis=NODES, sentinels={"silver-sentinel-1": SentinelView(ADDRESS[MASTER], 2, 0)})
    (word,) = (role(c, seen) for c in seen.containers if c.name == "silver-sentinel-1")
    assert word == f"sees {ADDRESS[MASTER]}; so far 0 of 2 replicas, 2 of 2 others"
