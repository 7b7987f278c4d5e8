"""What was seen: the subnet that is chosen, and the node that is master."""

from __future__ import annotations

import pytest

from silverlining.host.exec import Answer
from silverlining.host.observe import _withheld
from silverlining.model.errors import Conflict
from silverlining.model.observed import Observed, RedisNode, SentinelView, choose_subnet

from .builders import REDIS, settings, stack, standing

FIVE = stack("step05-sentinel")
MASTER, SLAVE1, SLAVE2 = REDIS


@pytest.mark.parametrize(
    ("given", "seen", "subnet"),
    (
        ({}, {}, "172.30.0.0/24"),
        ({}, {"subnets": ("172.30.0.0/24", "172.30.1.0/25", "fd00::/64", "10.0.0.0/8")}, "172.30.2.0/24"),
        ({}, {"subnets": ("172.30.0.0/17",)}, "172.30.128.0/24"),
        ({}, {"subnet": "10.1.1.0/24", "subnets": ("172.30.0.0/24",)}, "10.1.1.0/24"),
        ({}, {"remembered": "172.30.5.0/24"}, "172.30.5.0/24"),
        ({"network_pool": "10.5.0.0/23"}, {"subnets": ("10.5.0.0/24",)}, "10.5.1.0/24"),
        ({"network_subnet": "10.6.0.0/24"}, {}, "10.6.0.0/24"),
        ({"network_subnet": "10.6.0.0/24"}, {"subnet": "10.6.0.0/24"}, "10.6.0.0/24"),
    ),
)
def test_the_subnet_that_is_chosen(given: dict[str, str], seen: dict[str, object], subnet: str) -> None:
    assert choose_subnet(settings(**given), Observed("silver", **seen)) == subnet  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "seen", "words"),
    (
        ({"network_subnet": "10.6.0.0/24"}, {"subnet": "10.7.0.0/24"}, ("10.6.0.0/24", "10.7.0.0/24", "can't be changed")),
        ({"network_subnet": "10.6.0.0/24"}, {"subnets": ("10.0.0.0/8",)}, ("10.6.0.0/24 is taken", "10.0.0.0/8")),
        ({"network_subnet": "10.6.0.0/24"}, {"remembered": "10.7.0.0/24"}, ("10.7.0.0/24", "volumes")),
        ({}, {"remembered": "10.7.0.0/24", "subnets": ("10.7.0.0/16",)}, ("10.7.0.0/24 is taken",)),
        ({"network_pool": "10.5.0.0/24"}, {"subnets": ("10.5.0.128/25",)}, ("no free /24", "10.5.0.0/24")),
    ),
)
def test_no_subnet_is_a_conflict_that_says_why(given: dict[str, str], seen: dict[str, object], words: tuple[str, ...]) -> None:
    with pytest.raises(Conflict) as caught:
        choose_subnet(settings(**given), Observed("silver", **seen))  # type: ignore[arg-type]
    assert all(word in caught.value.what for word in words) and caught.value.hint


def nodes(**roles: str) -> dict[str, RedisNode]:
    names = {"m": MASTER, "a": SLAVE1, "b": SLAVE2}
    return {names[k]: RedisNode("master") if role == "master" else RedisNode("slave", role, True, 9) for k, role in roles.items()}


def views(*masters: str) -> dict[str, SentinelView]:
    return {f"silver-sentinel-{n}": SentinelView(address, 2, 2) for n, address in enumerate(masters, 1)}


@pytest.mark.parametrize(
    ("redis", "sentinels", "master"),
    (
        (nodes(m="master", a="10.0.7.10"), views(*["10.0.7.10"] * 3), MASTER),
        (nodes(m="master", a="master"), views("10.0.7.11", "10.0.7.11", "10.0.7.10"), SLAVE1),  # the old one has just come back
        (nodes(m="10.0.7.11", a="master"), views(*["10.0.7.10"] * 3), SLAVE1),  # the Sentinels have not heard of it yet
        (nodes(m="master", a="master"), {}, MASTER),
        (nodes(m="10.0.7.11"), views(*["10.0.7.11"] * 3), ""),  # it hangs
        ({}, {}, ""),
    ),
)
def test_the_master_is_who_most_sentinels_say_if_it_agrees(redis: dict[str, RedisNode], sentinels: dict[str, SentinelView], master: str) -> None:
    assert standing(FIVE, redis=redis, sentinels=sentinels).master == master


def test_without_sentinels_the_one_with_replicas_is_the_master() -> None:
    redis = {MASTER: RedisNode("master", offset=99), SLAVE1: RedisNode("master", offset=5, replicas=1)}
    assert standing(FIVE, redis=redis, sentinels={}).master == SLAVE1


STATES = """HAProxy answers, confd runs
1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight
3 webserver 1 app1 172.30.0.31 2 0 1 1
3 webserver 2 app2 172.30.0.32 2 8 1 1
3 webserver 3 app3 172.30.0.33 0 1 1 1
3 webserver 4 app4 - 0 32 1 1"""


@pytest.mark.parametrize(("answer", "withheld"), ((Answer(0, STATES), ["app2", "app3"]), (Answer(1, STATES), []), (Answer(0, "HAProxy answers"), [])))
def test_the_servers_that_haproxy_gives_nothing(answer: Answer, withheld: list[str]) -> None:
    """By an administrator's word, which stays; one without an address (32) comes by itself."""
    assert _withheld(answer) == withheld
