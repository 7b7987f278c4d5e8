"""A stack: names, addresses, placeholders, volumes, labels, and what is and isn't part of a container's hash."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from silverlining.model import labels
from silverlining.model import stack as module
from silverlining.model.service import Health
from silverlining.model.stack import Code, Container, Copy, Mount, NamedVolume, template_variables

from .builders import ALL, HERE, images, settings, stack

LAST = stack("step08-netdata")


def one(service: str, step: str = "step08-netdata") -> Container:
    return stack(step).of(service)[0]


def test_names_carry_stack_service_and_number() -> None:
    assert [c.name for c in LAST.of("ping-app")] == ["silver-ping-app-1", "silver-ping-app-2", "silver-ping-app-3"]
    assert all(c.name == f"silver-{c.service}-{c.index}" for step in ALL for c in stack(step).containers)


def test_addresses() -> None:
    assert [c.address for c in LAST.of("redis-master") + LAST.of("redis-slave")] == ["10.0.7.10", "10.0.7.11", "10.0.7.12"]
    assert (LAST.network.gateway, LAST.network.ip_range, LAST.vip) == ("10.0.7.1", "10.0.7.128/25", "10.0.7.9")
    wide = stack("step08-netdata", subnet="10.0.0.0/16")
    assert (wide.network.ip_range, wide.of("nginx"), wide.of("haproxy")[0].address) == ("10.0.0.128/25", (), "10.0.0.4")


def test_aliases_are_the_articles() -> None:
    assert one("redis-master").aliases == ("redis-master", "master", "db")
    assert one("ping-app").aliases == ("ping-app", "app1") and LAST.of("ping-app")[2].aliases[1] == "app3"
    assert one("etcd").aliases == ("etcd",)


def test_links_go_to_the_first_container() -> None:
    assert one("redis-slave").links == (("silver-redis-master-1", "master"),)


def test_placeholders_are_filled() -> None:
    lvs = one("lvs", "step06-lvs")
    assert dict(lvs.environment) == {"VIP": "10.0.7.9", "PORT": "8000", "REALS": "10.0.7.31,10.0.7.32,10.0.7.33"}
    assert dict(one("ping-app").environment)["ALLOWED_HOSTS"] == "*" and dict(one("ping-app").environment)["REDIS_DEADLINE"] == "10"
    assert Mount("bind", "/code", "/usr/src/app", True) in one("django", "step03-redis").mounts
    for step in ALL:
        for c in stack(step).containers:
            words = [*c.command, *(v for _k, v in c.environment), *(m.source for m in c.mounts)]
            assert not [w for w in words if "{" in w], c.name


def test_a_volume_for_each_container_and_one_for_the_secrets() -> None:
    sources = [m.source for c in LAST.containers for m in c.mounts if m.kind == "volume" and not m.read_only]
    assert len(sources) == len(set(sources)), "two containers write into one volume"
    assert {v.name for v in LAST.volumes} == {*sources, "silver-secrets"}
    assert all(m.read_only for c in LAST.containers for m in c.mounts if m.source == LAST.secrets)
    assert {c.service for c in LAST.containers if c.uses_secrets} == {"redis-master", "redis-slave", "sentinel", "ping-app"}


def test_labels_of_network_and_volumes_are_ours_and_composes() -> None:
    assert dict(LAST.network.labels) == {labels.STACK: "silver", labels.COMPOSE_PROJECT: "silver", labels.COMPOSE_NETWORK: "default"}
    marks = {labels.STACK: "silver", labels.SUBNET: "10.0.7.0/24", labels.COMPOSE_PROJECT: "silver", labels.COMPOSE_VOLUME: "etcd-1"}
    assert NamedVolume("silver-etcd-1", tuple(marks.items())) in LAST.volumes


def test_labels_of_a_container() -> None:
    c = one("etcd")
    assert c.labels == {
        labels.STACK: "silver",
        labels.SERVICE: "etcd",
        labels.INDEX: "1",
        labels.SPEC: c.spec,
        labels.MADE_BY: "step08-netdata",
    }


def test_ports_are_the_settings_and_closed_by_default() -> None:
    made = stack("step08-netdata", ports_web=8081, ports_etcd=7000)
    assert made.of("haproxy")[0].ports == (("", 8081, 6301), ("127.0.0.1", 8404, 8404))
    assert made.of("etcd")[0].ports == (("127.0.0.1", 7000, 2379),)


def test_servers_are_what_etcd_must_hold() -> None:
    assert LAST.servers() == {f"/app/servers/app{n}": f"10.0.7.3{n}:8000" for n in (1, 2, 3)}
    assert stack("step06-haproxy").servers() == {}


def test_a_missing_image_is_an_error() -> None:
    with pytest.raises(KeyError):
        module.resolve(LAST.topology, LAST.settings, "10.0.7.0/24", {"tools": images()["tools"]}, HERE)


ASIDE = {"step": "step99", "after": ("nginx",), "mend": ("true",)}
PART: dict[str, Any] = {
    "name": "x",
    "service": "x",
    "index": 9,
    "stack": "x",
    "network": "x",
    "address": "10.9.9.9",
    "command": ("x",),
    "environment": (("a", "b"),),
    "ports": (("", 1, 2),),
    "mounts": (Mount("volume", "a", "/b", True),),
    "tmpfs": ("/x",),
    "links": (("a", "b"),),
    "aliases": ("x",),
    "health": Health("false"),
    "health_interval": 99,
    "user": "1:1",
    "cap_add": ("X",),
    "sysctls": (("a", "1"),),
    "read_only": False,
    "memory": 1,
    "cpus": 0.1,
    "restart": "no",
    "stop_signal": "SIGKILL",
    "stop_grace": 99,
    "copies": (Copy("/code", "/usr/src/app", "0123"),),
}


def test_where_the_code_can_not_be_mounted_it_is_copied_and_its_content_counts() -> None:
    there = stack("step03-redis", code=Code("/code", "0123")).of("django")[0]
    assert Mount("volume", "", "/usr/src/app", False) in there.mounts
    assert there.copies == (Copy("/code", "/usr/src/app", "0123"),)
    assert stack("step03-redis", code=Code("/elsewhere", "0123")).of("django")[0].spec == there.spec
    assert stack("step03-redis", code=Code("/code", "4567")).of("django")[0].spec != there.spec
    assert "" not in {volume.name for volume in stack("step03-redis", code=Code("/code", "0123")).volumes}


def test_every_field_is_either_part_of_the_hash_or_not() -> None:
    assert {f.name for f in fields(Container)} == {*ASIDE, *PART, "image"}


@pytest.mark.parametrize("name", PART)
def test_part_of_the_hash(name: str) -> None:
    c = one("ping-app")
    assert replace(c, **{name: PART[name]}).spec != c.spec


@pytest.mark.parametrize("name", ASIDE)
def test_not_part_of_the_hash(name: str) -> None:
    c = one("ping-app")
    assert replace(c, **{name: ASIDE[name]}).spec == c.spec


def test_of_the_image_only_its_fingerprint_counts() -> None:
    c = one("ping-app")
    assert replace(c, image=replace(c.image, reference="mirror/app:1")).spec == c.spec
    assert replace(c, image=replace(c.image, fingerprint="other")).spec != c.spec


def test_the_log_limits_are_part_of_the_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    before = replace(one("etcd")).spec
    monkeypatch.setattr(module, "LOG_OPTIONS", {"max-size": "1m"})
    assert replace(one("etcd")).spec != before


def test_a_service_that_a_later_step_keeps_keeps_its_hash() -> None:
    assert one("redis-master", "step03-redis").spec == one("redis-master").spec
    assert one("ping-app", "step06-haproxy").spec == one("ping-app").spec
    assert len(one("etcd").spec) == 12


def test_template_variables_follow_the_settings() -> None:
    made = template_variables(settings(counts_sentinel=5, redis_down_after=1.5, haproxy_check=0.25, haproxy_threads=4, app_workers=2))
    assert made["sentinel"] == {"quorum": 3, "down_after_ms": 1500, "failover_timeout_ms": 10000}
    assert made["haproxy"] == {"maxconn": 4096, "threads": 4, "check_ms": 250}
    assert made["app"]["workers"] == 2 and made["app"]["servers"] == 3
