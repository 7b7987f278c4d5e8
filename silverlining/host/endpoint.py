"""Finds out which engine is meant, as docker itself does: setting, DOCKER_HOST, docker's current context, default socket."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..model.errors import EngineError
from ..model.text import _

DEFAULT_SOCKET = "unix:///var/run/docker.sock"


@dataclass(frozen=True)
class Tls:
    """Where the certificates of a TLS endpoint are, and whether the engine's own is verified."""

    ca: Path
    cert: Path
    key: Path
    verify: bool

    @classmethod
    def at(cls, folder: Path, verify: bool) -> Tls:
        """The three files by their usual names."""
        return cls(folder / "ca.pem", folder / "cert.pem", folder / "key.pem", verify)


@dataclass(frozen=True)
class Endpoint:
    """An engine's address, who named it, and what a called program needs in its environment to reach the same one."""

    address: str
    origin: str
    environment: Mapping[str, str]
    tls: Tls | None = None

    @property
    def socket(self) -> Path | None:
        """The path of a socket of this machine."""
        return Path("/" + self.address.removeprefix("unix://").lstrip("/")) if self.address.startswith("unix://") else None


def find(setting: str, environ: Mapping[str, str], home: Path) -> Endpoint:
    """The endpoint that is meant. Raises EngineError where a context can't be read or an address can't be used."""
    config = Path(environ.get("DOCKER_CONFIG") or home / ".docker")
    if setting:
        endpoint = _address(setting, _("setting docker_host"), environ, config)
    elif environ.get("DOCKER_HOST"):
        endpoint = _address(environ["DOCKER_HOST"], "DOCKER_HOST", environ, config)
    elif (name := environ.get("DOCKER_CONTEXT") or _current(config)) not in ("", "default"):
        endpoint = _context(name, config)
    else:
        endpoint = _address(DEFAULT_SOCKET, _("default socket"), environ, config)
    _refuse(endpoint)
    return endpoint


def _environment(**values: str) -> dict[str, str]:
    # An empty value counts as unset, for docker and for its SDKs: what the caller's own environment says must not win.
    return {"DOCKER_HOST": "", "DOCKER_CONTEXT": "", "DOCKER_TLS": "", "DOCKER_TLS_VERIFY": "", "DOCKER_CERT_PATH": "", **values}


def _address(address: str, origin: str, environ: Mapping[str, str], config: Path) -> Endpoint:
    address = address.strip()
    folder, verify, tls = (environ.get(f"DOCKER_{name}", "") for name in ("CERT_PATH", "TLS_VERIFY", "TLS"))
    if address.startswith("unix://") or not (verify or tls):
        return Endpoint(address, origin, _environment(DOCKER_HOST=address))
    variables = _environment(DOCKER_HOST=address, DOCKER_TLS=tls, DOCKER_TLS_VERIFY=verify, DOCKER_CERT_PATH=folder)
    return Endpoint(address, origin, variables, Tls.at(Path(folder or config), bool(verify)))


def _current(config: Path) -> str:
    file = config / "config.json"
    try:
        return str(json.loads(file.read_text()).get("currentContext") or "")
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, AttributeError) as error:
        raise EngineError(
            _("docker's configuration {file} can't be read: {error}").format(file=file, error=getattr(error, "strerror", None) or error),
            _("mend it, or name the engine in DOCKER_HOST or in the setting docker_host"),
        ) from None


def _context(name: str, config: Path) -> Endpoint:
    identity = hashlib.sha256(name.encode()).hexdigest()
    file = config / "contexts" / "meta" / identity / "meta.json"
    try:
        described: dict[str, Any] = json.loads(file.read_text())["Endpoints"]["docker"]
        address = str(described.get("Host") or DEFAULT_SOCKET)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        raise EngineError(
            _("docker's current context {name} has no endpoint: {file} is missing or broken").format(name=name, file=file),
            _("`docker context ls` lists the contexts, `docker context use default` goes back to the default socket"),
        ) from None
    origin = _("docker context {name}").format(name=name)
    certificates = config / "contexts" / "tls" / identity / "docker"
    skip = bool(described.get("SkipTLSVerify"))
    if address.startswith("unix://") or not (skip or certificates.is_dir()):
        return Endpoint(address, origin, _environment(DOCKER_HOST=address))
    return Endpoint(address, origin, _environment(DOCKER_CONTEXT=name), Tls.at(certificates, not skip))


def _refuse(endpoint: Endpoint) -> None:
    scheme = endpoint.address.partition("://")[0] if "://" in endpoint.address else ""
    if scheme == "ssh":
        raise EngineError(
            _("the engine {address} ({origin}) is reached over SSH, which `invoke` does not do").format(
                address=endpoint.address, origin=endpoint.origin
            ),
            _("use `fab -H {host} TASK`").format(host=endpoint.address.removeprefix("ssh://")),
        )
    if scheme not in ("unix", "tcp", "http", "https"):
        raise EngineError(
            _("{address} ({origin}) is no address of an engine that can be used here").format(address=endpoint.address, origin=endpoint.origin),
            _("write unix:///path/of/docker.sock or tcp://host:2376"),
        )
