"""The Docker engine of a host: found once, asked once, and refused with the reason where the course can't run on it."""

from __future__ import annotations

import errno
import os
import shutil
import ssl
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..model.errors import EngineError
from ..model.settings import Settings
from ..model.text import _
from .endpoint import Endpoint, find

if TYPE_CHECKING:
    from docker import APIClient
    from requests import Session

    from .ssh.link import Link

OLDEST_API = (1, 41)
NEWEST_API = (1, 45)  # What docker-py 7.2 is written for. Later engines still speak it, and 1.52 drops fields.
POOL = 32
PATIENCE = 10  # seconds for the first answer
TIMEOUT = 120  # seconds for any other answer


class Unreachable(EngineError):
    """No engine answers. `cause` is missing, stopped, denied, tls, silent, unknown or broken: step00 mends the first two at the `default` socket."""

    def __init__(self, cause: str, what: str, hint: str, default: bool = False) -> None:
        super().__init__(what, hint)
        self.cause = cause
        self.default = default


@dataclass(frozen=True)
class Engine:
    """The engine that everything of this run talks to. `environment` is for every program that is called.

    Over SSH: `way` says how it is reached, `sudo` that programs need sudo for it, `link` is the connection (host/ssh/link.py), and
    `streams` how many endless answers (events, logs that are followed, attached containers) can be open at once.
    """

    endpoint: str
    origin: str
    client: APIClient
    environment: Mapping[str, str]
    version: str
    api_version: str
    os: str
    local: bool
    notes: tuple[str, ...] = ()
    way: str = ""
    sudo: bool = False
    link: Link | None = None
    streams: int = 1000


def connect(settings: Settings, environ: Mapping[str, str] | None = None, home: Path | None = None) -> Engine:
    """Finds the engine and asks for its version: one call. Raises EngineError with the cause told apart."""
    endpoint = find(settings.docker_host, os.environ if environ is None else environ, home or Path.home())
    client = _client(endpoint)
    answer = _ask(client, endpoint)
    return examine(client, answer, endpoint)


def examine(client: APIClient, answer: Mapping[str, Any], endpoint: Endpoint) -> Engine:
    """The Engine that gave `answer` to /version; `client` is set to the API version that both speak."""
    kinds = {str(component.get("Name", "")) for component in answer.get("Components") or ()}
    named = f"{endpoint.address} ({endpoint.origin})"
    if "Podman Engine" in kinds:
        raise EngineError(
            _("{engine} is Podman. Its API leaves out what the course shows: links, Docker's own networks and their firewall rules").format(
                engine=named
            ),
            _("name a Docker engine in DOCKER_HOST or in the setting docker_host; `invoke step00-install` installs one"),
        )
    if "rootlesskit" in kinds:
        # It would half work, and teach what isn't so: its "host" network is RootlessKit's own, and it enforces limits only with delegation.
        raise EngineError(
            _(
                "{engine} is rootless Docker. Its host network is a namespace of its own, so that the network lesson and LVS"
                " would show another host; port 80 and the limits need settings of the system"
            ).format(engine=named),
            _("use an engine that runs as root: `docker context use default`, or DOCKER_HOST=unix:///var/run/docker.sock"),
        )
    system = str(answer.get("Os", ""))
    if system != "linux":
        raise EngineError(
            _("{engine} runs {system} containers; the course needs Linux containers").format(engine=named, system=system or "?"),
            _("Docker Desktop: switch to Linux containers in its menu"),
        )
    theirs, oldest = _number(answer.get("ApiVersion")), _number(answer.get("MinAPIVersion"))
    if theirs < OLDEST_API:
        raise EngineError(
            _("{engine} is Docker {version}, which speaks API {api}; {needed} is needed, Docker 20.10").format(
                engine=named, version=answer.get("Version", "?"), api=answer.get("ApiVersion", "?"), needed=_text(OLDEST_API)
            ),
            _("upgrade the engine"),
        )
    spoken = _text(min(theirs, max(NEWEST_API, oldest)))
    client._version = spoken  # type: ignore[attr-defined]  # its public name is read-only
    return Engine(
        endpoint=endpoint.address,
        origin=endpoint.origin,
        client=client,
        environment=dict(endpoint.environment),
        version=str(answer.get("Version", "")),
        api_version=spoken,
        os=system,
        local=endpoint.socket is not None,
        notes=_notes(str((answer.get("Platform") or {}).get("Name", ""))),
    )


