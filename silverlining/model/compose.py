"""Writes a stack as a Compose file: the same facts as commands.run, once for each service instead of once for each container.

What Compose does otherwise than `docker run`: the containers of a scaled service are alike, so they have neither a fixed address nor
a volume by name (an anonymous one is made for each), nor their own host name; what a link named is an alias of its target.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from . import labels
from .commands import LOG_OPTIONS, publish_flag
from .observed import Observed, SeenContainer
from .plan_redis import ANCHOR
from .service import SECRETS
from .stack import Container, Mount, Stack

STEP = "step09-compose"
FILE = "compose.yaml"
# Seconds that a Redis which was master once waits for the one that has replaced it (builds/redis/redis-node).
TAKE_BACK_AFTER = 10
HEAD = """\
# The whole stack {name}, written by `invoke {step}` from the same data as the steps before: an edit is lost at its next run.
# It needs nothing but the images:  docker compose up -d  and then  sh {script}
"""


def document(stack: Stack) -> dict[str, Any]:
    """The Compose file as data."""
    services: dict[str, Any] = {SECRETS: _secrets(stack)} if any(c.uses_secrets for c in stack.containers) else {}
    services |= {c.service: _service(stack, c) for c in _firsts(stack)}
    own = {labels.STACK: stack.name}
    network = stack.network
    pool = {"subnet": network.subnet, "ip_range": network.ip_range, "gateway": network.gateway}
    mounts = [mount for service in services.values() for mount in service.get("volumes", ())]
    used = {mount["source"] for mount in mounts if mount["type"] == "volume" and "source" in mount}
    return {
        "name": stack.name,
        "services": {name: _escaped(_marked(stack, name, facts)) for name, facts in services.items()},
        "networks": {"default": {"name": network.name, "driver": "bridge", "labels": own, "ipam": {"config": [pool]}}},
        "volumes": {key: {"name": f"{stack.name}-{key}", "labels": own} for key in sorted(used)},
    }


def render(stack: Stack) -> str:
    """The Compose file as text."""
    import yaml

    text: str = yaml.safe_dump(document(stack), sort_keys=False, width=150)
    return HEAD.format(name=stack.name, step=stack.topology.step, script=SCRIPT) + text


def specs(stack: Stack) -> dict[str, str]:
    """Each service's `.spec` label: a hash of its definition, with the image's fingerprint instead of the name that it was had by."""
    return {name: facts["labels"][labels.SPEC] for name, facts in document(stack)["services"].items()}


def stands(stack: Stack, old: SeenContainer, wanted: Mapping[str, str]) -> bool:
    """Whether a container that was seen is one that Compose made from the file as it is now. `wanted` is specs(stack)."""
    return old.compose and wanted.get(old.service) == old.spec


def settle(stack: Stack, seen: Observed) -> Stack:
    """The stack with the addresses that Compose's containers have got; nobody could know them before."""
    found = {c.name: c.address for c in seen.containers if c.compose and c.address}
    return replace(stack, containers=tuple(replace(c, address=found.get(c.name, c.address)) for c in stack.containers))


def counts(stack: Stack) -> dict[str, int]:
    """How many containers each scaled service has."""
    return {s.name: len(stack.of(s.name)) for s in stack.topology.services if s.scaled}


def _firsts(stack: Stack) -> Iterator[Container]:
    for service in stack.topology.services:
        yield stack.of(service.name)[0]


def _secrets(stack: Stack) -> dict[str, Any]:
    """The one-shot that makes what is missing of the secrets; the services that read them wait for its end."""
    return {
        "image": stack.tools.reference,
        "command": ["secrets-init", "/secrets"],
        "network_mode": "none",
        "volumes": [{"type": "volume", "source": SECRETS, "target": "/secrets"}],
        "cap_drop": ["ALL"],
        "cap_add": ["DAC_OVERRIDE"],
        "security_opt": ["no-new-privileges"],
        "restart": "no",
    }


def _service(stack: Stack, c: Container) -> dict[str, Any]:
    scaled = stack.topology.service(c.service).scaled
    health = c.health
    facts: dict[str, Any] = {
        "image": c.image.reference,
        "scale": len(stack.of(c.service)) if scaled else None,
        "hostname": "" if scaled else c.name,
        "command": list(c.command),
        "environment": dict(c.environment) | _returning(stack, c),
        "depends_on": _dependencies(stack, c),
        "networks": {"default": place} if (place := _place(stack, c, scaled)) else None,
        "ports": [publish_flag(port) for port in c.ports],
        "volumes": [_mount(stack, c, mount, scaled) for mount in c.mounts],
        "tmpfs": list(c.tmpfs),
        "user": c.user,
        "read_only": c.read_only,
        "cap_drop": ["ALL"],
        "cap_add": list(c.cap_add),
        "security_opt": ["no-new-privileges"],
        "sysctls": dict(c.sysctls),
        "mem_limit": f"{c.memory}m",
        "cpus": c.cpus,
        "restart": c.restart,
        "stop_signal": c.stop_signal,
        "stop_grace_period": f"{c.stop_grace}s",
        "logging": {"driver": "json-file", "options": dict(LOG_OPTIONS)},
        "healthcheck": {
            "test": ["CMD-SHELL", health.command],
            "interval": f"{c.health_interval}s",
            "timeout": f"{health.timeout}s",
            "retries": health.retries,
            "start_period": f"{health.start_period}s",
        }
        if health
        else None,
    }
    return {key: value for key, value in facts.items() if value not in (None, "", False, [], {})}


