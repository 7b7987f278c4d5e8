"""doctor on faked facts: what each means, and that only what stops the course is a failure."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from silverlining.model import diagnosis as about
from silverlining.model.diagnosis import FAIL, OK, WARN, Answer, Finding, Held, Kernel, Sources
from silverlining.ops.doctor import info_of

INFO: dict[str, Any] = {
    "OperatingSystem": "Debian GNU/Linux 12",
    "Architecture": "x86_64",
    "Driver": "overlay2",
    "DriverStatus": [["Backing Filesystem", "extfs"]],
    "Plugins": {"Network": ["bridge", "host"]},
    "MemoryLimit": True,
    "CpuCfsQuota": True,
    "MemTotal": 8 * about.GB,
}


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    found = {one.name: one for one in findings}
    assert all(one.hint for one in findings if one.state != OK), "what isn't well has a next step"
    return found


def engine(**changes: Any) -> dict[str, Finding]:
    return by_name(about.engine_findings({**INFO, **changes}, "26.1.5", "unix:///run/docker.sock"))


def test_an_engine_that_is_well() -> None:
    found = engine()
    assert {one.state for one in found.values()} == {OK} and found["storage driver"].seen == "overlay2 (extfs)"
    assert "Docker 26.1.5" in found["engine"].seen


@pytest.mark.parametrize(
    ("changes", "name"),
    (({"Driver": "vfs"}, "storage driver"), ({"MemoryLimit": False}, "limits"), ({"MemTotal": about.GB}, "memory")),
)
def test_an_engine_that_could_be_better(changes: dict[str, Any], name: str) -> None:
    assert engine(**changes)[name].state == WARN


MODULAR = {"filesystems": "nodev\tproc\nnodev\toverlay\n\text4", "modules": "veth\nbridge", "loadable": "ip_vs\nnf_tables", "builtin": ""}


def kernel(parts: dict[str, str], info: dict[str, Any] | None = None) -> dict[str, Finding]:
    return by_name(about.kernel_findings(about.kernel(parts, "us"), info or {}))


def test_a_kernel_with_modules() -> None:
    assert about.kernel(MODULAR, "us") == Kernel(frozenset(about.MODULES), True, "us")
    assert {one.state for one in kernel(MODULAR).values()} == {OK}


def test_a_kernel_in_one_piece_without_ip_vs() -> None:
    config = "CONFIG_OVERLAY_FS=y\nCONFIG_BRIDGE=y\nCONFIG_NF_TABLES=y\n# CONFIG_IP_VS is not set"
    found = kernel({"config": config})["kernel: IP_VS"]
    assert (found.state, found.seen) == (OK, "missing") and "nftables" in found.hint


def test_a_kernel_without_either_way_for_lvs() -> None:
    assert kernel({"config": "CONFIG_OVERLAY_FS=y\nCONFIG_BRIDGE=m"})["kernel: IP_VS"].state == WARN


def test_a_kernel_without_bridges_stops_the_course() -> None:
    assert kernel({"config": "CONFIG_OVERLAY_FS=y"})["kernel: bridge"].state == FAIL


def test_what_the_engine_uses_is_there_and_what_can_not_be_read_is_no_failure() -> None:
    assert {kernel({}, INFO)[f"kernel: {name}"].state for name in ("overlay", "bridge")} == {OK}
    assert {one.state for one in kernel({}).values()} == {WARN}


@pytest.mark.parametrize(
    ("flavour", "backend", "tool", "state", "words"),
    (
        ("nftables", "", "", OK, "Docker's rules are in nftables"),
        ("", "", "iptables v1.8.9 (nf_tables)", OK, "iptables-nft by its own word"),
        ("", "", "iptables v1.8.9 (legacy)", OK, "iptables-legacy"),
        ("", "nftables", "", OK, "nftables by its own word"),
        ("", "", "", WARN, "no rules"),
    ),
)
def test_firewall(flavour: str, backend: str, tool: str, state: str, words: str) -> None:
    found = about.firewall(flavour, backend, tool, "us")
    assert found.state == state and words in found.seen and bool(found.hint) == (state != OK)


def test_ports() -> None:
    held = {80: Held("nginx (pid 7)"), 8080: Held("container sl-django-1", ours=True)}
    found = by_name(about.ports({"web": 80, "app": 8080, "etcd": 2379}, held, "us"))
    assert found["ports"].seen.startswith("8080, 2379 free") and found["ports"].state == OK
    assert found["port web"].state == FAIL and "nginx (pid 7)" in found["port web"].seen and "--set ports.web=81" in found["port web"].hint


@pytest.mark.parametrize(
    ("free", "to_get", "state"),
    ((100 * about.GB, 20, OK), (3 * about.GB, 20, WARN), (about.GB, 20, FAIL), (about.GB, 0, OK), (about.GB // 10, 0, FAIL)),
)
def test_disk(free: int, to_get: int, state: str) -> None:
    assert about.disk(free, "/var/lib/docker", to_get, "us").state == state


def test_time() -> None:
    now = time.time()
    server = Answer("http://mirror", 200, clock=now + 1)
    assert about.clocks(now, 0.2, [server]).state == OK
    assert about.clocks(now, None, []).state == OK
    assert "engine's clock is off by -3600 s" in about.clocks(now, -3600, [server]).seen
    assert "off by -120 s from the servers" in about.clocks(now + 121, 0, [server]).seen
    assert about.clocks(5000, 0, []).state == FAIL


def test_a_server_matters_only_where_something_is_to_get() -> None:
    silent = Answer("http://mirror", 0, "timed out")
    assert about.server("mirror", silent, True, "name another").hint == "name another"
    found = about.server("mirror", silent, False, "name another")
    assert found.state == WARN and "all images are here" in found.hint
    assert about.server("registry", Answer("https://hub/v2/", 401), True, "x").state == OK
    assert about.server("mirror", Answer("http://mirror", 404, "404 Not Found"), True, "x").state == WARN


@pytest.mark.parametrize(
    ("sources", "expected"),
    (
        (Sources(frozenset({"upstream/redis"}), frozenset({""}), True), "bundle"),
        (Sources(registries=frozenset({"mirror.example"}), packages=True), "mirror"),
        (Sources(registries=frozenset({""}), packages=True), "official"),
        (Sources(packages=True), "packages"),
        (Sources(), ""),
    ),
)
def test_the_rung_from_which_an_image_would_come(sources: Sources, expected: str) -> None:
    references = {"upstream/redis": [("mirror.example/redis:8.0", "mirror"), ("redis:8.0", "official")]}
    whole = replace(sources, references=references)
    assert about.rung("upstream/redis", False, ["packages"], whole, {"debian": "present"}) == expected
    assert about.rung("upstream/redis", True, ["packages"], whole, {}) == "present"


@pytest.mark.parametrize(
    ("name", "sources", "others", "expected"),
    (
        ("upstream/redis", Sources(packages=True), {}, ""),  # what it is built on can't be had
        ("redis", Sources(), {"upstream/redis": "official"}, "packages"),  # it only copies files onto what comes from a registry
        ("django", Sources(packages=True), {"upstream/python": "packages"}, ""),
        ("django", Sources(packages=True, python=True), {"upstream/python": "packages"}, "packages"),
        ("app", Sources(packages=True), {"django": ""}, ""),
        ("app", Sources(), {"django": "present"}, "packages"),
        ("haproxy-confd", Sources(packages=True), {"upstream/haproxy": "packages", "confd": ""}, ""),
    ),
)
def test_a_build_needs_what_it_is_built_on_and_the_servers_that_it_asks(name: str, sources: Sources, others: dict[str, str], expected: str) -> None:
    assert about.rung(name, False, ["packages"], sources, others) == expected


def test_images() -> None:
    assert about.images({"a": "present", "b": "packages"}).state == OK
    found = about.images({"a": "present", "b": ""})
    assert found.state == FAIL and found.seen.endswith(": b") and "images.load" in found.hint


@pytest.mark.parametrize("stamp", ("2026-11-24T12:00:00.123456789Z", "2026-11-24T13:00:00.123456789+01:00", "2026-11-24T07:00:00.1-05:00"))
def test_the_engine_s_clock_in_any_zone(stamp: str) -> None:
    class Client:
        def info(self) -> dict[str, str]:
            return {"SystemTime": stamp}

    _info, ahead = info_of(Client())
    assert ahead is not None and abs(ahead - (1795521600 - time.time())) < 2