def _notes(platform: str) -> tuple[str, ...]:
    if platform.startswith("Docker Desktop"):
        return (_("this is Docker Desktop: the host that the lessons show is its virtual machine, not this computer"),)
    return ()


def _number(text: object) -> tuple[int, int]:
    major, _dot, minor = str(text or "0.0").partition(".")
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else (0, 0)


def _text(number: tuple[int, int]) -> str:
    return "{}.{}".format(*number)


def keep_own_ca(session: Session) -> None:
    """Makes a session trust the CA that it was given, and no other: requests prefers REQUESTS_CA_BUNDLE of the environment (its issue 3829),
    which people behind a proxy that inspects TLS have set."""
    merge = session.merge_environment_settings

    def own(*words: Any, **named: Any) -> Any:
        return {**merge(*words, **named), "verify": session.verify}

    session.merge_environment_settings = own  # type: ignore[method-assign]


def _client(endpoint: Endpoint) -> APIClient:
    # docker-py imports paramiko for ssh:// addresses, which are refused here: 0.1 s for nothing.
    sys.modules.setdefault("docker.transport.sshconn", None)  # type: ignore[arg-type]
    from docker import APIClient
    from docker.errors import DockerException
    from docker.tls import TLSConfig
    from requests.adapters import HTTPAdapter

    tls: Any = False
    try:
        if endpoint.tls:
            files = endpoint.tls
            pair = (str(files.cert), str(files.key)) if files.cert.exists() or files.key.exists() else None
            tls = TLSConfig(client_cert=pair, ca_cert=str(files.ca), verify=files.verify)
        # A version of its own spares the call that "auto" makes; the real one is agreed on with the first answer.
        client = APIClient(endpoint.address, version=_text(OLDEST_API), timeout=PATIENCE, tls=tls, max_pool_size=POOL)
    except (DockerException, ValueError) as error:
        folder = endpoint.tls.cert.parent if endpoint.tls else ""
        raise Unreachable(
            "tls" if folder else "unknown",
            _("{address} ({origin}): {error}").format(address=endpoint.address, origin=endpoint.origin, error=error),
            _("TLS needs ca.pem, cert.pem and key.pem in {folder}").format(folder=folder) if folder else _("correct the address"),
        ) from None
    if endpoint.tls:
        keep_own_ca(client)
    if not endpoint.socket:
        for scheme in ("http://", "https://"):
            client.mount(scheme, HTTPAdapter(pool_maxsize=POOL))
    return client


def _ask(client: APIClient, endpoint: Endpoint) -> Mapping[str, Any]:
    from docker.errors import DockerException
    from requests import RequestException

    try:
        answer: Any = client.version(api_version=False)
    except (DockerException, RequestException, OSError, ValueError) as error:
        raise _cause(error, endpoint) from None
    if not isinstance(answer, dict) or "ApiVersion" not in answer:
        raise _not_docker(endpoint)
    client.timeout = TIMEOUT
    return answer


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and all that it wraps: requests and urllib3 hide the system's own error three levels deep."""
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting:
        item = waiting.pop(0)
        if isinstance(item, BaseException) and id(item) not in seen:
            seen.add(id(item))
            yield item
            waiting += [*item.args, item.__cause__, item.__context__, getattr(item, "reason", None)]