def _returning(stack: Stack, c: Container) -> dict[str, str]:
    """For the first Redis master: `docker compose down` forgets the replicas' volumes, and with them one that had become master since."""
    return {"TAKE_BACK_AFTER": str(TAKE_BACK_AFTER)} if c.service == ANCHOR else {}


def _dependencies(stack: Stack, c: Container) -> dict[str, Any]:
    """What is started before: whom a link or `after` names. Nobody waits for health, each service copes with what isn't there yet."""
    linked = {other.service for other in stack.containers for name, _alias in c.links if other.name == name}
    before = [s.name for s in stack.topology.services if s.name in linked | set(c.after) and s.name != c.service]
    done = {SECRETS: {"condition": "service_completed_successfully"}} if c.uses_secrets else {}
    return {**done, **{name: {"condition": "service_started"} for name in before}}


def _place(stack: Stack, c: Container, scaled: bool) -> dict[str, Any]:
    """Address and names in the network. The service's own name is an alias in Compose anyway."""
    numbered = f"{stack.topology.service(c.service).numbered_alias}{c.index}"
    linked = [alias for other in stack.containers for name, alias in other.links if name == c.name]
    names = [a for a in dict.fromkeys([*c.aliases, *linked]) if a != c.service and not (scaled and a == numbered)]
    place: dict[str, Any] = {} if scaled else {"ipv4_address": c.address}
    return place | ({"aliases": names} if names else {})


def _mount(stack: Stack, c: Container, mount: Mount, scaled: bool) -> dict[str, Any]:
    facts: dict[str, Any] = {"type": mount.kind}
    if mount.kind == "bind":
        facts["source"] = mount.source
    elif not (scaled and mount.source == c.name):
        facts["source"] = mount.source.removeprefix(f"{stack.name}-")
    facts["target"] = mount.target
    return facts | ({"read_only": True} if mount.read_only else {})


def _marked(stack: Stack, name: str, facts: dict[str, Any]) -> dict[str, Any]:
    images = {c.image.reference: c.image.fingerprint for c in stack.containers} | {stack.tools.reference: stack.tools.fingerprint}
    hashed = json.dumps(facts | {"image": images[facts["image"]], "scale": None}, sort_keys=True)
    spec = hashlib.sha256(hashed.encode()).hexdigest()[:12]
    # The number is Compose's to give (com.docker.compose.container-number).
    marks = {labels.STACK: stack.name, labels.SERVICE: name, labels.SPEC: spec, labels.MADE_BY: stack.topology.step}
    return facts | {"labels": marks}


def _escaped(value: Any) -> Any:
    """Compose fills in variables after a dollar sign; two stand for one."""
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, Mapping):
        return {key: _escaped(inner) for key, inner in value.items()}
    return [_escaped(inner) for inner in value] if isinstance(value, list) else value


SCRIPT = "compose-register.sh"
REGISTER = """\
#!/bin/sh
# Registers the app containers of {file} in etcd, as many as there are now, and takes out those that are gone:
# HAProxy follows by confd. Written by `invoke {step}`; run it after each `docker compose up` or `scale`.
set -eu
compose=${{COMPOSE:-docker compose -f {file}}}
compose() {{ eval "$compose" '"$@"'; }}
etcd() {{ docker exec {etcd} etcdctl "$@"; }}

wanted=$(compose ps -q {app} | xargs -r docker inspect --format \\
    '{{{{index .Config.Labels "{number}"}}}} {{{{(index .NetworkSettings.Networks "{network}").IPAddress}}}}' \\
    | awk 'NF == 2 {{ print "/app/servers/app" $1, $2 ":8000" }}')
[ -n "$wanted" ] || {{ echo "{script}: no {app} runs; the keys in etcd stay as they are" >&2; exit 1; }}

# What comes goes in before what is gone goes out, so that there is always somebody to serve.
echo "$wanted" | while read -r key address; do
    [ "$(etcd get --print-value-only "$key" < /dev/null)" = "$address" ] || etcd put "$key" "$address" < /dev/null > /dev/null
    echo "$key $address"
done
etcd get --prefix --keys-only /app/servers/ | grep -E '^/app/servers/(app[0-9]+|lesson)$' | while read -r key; do
    echo "$wanted" | grep -q "^$key " || {{ etcd del "$key" < /dev/null > /dev/null; echo "$key deleted"; }}
done
"""


def register_script(stack: Stack) -> str:
    """The script that stands beside the file."""
    words = {"file": FILE, "script": SCRIPT, "step": stack.topology.step, "number": labels.COMPOSE_NUMBER, "network": stack.network.name}
    return REGISTER.format(etcd=stack.of("etcd")[0].name, app="ping-app", **words)
