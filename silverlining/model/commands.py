"""Writes actions as the docker commands that they stand for: plain arrays, built here and executed elsewhere."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping

from .actions import (
    Action,
    AttachReplica,
    CreateNetwork,
    CreateVolume,
    DeleteKey,
    Drain,
    ForgetMaster,
    MakeSecrets,
    Mend,
    MoveMaster,
    PutKey,
    Readmit,
    Remove,
    RemoveVolume,
    Replace,
    ResetSentinels,
    Run,
    SeedReplica,
    Start,
    Unpause,
)
from .hold import Hold
from .stack import LOG_OPTIONS as LOG_OPTIONS
from .stack import Container, Mount

Argv = tuple[str, ...]

FORGET = "rm -rf /v/*/conf"


def docker(*parts: str | Iterable[str]) -> Argv:
    """A docker command line from words and groups of words."""
    words: list[str] = ["docker"]
    for part in parts:
        words += [part] if isinstance(part, str) else list(part)
    return tuple(words)


def flags(flag: str, values: Iterable[str]) -> Argv:
    """The flag before each of the values."""
    return tuple(word for value in values for word in (flag, value))


def pairs(mapping: Mapping[str, str] | Iterable[tuple[str, str]]) -> list[str]:
    """key=value of each."""
    items = mapping.items() if isinstance(mapping, Mapping) else mapping
    return [f"{key}={value}" for key, value in items]


def mount_flag(mount: Mount) -> str:
    """The value of `--mount`."""
    source = f",source={mount.source}" if mount.source else ""
    return f"type={mount.kind}{source},target={mount.target}" + (",readonly" if mount.read_only else "")


def publish_flag(port: tuple[str, int, int]) -> str:
    """The value of `--publish` for (host address or "", host port, container port)."""
    address, outside, inside = port
    return f"{address}:{outside}:{inside}" if address else f"{outside}:{inside}"


def run(c: Container) -> Argv:
    """`docker run` of a container with everything that its service says."""
    health = c.health
    return docker(
        "run",
        "--detach",
        ("--name", c.name, "--hostname", c.name),
        ("--network", c.network, "--ip", c.address),
        flags("--network-alias", c.aliases),
        flags("--link", (f"{other}:{alias}" for other, alias in c.links)),
        flags("--publish", map(publish_flag, c.ports)),
        flags("--mount", map(mount_flag, c.mounts)),
        flags("--tmpfs", c.tmpfs),
        flags("--env", pairs(c.environment)),
        ("--user", c.user) if c.user else (),
        ("--read-only",) if c.read_only else (),
        ("--cap-drop", "ALL"),
        flags("--cap-add", c.cap_add),
        ("--security-opt", "no-new-privileges"),
        flags("--sysctl", pairs(c.sysctls)),
        ("--memory", f"{c.memory}m", "--cpus", f"{c.cpus:g}"),
        ("--restart", c.restart, "--stop-signal", c.stop_signal, "--stop-timeout", str(c.stop_grace)),
        ("--log-driver", "json-file", *flags("--log-opt", pairs(LOG_OPTIONS))),
        (
            *("--health-cmd", health.command, "--health-interval", f"{c.health_interval}s"),
            *("--health-timeout", f"{health.timeout}s", "--health-retries", str(health.retries)),
            *("--health-start-period", f"{health.start_period}s"),
        )
        if health
        else (),
        flags("--label", pairs(c.labels)),
        c.image.reference,
        c.command,
    )


def bring_up(c: Container) -> tuple[Argv, ...]:
    """What makes a container run: `docker run`, or, where something is copied into it first, that in three commands."""
    if not c.copies:
        return (run(c),)
    create = docker("create", [word for word in run(c)[2:] if word != "--detach"])
    return create, *(docker("cp", f"{copy.source}/.", f"{c.name}:{copy.target}") for copy in c.copies), docker("start", c.name)


def remove(name: str) -> tuple[Argv, ...]:
    """Stops a container with its own grace and signal, and removes it; named volumes stay."""
    return docker("stop", name), docker("rm", name)


def helper(*words: str | Iterable[str], network: str = "none", cap_add: Iterable[str] = ()) -> Argv:
    """A short-lived container, as host/helpers.py runs it: `words` are the rest of its flags, its image and its command."""
    caps = flags("--cap-add", ("DAC_OVERRIDE", *cap_add))
    return docker("run", "--rm", "--network", network, "--cap-drop", "ALL", caps, "--security-opt", "no-new-privileges", *words)


def nft(hold: Hold, words: str) -> Argv:
    """What the host's nftables are told, by a container in its network namespace."""
    return helper(hold.tools, "nft", words, network="host", cap_add=("NET_ADMIN",))