def _cause(error: Exception, endpoint: Endpoint) -> EngineError:
    import socket

    from requests.exceptions import Timeout

    errors = list(chain(error))
    named = f"{endpoint.address} ({endpoint.origin})"
    numbers = {e.errno for e in errors if isinstance(e, OSError)}
    text = str(error)
    if any(isinstance(e, ssl.SSLError) for e in errors) or "HTTP request to an HTTPS server" in text:
        reason = next((str(e) for e in errors if isinstance(e, ssl.SSLError)), text)
        what = _("TLS with the engine {engine} failed: {reason}").format(engine=named, reason=reason)
        return Unreachable("tls", what, _("set DOCKER_TLS_VERIFY=1, and DOCKER_CERT_PATH to the folder of ca.pem, cert.pem and key.pem"))
    if numbers & {errno.EACCES, errno.EPERM}:
        return Unreachable("denied", _("no permission on the engine's socket {engine}").format(engine=named), _permission(endpoint))
    if numbers & {errno.ENOENT, errno.ENOTDIR}:
        return _missing(endpoint, named)
    if errno.ECONNREFUSED in numbers:
        what = _("nothing listens on {engine}: the Docker engine is not running").format(engine=named)
        return Unreachable("stopped", what, _start(endpoint), _default(endpoint))
    if any(isinstance(e, socket.gaierror) for e in errors):
        return Unreachable("unknown", _("the name in {engine} is not known").format(engine=named), _("correct DOCKER_HOST or docker_host"))
    if any(isinstance(e, (Timeout, TimeoutError)) for e in errors):
        what = _("{engine} did not answer within {seconds} s").format(engine=named, seconds=PATIENCE)
        return Unreachable("silent", what, _("see what the engine does: `journalctl -u docker` or /var/log/dockerd.log"))
    if isinstance(error, ValueError):
        return _not_docker(endpoint)
    what = _("no engine can be reached at {engine}: {error}").format(engine=named, error=errors[-1])
    return Unreachable("unknown", what, _("correct DOCKER_HOST or docker_host, or start the engine"))


def _not_docker(endpoint: Endpoint) -> EngineError:
    what = _("what answers at {address} ({origin}) is no Docker engine").format(address=endpoint.address, origin=endpoint.origin)
    return Unreachable("broken", what, _("correct DOCKER_HOST, docker_host or the docker context"))


def _default(endpoint: Endpoint) -> bool:
    return str(endpoint.socket) in ("/var/run/docker.sock", "/run/docker.sock")


def _start(endpoint: Endpoint) -> str:
    if endpoint.socket and "desktop" in endpoint.address + endpoint.origin:
        return _("start Docker Desktop, or `docker context use default`")
    if _default(endpoint):
        return _("`invoke step00-install` starts it")
    return _("start the engine that listens there, or name another one in DOCKER_HOST or docker_host")


def _missing(endpoint: Endpoint, named: str) -> EngineError:
    default = _default(endpoint)
    if shutil.which("dockerd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin:/snap/bin"):
        what = _("the engine's socket is missing: {engine}. Docker is installed but not running").format(engine=named)
        return Unreachable("stopped", what, _start(endpoint), default)
    what = _("the engine's socket is missing: {engine}, and no Docker engine is installed here").format(engine=named)
    return Unreachable("missing", what, _("`invoke step00-install` installs one") if default else _start(endpoint), default)


def _permission(endpoint: Endpoint) -> str:
    import getpass
    import grp

    user = getpass.getuser()
    with suppress(OSError, KeyError):  # a folder that can't be read, a group or user without a name
        group = grp.getgrgid((endpoint.socket or Path()).stat().st_gid)
        if user in group.gr_mem and group.gr_gid not in os.getgroups():
            text = _("you are in the group {group}, but this login is older: log out and in again, or `newgrp {group}`")
            return text.format(group=group.gr_name)
    return _("`sudo usermod -aG docker {user}`, then log in again (members of that group are as good as root); or run it with sudo").format(user=user)
