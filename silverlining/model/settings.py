"""The settings: one nested set of values, checked at once against the commented example, which is their schema.

Order: flags (`--set path=value`), environment (SILVERLINING_PATH), silverlining.yaml, the example's values.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, get_type_hints

from .errors import SettingsError
from .text import _

KEY = "silverlining"
FILE = "silverlining.yaml"
PREFIX = "SILVERLINING_"


@dataclass(frozen=True)
class Ports:
    """Ports of the docker host."""

    web: int
    app: int
    stats: int
    etcd: int
    netdata: int


@dataclass(frozen=True)
class NetworkSettings:
    """Where the stack's subnet comes from."""

    subnet: str
    pool: str


@dataclass(frozen=True)
class HealthSettings:
    """Seconds between two health checks."""

    interval: int


@dataclass(frozen=True)
class RedisSettings:
    """Sentinel's times in seconds."""

    down_after: float
    failover_timeout: float


@dataclass(frozen=True)
class AppSettings:
    """How the application is served."""

    worker_class: str
    workers: int
    threads: int
    cpus: float
    allowed_hosts: list[str]
    redis_deadline: float


@dataclass(frozen=True)
class HAProxySettings:
    """HAProxy's connection limit, its threads, and the seconds between two checks of a server."""

    maxconn: int
    threads: int
    check: float


@dataclass(frozen=True)
class ImageSettings:
    """Where images come from."""

    mirror: str
    references: dict[str, str]
    confd_binary: str
    confd_release: str
    confd_sha256: str
    bundle: str = ""
    stream: bool = True


@dataclass(frozen=True)
class BuildSettings:
    """What builds need of the place where they run."""

    mirror: str
    apt_sources: str
    pip_index: str
    ca_bundle: str


@dataclass(frozen=True)
class SshSettings:
    """What `fab` does about host keys that nobody knows yet, and about many hosts."""

    accept_new_host_key: bool
    hosts_at_once: int


@dataclass(frozen=True)
class Settings:
    """All settings; docs/silverlining.example.yaml says what each means."""

    stack: str
    docker_host: str
    deadline: float
    ports: Ports
    counts: dict[str, int]
    network: NetworkSettings
    health: HealthSettings
    redis: RedisSettings
    app: AppSettings
    haproxy: HAProxySettings
    images: ImageSettings
    build: BuildSettings
    ssh: SshSettings


FREE_FORM = {"images.references"}
WIDEST = 16  # of a subnet: a wider one, by a slip, would take routes of the host's away
# How many containers of each service the address plan has room for.
LIMITS = {"counts.ping-app": 90, "counts.redis-slave": 9, "counts.sentinel": 9}
POSITIVE = (
    *("deadline", "health.interval", "redis.down_after", "redis.failover_timeout"),
    *("app.cpus", "app.redis_deadline", "app.threads", "haproxy.maxconn", "haproxy.threads", "haproxy.check", "ssh.hosts_at_once"),
)


def leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields (path, value) of every setting of the example."""
    for key, value in tree.items():
        path = f"{prefix}{key}"
        if isinstance(value, dict) and path not in FREE_FORM:
            yield from leaves(value, f"{path}.")
        else:
            yield path, value


def variable(path: str) -> str:
    """The environment variable that overrides the setting at `path`."""
    return PREFIX + re.sub(r"[.-]", "_", path).upper()


def load(
    example: Mapping[str, Any],
    file: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, str] | None = None,
) -> Settings:
    """Merges the sources and checks every value. Raises SettingsError that names the wrong key's path and where it stands."""
    schema = dict(leaves(example[KEY]))
    values, places = dict(schema), dict[str, str]()

    def put(path: str, value: Any, where: str, place: str) -> None:
        values[path], places[path] = _typed(path, value, schema[path], where), place

    for path, value in _from_file(file or {}, schema):
        put(path, value, FILE, f"{FILE}: {path}")
    known = {variable(path): path for path in schema}
    for name, text in (environment or {}).items():
        if name.startswith(PREFIX):
            if name not in known:
                raise SettingsError(_("{name}: no such setting").format(name=name), _nearest(name, known))
            path = known[name]
            put(path, _parsed(text, schema[path]), name, f"{name}: {path}")
    for path, text in (flags or {}).items():
        if path not in schema:
            raise SettingsError(_("--set {path}: no such setting").format(path=path), _nearest(path, schema))
        put(path, _parsed(text, schema[path]), f"--set {path}", f"--set {path}")
    _check_ranges(values, places)
    settings: Settings = _build(Settings, values, "")
    return settings


