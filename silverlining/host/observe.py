"""Looks at a host: a bounded number of engine calls, whatever the number of containers."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..model import labels
from ..model.observed import Foreign, Observed, RedisNode, SeenContainer
from ..model.scale import read_note
from .exec import Answer, execute
from .redis_facts import ask_all, redis_node, sentinel_view

REDIS = ("redis-master", "redis-slave")
# The volume's role as its next start would have it, and the age of its data: newer is larger.
NEWEST = '-path "*appendonlydir*" -printf "%T@\\n" -o -type f -name "*.rdb" -printf "%T@\\n" | sort -n | tail -n 1 | cut -d. -f1'
PEEK = (
    'for d in /v/*; do f="$d/conf/redis.conf"; if [ -f "$f" ]; then '
    'echo "$(basename "$d") $(sed -n \'s/^replicaof \\([^ ]*\\) .*/\\1/p\' "$f" | tail -n 1 | grep . || echo -) '
    f'$(find "$d" -type f {NEWEST})"; fi; done'
)


def observe(client: Any, stack: str, tools: str = "") -> Observed:
    """The state of the stack called `stack` on the engine behind `client`. `tools` is an image that can look into volumes."""
    with ThreadPoolExecutor(24) as pool:
        listed = pool.submit(client.containers, all=True)
        networks = pool.submit(client.networks)
        volumes = pool.submit(client.volumes)
        entries = listed.result()
        containers = tuple(_seen(entry, stack) for entry in entries if _ours(entry, stack))
        answers = _ask(client, containers, pool)
        own = [n for n in networks.result() if n["Name"] == stack]
        mine = next((n for n in own if (n.get("Labels") or {}).get(labels.STACK) == stack), None)
        named = volumes.result()["Volumes"] or []
        mine_by_name = {v["Name"]: v["Labels"] for v in named if (v.get("Labels") or {}).get(labels.STACK) == stack}
        # The audit trail is ours, but no part of what stands.
        present = frozenset(name for name, marks in mine_by_name.items() if labels.AUDIT not in marks)
        awake = {c.name for c in containers if c.state in ("running", "paused", "restarting")}
        asleep = sorted(v for v in present if v.startswith(tuple(f"{stack}-{service}-" for service in REDIS)) and v not in awake)
        foreign = (
            *(_foreign_container(e) for e in entries if not _ours(e, stack)),
            *(Foreign("network", n["Name"]) for n in own if n is not mine),
            *(Foreign("volume", v["Name"]) for v in named if v["Name"] not in mine_by_name),
        )
        return Observed(
            stack=stack,
            containers=containers,
            subnet=_subnets(mine)[0] if mine else "",
            remembered=next((s for v in named if v["Name"] in present and (s := v["Labels"].get(labels.SUBNET))), ""),
            volumes=present,
            scaled=next((read_note(s) for v in named if v["Name"] in present and (s := v["Labels"].get(labels.SCALED))), {}),
            redis={name: node for name, a in answers.items() if (node := redis_node(a)) and "redis-" in name},
            sleeping=_peek(client, stack, asleep, tools) if asleep and tools else {},
            sentinels={name: view for name, a in answers.items() if (view := sentinel_view(a))},
            keys=next((_keys(a) for name, a in answers.items() if name.startswith(f"{stack}-etcd-")), None),
            proxy_fault=next((a.text or "no answer" for name, a in answers.items() if name.startswith(f"{stack}-haproxy-") and not a.ok), ""),
            withheld=frozenset(s for name, a in answers.items() if name.startswith(f"{stack}-haproxy-") for s in _withheld(a)),
            foreign=foreign,
            subnets=tuple(subnet for n in networks.result() if n is not mine for subnet in _subnets(n)),
        )


def standing(client: Any, stack: str) -> tuple[SeenContainer, ...]:
    """The containers of the stack, in order of service and number: one engine call, and no question to a service."""
    listed = client.containers(all=True, filters={"label": f"{labels.STACK}={stack}"})
    return tuple(sorted((_seen(entry, stack) for entry in listed if _ours(entry, stack)), key=lambda c: (c.service, c.index)))


def _ours(entry: Mapping[str, Any], stack: str) -> bool:
    return bool((entry.get("Labels") or {}).get(labels.STACK) == stack and labels.SERVICE in entry["Labels"])


def _seen(entry: Mapping[str, Any], stack: str) -> SeenContainer:
    marks = entry["Labels"]
    network = (entry["NetworkSettings"]["Networks"] or {}).get(stack) or {}
    status = entry["Status"]
    health = next((word for word in ("unhealthy", "healthy", "starting") if f"({word})" in status or f"health: {word}" in status), "")
    return SeenContainer(
        id=entry["Id"],
        name=entry["Names"][0].lstrip("/"),
        service=marks[labels.SERVICE],
        index=int(marks.get(labels.COMPOSE_NUMBER) or marks.get(labels.INDEX) or 1),
        spec=marks.get(labels.SPEC, ""),
        step=marks.get(labels.MADE_BY, ""),
        state=entry["State"],
        health=health,
        address=network.get("IPAddress") or (network.get("IPAMConfig") or {}).get("IPv4Address", ""),
        image=entry["Image"],
        ports=tuple(sorted({p["PublicPort"] for p in entry.get("Ports") or [] if p.get("PublicPort")})),
        compose=labels.COMPOSE_SERVICE in marks,
    )


def _foreign_container(entry: Mapping[str, Any]) -> Foreign:
    ports = tuple(sorted({p["PublicPort"] for p in entry.get("Ports") or [] if p.get("PublicPort")}))
    return Foreign("container", (entry["Names"] or ["?"])[0].lstrip("/"), ports)


def _subnets(network: Mapping[str, Any]) -> list[str]:
    return [c["Subnet"] for c in (network.get("IPAM") or {}).get("Config") or [] if c.get("Subnet")]


QUESTIONS = {
    "etcd": ("etcdctl", "--command-timeout=2s", "--dial-timeout=1s", "get", "--prefix", "/app/servers/"),
    "haproxy": ("sh", "-c", "haproxy-health && haproxyctl show servers state webserver"),
}


def _ask(client: Any, containers: tuple[SeenContainer, ...], pool: ThreadPoolExecutor) -> dict[str, Answer]:
    running = [c for c in containers if c.running]
    asked = {c.name: pool.submit(execute, client, c.name, QUESTIONS[c.service]) for c in running if c.service in QUESTIONS}
    nodes = ask_all(client, (c for c in running if c.service in (*REDIS, "sentinel")), pool)
    return nodes | {name: future.result() for name, future in asked.items()}


def _withheld(answer: Answer) -> list[str]:
    """The servers that HAProxy was told to give no requests: their administrative state has FMAINT (1) or FDRAIN (8), management.txt 9.3."""
    rows = [line.split() for line in answer.text.splitlines()] if answer.ok else []
    return [row[3] for row in rows if len(row) > 6 and row[0].isdecimal() and int(row[6]) & 9]


def _keys(answer: Answer) -> dict[str, str] | None:
    if not answer.ok:
        return None
    lines = answer.text.splitlines()
    return dict(zip(lines[::2], lines[1::2], strict=False))


def _peek(client: Any, stack: str, names: list[str], tools: str) -> dict[str, RedisNode]:
    """Looks into the volumes of Redis nodes that don't run, by one short-lived container that has them read-only."""
    from .helpers import run_helper

    text = run_helper(client, stack, tools, ["sh", "-c", PEEK], {name: f"/v/{name}" for name in names})
    found: dict[str, RedisNode] = {}
    for line in text.splitlines():
        name, master, age = (*line.split(), "0")[:3]
        found[name] = RedisNode("master", offset=int(age)) if master in ("-", "no") else RedisNode("slave", master, offset=int(age))
    return found
