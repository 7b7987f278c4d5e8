"""Each step's topology is what the course's table says, and derives from the one before."""

from __future__ import annotations

import pytest

import steps
from silverlining.model.service import Service
from silverlining.model.topology import Topology

from .builders import ALL, SUBNET, stack

REDIS3 = {"redis-master": 1, "redis-slave": 2, "sentinel": 3}
# step: (from which it derives, containers of each service, what is published: service → (setting, public))
TABLE: dict[str, tuple[str, dict[str, int], dict[str, list[tuple[str, bool]]]]] = {
    "step00-install": ("", {}, {}),
    "step01-nginx": ("step00-install", {"nginx": 1}, {"nginx": [("web", True)]}),
    "step02-django": ("step01-nginx", {"django": 1}, {"django": [("app", False)]}),
    "step03-redis": ("step02-django", {"django": 1, "redis-master": 1}, {"django": [("app", False)]}),
    "step04-image": ("step03-redis", {"ping-app": 1, "redis-master": 1}, {"ping-app": [("app", False)]}),
    "step05-sentinel": ("step04-image", {"ping-app": 1, **REDIS3}, {"ping-app": [("app", False)]}),
    "step06-lvs": ("step05-sentinel", {"ping-app": 3, "lvs": 1, **REDIS3}, {}),
    "step06-haproxy": ("step05-sentinel", {"ping-app": 3, "haproxy": 1, **REDIS3}, {"haproxy": [("web", True), ("stats", False)]}),
    "step07-etcd-confd": (
        "step06-haproxy",
        {"ping-app": 3, "haproxy": 1, "etcd": 1, **REDIS3},
        {"haproxy": [("web", True), ("stats", False)], "etcd": [("etcd", False)]},
    ),
    "step08-netdata": (
        "step07-etcd-confd",
        {"ping-app": 3, "haproxy": 1, "etcd": 1, "netdata": 1, **REDIS3},
        {"haproxy": [("web", True), ("stats", False)], "etcd": [("etcd", False)], "netdata": [("netdata", False)]},
    ),
}


def topology(step: str) -> Topology:
    found: Topology = steps.load(step).TOPOLOGY
    return found


def test_the_table_has_every_step() -> None:
    assert tuple(TABLE) == ALL and set(steps.NAMES) - set(ALL) == {"step09-compose"}
    assert steps.NAMES[-1] == "step09-compose" and steps.LAST == "step08-netdata"


@pytest.mark.parametrize("step", ALL)
def test_each_step_stands_for_what_the_table_says(step: str) -> None:
    _before, counts, published = TABLE[step]
    made = stack(step)
    assert {s.name: len(made.of(s.name)) for s in made.topology.services} == counts
    assert {s.name: [(p.setting, p.public) for p in s.ports] for s in made.topology.services if s.ports} == published


@pytest.mark.parametrize("step", ALL[1:])
def test_each_step_derives_from_the_one_before(step: str) -> None:
    before = TABLE[step][0]
    assert steps.load(step).BEFORE is topology(before)
    assert topology(step).step == step


def test_compose_runs_the_topology_of_the_step_before() -> None:
    assert topology("step09-compose").services == topology("step08-netdata").services


@pytest.mark.parametrize("step", ALL[3:])
def test_only_the_web_port_is_public(step: str) -> None:
    assert {p.setting for s in topology(step).services for p in s.ports if p.public} <= {"web"}


@pytest.mark.parametrize("step", ALL[1:])
def test_a_step_has_an_entry_and_each_service_a_health_check(step: str) -> None:
    made = topology(step)
    assert made.entry and (made.entry[0] == "" or hasattr(stack(step).settings.ports, made.entry[0]))
    assert made.entry[1] != "/" or not made.has("redis-master"), "GET / counts"
    assert all(s.health and s.restart == "unless-stopped" and s.memory and s.cpus for s in made.services)


def test_registry_and_links() -> None:
    assert [topology(step).registry for step in ALL] == [*[""] * 7, "static", "etcd", "etcd"]
    assert topology("step03-redis").service("django").links == (("redis-master", "db"),)
    assert topology("step07-etcd-confd").service("haproxy").links == (("etcd", "etcd"),)


@pytest.mark.parametrize("step", ALL)
def test_links_and_after_name_services_that_stand(step: str) -> None:
    made = topology(step)
    for service in made.services:
        assert all(made.has(other) for other, _alias in service.links)
        assert all(made.has(other) for other in service.after)


def test_no_two_containers_share_an_address_however_much_is_scaled() -> None:
    used: dict[str, str] = {}
    for step in ALL:
        made = stack(step, subnet=SUBNET, counts_ping_app=90, counts_redis_slave=9, counts_sentinel=9)
        for c in made.containers:
            assert used.setdefault(c.address, c.name) == c.name
        assert made.vip not in used and made.network.gateway not in used
    assert all(int(address.rsplit(".", 1)[1]) < 128 for address in used), "Docker hands out the upper half itself"


def test_derive_adds_drops_replaces_and_keeps_the_order() -> None:
    a, b, c = (Service(name, name, n) for n, name in enumerate("abc"))
    made = Topology("x", (a, b)).derive("y", add=(c, a.but(memory=9)), drop=("b",), registry="etcd")
    assert [(s.name, s.memory) for s in made.services] == [("a", 9), ("c", 128)]
    assert (made.step, made.registry) == ("y", "etcd")
    with pytest.raises(KeyError):
        made.service("b")


def test_an_unknown_step() -> None:
    with pytest.raises(KeyError):
        steps.load("step99")