def _from_file(tree: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    if not isinstance(tree, Mapping) or set(tree) - {KEY}:
        wrong = ", ".join(sorted(map(str, set(tree) - {KEY}))) if isinstance(tree, Mapping) else _("no mapping")
        raise SettingsError(_("{where}: {wrong}: everything stands under one key, `silverlining:`").format(where=FILE, wrong=wrong))
    groups = {path.rsplit(".", n)[0] for path in schema for n in range(1, path.count(".") + 1)}

    def walk(node: Any, prefix: str) -> Iterator[tuple[str, Any]]:
        for key, value in node.items():
            path = f"{prefix}{key}"
            if path in schema:
                yield path, value
            elif path not in groups:
                raise SettingsError(f"{FILE}: {KEY}.{path}: " + _("no such setting"), _nearest(path, schema))
            elif value is None:
                continue  # a group whose settings are all commented out
            elif not isinstance(value, Mapping):
                raise SettingsError(f"{FILE}: {KEY}.{path}: " + _("holds further settings, not {value!r}").format(value=value))
            else:
                yield from walk(value, f"{path}.")

    top = tree.get(KEY)
    if top is None:
        return
    if not isinstance(top, Mapping):
        raise SettingsError(f"{FILE}: {KEY}: " + _("holds further settings, not {value!r}").format(value=top))
    yield from walk(top, "")


def _nearest(path: str, known: Mapping[str, Any]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(path, list(known), 1)
    hint = _("docs/silverlining.example.yaml lists them all")
    return _("did you mean {name}?").format(name=close[0]) + f" ({hint})" if close else hint


def _parsed(text: str, example: Any) -> Any:
    """A flag's or variable's text as the kind of value that the example holds."""
    if isinstance(example, bool):
        return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(text.lower(), text)
    if isinstance(example, (int, float)):
        try:
            return int(text)
        except ValueError:
            try:
                return float(text)
            except ValueError:
                return text
    if isinstance(example, list):
        # With brackets and quotes too, as the file writes it.
        inside = text.strip()[1:-1] if text.strip().startswith("[") and text.strip().endswith("]") else text
        return [word for part in inside.split(",") if (word := part.strip().strip("\"'"))]
    if isinstance(example, dict):
        parts = [part.strip() for part in text.split(",") if part.strip()]
        return dict(part.split("=", 1) for part in parts) if all("=" in part for part in parts) else text
    return text


def _typed(path: str, value: Any, example: Any, where: str) -> Any:
    kinds = {int: _("a whole number"), float: _("a number"), str: _("a text"), list: _("a list"), dict: _("a mapping"), bool: _("true or false")}
    floats = {"deadline", "redis.down_after", "redis.failover_timeout", "app.cpus", "app.redis_deadline", "haproxy.check"}
    kind: type = float if path in floats else type(example)
    fits = isinstance(value, (int, float)) and math.isfinite(value) if kind is float else isinstance(value, kind)
    if isinstance(value, bool) and kind is not bool:
        fits = False
    if kind is list and fits:
        fits = all(isinstance(item, str) for item in value)
    if kind is dict and fits:
        fits = all(isinstance(item, str) for pair in value.items() for item in pair)
    if not fits:
        raise SettingsError(_("{where}: {path} must be {kind}, not {value!r}").format(where=where, path=path, kind=kinds[kind], value=value))
    return float(value) if kind is float else value


def _check_ranges(values: Mapping[str, Any], places: Mapping[str, str]) -> None:
    """Raises SettingsError that names the path and where it was set: `places` has that of each setting that isn't the example's."""

    def refuse(path: str, why: str) -> None:
        raise SettingsError(f"{places.get(path, path)}: {why} ({values[path]!r})")

    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,30}", values["stack"]):
        refuse("stack", _("only small letters, digits and dashes, at most 31"))
    ports: dict[int, str] = {}
    for path, value in values.items():
        if path.startswith("ports."):
            if not 1 <= value <= 65535:
                refuse(path, _("must be between 1 and 65535"))
            if value in ports:
                refuse(path, _("is the same as {other}").format(other=ports[value]))
            ports[value] = path
        elif path.startswith("counts."):
            limit = LIMITS[path]
            if not 1 <= value <= limit:
                refuse(path, _("must be between 1 and {limit}").format(limit=limit))
    if values["counts.sentinel"] < 3:
        refuse("counts.sentinel", _("a majority that survives the loss of one needs at least 3"))
    if values["counts.sentinel"] % 2 == 0:
        refuse("counts.sentinel", _("must be odd: one more stands the loss of no more of them, and needs a larger majority"))
    for path in POSITIVE:
        if values[path] <= 0:
            refuse(path, _("must be more than 0"))
    if values["app.workers"] < 0:
        refuse("app.workers", _("must not be negative"))
    if values["app.worker_class"] not in ("meinheld", "gthread"):
        refuse("app.worker_class", _("must be meinheld or gthread"))
    for path in ("network.subnet", "network.pool"):
        if values[path] or path == "network.pool":
            try:
                network = ipaddress.ip_network(values[path])
            except ValueError as error:
                raise SettingsError(f"{places.get(path, path)}: {error}") from None
            if network.version != 4 or network.prefixlen > 24:
                refuse(path, _("must be an IPv4 network of at least a /24"))
            if path == "network.subnet" and network.prefixlen < WIDEST:
                refuse(path, _("must be an IPv4 network from a /24 to a /{widest}").format(widest=WIDEST))


def _build(kind: Any, values: Mapping[str, Any], prefix: str) -> Any:
    hints = get_type_hints(kind)
    arguments: dict[str, Any] = {}
    for field in fields(kind):
        path = f"{prefix}{field.name}"
        if is_dataclass(hints[field.name]):
            arguments[field.name] = _build(hints[field.name], values, f"{path}.")
        elif path in values:
            arguments[field.name] = values[path]
        else:
            arguments[field.name] = {p[len(path) + 1 :]: v for p, v in values.items() if p.startswith(f"{path}.")}
    return kind(**arguments)
