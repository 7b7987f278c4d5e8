"""The Compose file without an engine: every fact of `docker run`, stable hashes, what is scaled, what differs; and which Compose serves."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

import steps
from silverlining.host import compose as program
from silverlining.model import labels
from silverlining.model.commands import LOG_OPTIONS, publish_flag
from silverlining.model.compose import counts, document, register_script, render, settle, specs, stands
from silverlining.model.errors import SilverliningError
from silverlining.model.observed import Observed, RedisNode, SeenContainer, SentinelView
from silverlining.model.service import Health
from silverlining.model.stack import Code, ImageRef, Stack, resolve
from silverlining.model.topology import Topology
from silverlining.ops.compose import differences
from silverlining.ops.settings import read_settings

TOPOLOGY: Topology = steps.load("step09-compose").TOPOLOGY


def stack_of(topology: Topology = TOPOLOGY, image: str = "v1", **flags: str) -> Stack:
    settings = read_settings({"stack": "cmp", "network.subnet": "10.1.2.0/24"} | flags, Path("/nowhere"), {})
    names = {service.image for service in topology.services} | {"tools"}
    refs = {name: ImageRef(name, f"silverlining/{name}:{image}", f"{name}-{image}") for name in names}
    return resolve(topology, settings, "10.1.2.0/24", refs, Code("/code"))


def standing(stack: Stack) -> Observed:
    """The host as Compose leaves it: dynamic addresses for what is scaled."""
    wanted, found, free = specs(stack), [], 130
    for c in stack.containers:
        scaled = stack.topology.service(c.service).scaled
        address = f"10.1.2.{free}" if scaled else c.address
        free += scaled
        spec = wanted[c.service]
        found.append(SeenContainer(c.name, c.name, c.service, c.index, spec, c.step, "running", "healthy", address, c.image.reference, (), True))
    seen = Observed("cmp", tuple(found), "10.1.2.0/24")
    master = "10.1.2.10"
    return replace(
        seen,
        redis={"cmp-redis-master-1": RedisNode("master"), **{f"cmp-redis-slave-{n}": RedisNode("slave", master, True) for n in (1, 2)}},
        sentinels={f"cmp-sentinel-{n}": SentinelView(master, 2, 2) for n in (1, 2, 3)},
        keys=settle(stack, seen).servers(),
    )


def test_every_fact_of_docker_run_is_in_the_file() -> None:
    stack = stack_of()
    services = document(stack)["services"]
    assert list(services) == ["secrets", *(s.name for s in TOPOLOGY.services)]
    for c in stack.containers:
        facts = services[c.service]
        assert facts["image"] == c.image.reference
        assert facts.get("command", []) == list(c.command)
        alone = {"TAKE_BACK_AFTER": "10"} if c.service == "redis-master" else {}
        assert facts.get("environment", {}) == dict(c.environment) | alone
        assert facts.get("ports", []) == [publish_flag(port) for port in c.ports]
        assert [m["target"] for m in facts.get("volumes", [])] == [m.target for m in c.mounts]
        assert [m.get("read_only", False) for m in facts.get("volumes", [])] == [m.read_only for m in c.mounts]
        assert facts.get("tmpfs", []) == list(c.tmpfs)
        assert facts.get("user", "") == c.user
        assert facts.get("read_only", False) == c.read_only
        assert facts["cap_drop"] == ["ALL"] and facts.get("cap_add", []) == list(c.cap_add)
        assert facts["security_opt"] == ["no-new-privileges"]
        assert facts.get("sysctls", {}) == dict(c.sysctls)
        assert (facts["mem_limit"], facts["cpus"]) == (f"{c.memory}m", c.cpus)
        assert (facts["restart"], facts["stop_signal"], facts["stop_grace_period"]) == (c.restart, c.stop_signal, f"{c.stop_grace}s")
        assert facts["logging"] == {"driver": "json-file", "options": LOG_OPTIONS}
        assert c.health and facts["healthcheck"]["test"] == ["CMD-SHELL", c.health.command]
        assert facts["labels"][labels.STACK] == "cmp" and facts["labels"][labels.SERVICE] == c.service


def test_what_is_not_scaled_keeps_its_address_and_its_volume_by_name() -> None:
    file = document(stack_of())
    services = file["services"]
    assert services["redis-master"]["networks"]["default"] == {"ipv4_address": "10.1.2.10", "aliases": ["master", "db"]}
    assert services["redis-master"]["volumes"][0] == {"type": "volume", "source": "redis-master-1", "target": "/data"}
    assert services["haproxy"]["hostname"] == "cmp-haproxy-1"
    assert file["volumes"]["redis-master-1"]["name"] == "cmp-redis-master-1"
    assert set(file["volumes"]) == {"redis-master-1", "etcd-1", "secrets"}


def test_each_container_of_a_scaled_service_has_a_volume_of_its_own() -> None:
    services = document(stack_of())["services"]
    for name in ("redis-slave", "sentinel"):
        assert services[name]["volumes"][0] == {"type": "volume", "target": "/data"}
    for name, count in {"ping-app": 3, "redis-slave": 2, "sentinel": 3}.items():
        assert services[name]["scale"] == count
        assert "hostname" not in services[name] and "ipv4_address" not in services[name].get("networks", {}).get("default", {})
    assert counts(stack_of()) == {"ping-app": 3, "redis-slave": 2, "sentinel": 3}


def test_links_are_aliases_of_their_targets() -> None:
    redis = TOPOLOGY.service("redis-master").but(aliases=())
    services = document(stack_of(TOPOLOGY.derive("step09-compose", add=(redis,))))["services"]
    assert "links" not in services["redis-slave"]
    assert services["redis-master"]["networks"]["default"]["aliases"] == ["db", "master"]


def test_secrets_are_made_before_whoever_reads_them_starts() -> None:
    stack = stack_of()
    services = document(stack)["services"]
    assert services["secrets"]["command"] == ["secrets-init", "/secrets"] and services["secrets"]["restart"] == "no"
    done = {"condition": "service_completed_successfully"}
    users = {c.service for c in stack.containers if c.uses_secrets}
    assert users and all(services[name]["depends_on"]["secrets"] == done for name in users)
    assert all("secrets" not in facts.get("depends_on", {}) for name, facts in services.items() if name not in users)


def test_network_is_the_one_that_docker_run_used() -> None:
    default = document(stack_of())["networks"]["default"]
    assert default["name"] == "cmp" and "external" not in default
    assert default["ipam"]["config"] == [{"subnet": "10.1.2.0/24", "ip_range": "10.1.2.128/25", "gateway": "10.1.2.1"}]


def test_dollar_signs_are_not_variables() -> None:
    etcd = TOPOLOGY.service("etcd").but(health=Health("test $HOME = $$"))
    facts = document(stack_of(TOPOLOGY.derive("step09-compose", add=(etcd,))))["services"]["etcd"]
    assert facts["healthcheck"]["test"][1] == "test $$HOME = $$$$"


def test_text_reads_back_as_the_document() -> None:
    stack = stack_of()
    assert yaml.safe_load(render(stack)) == document(stack)
    assert yaml.safe_load(render(stack))["services"]["secrets"]["restart"] == "no"


def test_an_edit_changes_the_spec_of_its_service_only() -> None:
    before = specs(stack_of())
    etcd = TOPOLOGY.service("etcd").but(memory=512)
    after = specs(stack_of(TOPOLOGY.derive("step09-compose", add=(etcd,))))
    assert {name for name in before if before[name] != after[name]} == {"etcd"}


def test_neither_scale_nor_an_image_by_another_name_changes_a_spec() -> None:
    stack = stack_of()
    other = replace(stack, containers=tuple(replace(c, image=replace(c.image, reference=f"mirror/{c.image.name}")) for c in stack.containers))
    other = replace(other, tools=replace(stack.tools, reference="mirror/tools"))
    assert specs(stack) == specs(other)
    assert specs(stack_of(**{"counts.sentinel": "5"}))["sentinel"] == specs(stack)["sentinel"]
    assert specs(stack_of(image="v2"))["haproxy"] != specs(stack)["haproxy"]


def test_our_own_container_is_never_taken_for_compose_s() -> None:
    stack = stack_of()
    wanted = specs(stack)
    c = stack.of("etcd")[0]
    assert c.spec != wanted["etcd"]
    old = standing(stack).container(c.name)
    assert old and stands(stack, old, wanted) and not stands(stack, replace(old, compose=False), wanted)


def test_nothing_differs_where_compose_has_made_all() -> None:
    stack = stack_of()
    seen = standing(stack)
    settled = settle(stack, seen)
    assert settled.of("ping-app")[0].address == "10.1.2.130" and settled.servers()["/app/servers/app1"] == "10.1.2.130:8000"
    assert settled.of("etcd")[0].address == stack.of("etcd")[0].address
    assert differences(settled, seen) == ()


def changed(name: str, **facts: Any) -> Callable[[Observed], Observed]:
    return lambda seen: replace(seen, containers=tuple(replace(c, **facts) if c.name == name else c for c in seen.containers))


BREAKS: dict[str, tuple[Callable[[Observed], Observed], str]] = {
    "missing": (lambda seen: replace(seen, containers=seen.containers[1:]), "is missing"),
    "ours": (changed("cmp-etcd-1", compose=False), "cmp-etcd-1 is not as the file says"),
    "edited": (changed("cmp-haproxy-1", spec="old"), "cmp-haproxy-1 is not as the file says"),
    "paused": (changed("cmp-netdata-1", state="paused"), "cmp-netdata-1: paused"),
    "too many": (
        lambda s: replace(s, containers=(*s.containers, replace(s.containers[1], name="cmp-ping-app-4", index=4))),
        "cmp-ping-app-4 as well",
    ),
    "key gone": (lambda s: replace(s, keys={"/app/servers/app1": "10.1.2.130:8000"}), "the keys in etcd name 10.1.2.130:8000"),
    "key too many": (lambda s: replace(s, keys={**(s.keys or {}), "/app/servers/app9": "10.1.2.9:8000"}), "the keys in etcd"),
    "etcd silent": (lambda s: replace(s, keys=None), "nobody"),
    "confd": (lambda s: replace(s, proxy_fault="confd is stopped"), "haproxy: confd is stopped"),
    "detached": (lambda s: replace(s, redis={**s.redis, "cmp-redis-slave-2": RedisNode("slave", "10.1.2.99")}), "does not follow"),
    "ghost": (lambda s: replace(s, sentinels={**s.sentinels, "cmp-sentinel-1": SentinelView("10.1.2.10", 2, 4)}), "does not see what stands"),
    "no master": (lambda s: replace(s, redis={}, sentinels={}), "no Redis is master"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_what_differs_is_said(name: str) -> None:
    stack = stack_of()
    spoil, words = BREAKS[name]
    seen = spoil(standing(stack))
    assert words in "; ".join(differences(settle(stack, seen), seen))


def test_register_script_parses_and_reads_dead_addresses_out(tmp_path: Path) -> None:
    """The script against stand-ins of docker: it puts what is new, leaves what is right, deletes what is gone, and nothing else."""
    script = tmp_path / "register.sh"
    script.write_text(register_script(stack_of()))
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "docker").write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        '  "compose -f compose.yaml ps -q ping-app") printf "a\\nb\\n" ;;\n'
        '  inspect*" a b") printf "1 10.1.2.131\\n2 10.1.2.132\\n" ;;\n'
        '  *"get --print-value-only /app/servers/app1") echo 10.1.2.131:8000 ;;\n'
        '  *"get --prefix --keys-only"*) printf "/app/servers/%s\\n\\n" app1 app2 app3 app-by-hand by-hand lesson ;;\n'
        f'  *etcdctl\\ put*|*etcdctl\\ del*) echo "$*" >> {tmp_path}/log ;;\n'
        "esac\n"
    )
    (bin_ / "docker").chmod(0o755)
    done = subprocess.run(["sh", str(script)], env={"PATH": f"{bin_}:/usr/bin:/bin"}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "log").read_text().splitlines() == [
        "exec cmp-etcd-1 etcdctl put /app/servers/app2 10.1.2.132:8000",
        "exec cmp-etcd-1 etcdctl del /app/servers/app3",
        "exec cmp-etcd-1 etcdctl del /app/servers/lesson",
    ]


class FakeHost:
    """Answers shell commands by the first prefix that fits."""

    def __init__(self, answers: dict[str, str]) -> None:
        self.answers = answers
        self.ran: list[str] = []
        self.engine = SimpleNamespace(endpoint="unix:///run/docker.sock")
        self.settings = SimpleNamespace(stack="silver")

    def shell(self, command: str, timeout: float = 60, unbroken: bool = False) -> Any:
        self.ran.append(command)
        found = next((text for start, text in self.answers.items() if start in command), None)
        return SimpleNamespace(ok=found is not None, stdout=found or "", stderr="" if found is not None else "not found", exited=0 if found else 127)


class NoStore:
    def resolve(self, names: Any) -> Any:
        raise SilverliningError("image compose can't be had on any rung")

    plan_for = resolve

    def forget(self) -> None:
        """Knows nothing that it could."""


POLICY = "docker-compose:\n  Installed: (none)\n  Candidate: {}\n"
APT = {"command -v apt-get": "/usr/bin/apt-get", "id -u": "0"}


def find(answers: dict[str, str], store: Any = None, dry: bool = False) -> tuple[program.Compose, FakeHost]:
    host = FakeHost(answers)
    return program.find(host, store or NoStore(), dry=dry), host  # type: ignore[arg-type]


def test_the_plugin_serves_first() -> None:
    found, host = find({"docker compose version": "v2.26.1\n", "docker-compose version": "5.5.0"})
    assert (found.argv, found.version) == (("docker", "compose"), "2.26.1") and len(host.ran) == 1
    assert found.prefix("compose.yaml") == "docker compose -f compose.yaml"


def test_the_old_python_compose_does_not_serve() -> None:
    store = store_with("packages")
    found, host = find({"docker-compose version": "1.29.2", **APT, "policy": POLICY.format("1.29.2-3"), "docker run": "2.26.1-4"}, store)
    assert found.contained and found.version == "2.26.1-4" and not any("apt-get install" in command for command in host.ran)
    assert found.prefix("compose.yaml") == (
        "cat compose.yaml | docker run --rm --interactive --label io.silverlining.stack=silver --label io.silverlining.helper=compose"
        " --network none --cap-drop ALL --security-opt no-new-privileges"
        " --mount type=bind,source=/run/docker.sock,target=/var/run/docker.sock silverlining/compose:1 -f -"
    )


@pytest.mark.parametrize(("version", "serves"), (("2.21.0", False), ("v2.22.0", True), ("v5.5.0", True), ("10.0.1", True)))
def test_the_oldest_that_knows_the_command_scale_serves(version: str, serves: bool) -> None:
    found, _host = find({"docker compose version": version, "docker-compose version": "5.5.0"})
    assert found.argv == (("docker", "compose") if serves else ("docker-compose",))


def store_with(rung: str) -> Any:
    """A store whose image is got by that rung."""
    image = SimpleNamespace(reference="silverlining/compose:1", rung=rung, source="packages")
    return SimpleNamespace(resolve=lambda names: {"compose": image}, forget=lambda: None, plan_for=lambda names: {"compose": image})


def test_an_image_that_is_here_goes_before_a_package() -> None:
    found, host = find({**APT, "policy": POLICY.format("2.26.1-4"), "docker run": "2.26.1-4"}, store_with("present"))
    assert found.contained and found.version == "2.26.1-4" and not any("apt" in command for command in host.ran)


def test_a_package_that_would_touch_the_engine_is_not_installed() -> None:
    answers = {**APT, "policy": POLICY.format("2.26.1-4"), "install -s": "Inst docker-compose (2.26)\nInst docker.io (26.1)\n"}
    with pytest.raises(SilverliningError) as error:
        find(answers)
    assert "it would touch the engine (docker.io)" in str(error.value) and "can't be had on any rung" in str(error.value)


def test_a_dry_run_names_the_package_and_does_not_install_it() -> None:
    found, host = find({**APT, "policy": POLICY.format("2.26.1-4"), "install -s": "Inst docker-compose (2.26)\n"}, dry=True)
    assert "docker-compose" in found.source and all("install -s" in command for command in host.ran if "install" in command)


def test_without_any_compose_each_way_s_answer_is_told() -> None:
    with pytest.raises(SilverliningError) as error:
        find({})
    for words in ("docker compose: not found", "docker-compose: not found", "no apt-get", "can't be had on any rung", "docs.docker.com"):
        assert words in str(error.value)