def inside(container: str, *command: str) -> Argv:
    """A command inside a container."""
    return docker("exec", container, command)


def ask_redis(container: str, *command: str) -> Argv:
    """A Redis command to a node, with the password that only the container knows."""
    return inside(container, "redis-ask", *command)


def ask_sentinel(container: str, *command: str) -> Argv:
    """A command to a Sentinel."""
    return inside(container, "redis-ask", "-p", "26379", *command)


def commands(action: Action) -> tuple[Argv, ...]:
    """The docker commands that an action stands for."""
    match action:
        case CreateNetwork(network=network):
            options = ("--driver", "bridge", "--subnet", network.subnet, "--ip-range", network.ip_range, "--gateway", network.gateway)
            return (docker("network", "create", options, flags("--label", pairs(network.labels)), network.name),)
        case CreateVolume(volume=volume):
            return (docker("volume", "create", flags("--label", pairs(volume.labels)), volume.name),)
        case RemoveVolume(name=name):
            return (docker("volume", "rm", name),)
        case MakeSecrets(volume=volume, tools=tools):
            mount = f"type=volume,source={volume},target=/secrets"
            return (helper("--mount", mount, tools.reference, "secrets-init", "/secrets"),)
        case SeedReplica(volume=volume, image=image, master_address=address):
            mount = f"type=volume,source={volume},target=/data"
            return (helper("--mount", mount, image.reference, "redis-seed", address, "6379"),)
        case ForgetMaster(volumes=volumes, tools=tools):
            mounts = flags("--mount", (f"type=volume,source={v},target=/v/{v}" for v in volumes))
            return (helper(mounts, tools.reference, "sh", "-c", FORGET),)
        case Run(container=c):
            return bring_up(c)
        case Replace(old=old, container=c, hold=None):
            return (*remove(old.name), *bring_up(c))
        case Replace(old=old, container=c, hold=Hold() as hold):
            return (nft(hold, hold.begin), *remove(old.name), *bring_up(c), nft(hold, hold.end))
        case Remove(old=old):
            return remove(old.name)
        case Start(container=c):
            return (docker("start", c.name),)
        case Unpause(container=c):
            return (docker("unpause", c.name),)
        case Mend(container=c):
            return (inside(c.name, *c.mend) if c.mend else docker("restart", c.name),)
        case _:
            return _conversation(action)


def _conversation(action: Action) -> tuple[Argv, ...]:
    """Actions that talk to a service rather than to the engine."""
    match action:
        case MoveMaster(sentinel="", master=old, target=new):
            roles = ((new, ("no", "one")), (old, (new, "6379")))
            return tuple(ask_redis(node, *words) for node, role in roles for words in (("replicaof", *role), ("config", "rewrite")))
        case MoveMaster(sentinel=sentinel):
            return (ask_sentinel(sentinel, "sentinel", "failover", "master"),)
        case AttachReplica(node=node, master_address=address):
            return (ask_redis(node, "replicaof", address, "6379"), ask_redis(node, "config", "rewrite"))
        case ResetSentinels(sentinels=sentinels):
            return tuple(ask_sentinel(s, "sentinel", "reset", "master") for s in sentinels)
        case Drain(haproxy=haproxy, server=server):
            return (inside(haproxy, "haproxy-drain", server, "10"),)
        case Readmit(haproxy=haproxy, server=server):
            return (inside(haproxy, "haproxy-ready", server),)
        case PutKey(etcd=etcd, key=key, value=value):
            return (inside(etcd, "etcdctl", "put", key, value),)
        case DeleteKey(etcd=etcd, key=key):
            return (inside(etcd, "etcdctl", "del", key),)
    raise TypeError(action)


def line(argv: Argv) -> str:
    """The command as a person would type it."""
    return shlex.join(argv)


def title(action: Action) -> str:
    """A few words for the list of what a plan does."""
    from .text import _

    words = {
        CreateNetwork: _("create network"),
        CreateVolume: _("create volume"),
        RemoveVolume: _("remove volume"),
        MakeSecrets: _("make secrets in"),
        SeedReplica: _("seed as replica"),
        ForgetMaster: _("clear the memory of"),
        Run: _("run"),
        Replace: _("replace"),
        Remove: _("remove"),
        Start: _("start"),
        Unpause: _("unpause"),
        Mend: _("mend"),
        MoveMaster: _("move the master from"),
        AttachReplica: _("attach replica"),
        ResetSentinels: _("reset Sentinels"),
        Drain: _("drain"),
        Readmit: _("readmit"),
        PutKey: _("register"),
        DeleteKey: _("deregister"),
    }
    return f"{words[type(action)]} {action.subject}"
