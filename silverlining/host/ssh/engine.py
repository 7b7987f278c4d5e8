"""The Docker engine of a host over SSH: its socket forwarded by sshd, or where that can't be, `docker system dial-stdio`."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING, Any, cast

from ...model.settings import Settings
from ...model.text import _
from ..endpoint import DEFAULT_SOCKET, Endpoint, find
from ..engine import PATIENCE, TIMEOUT, Engine, Unreachable, chain, examine
from .adapter import STREAMS, client_over
from .channel import ChannelSocket
from .link import Link, Refused

if TYPE_CHECKING:
    from docker import APIClient
    from fabric import Connection

VERSION = "1.41"  # until the engine's own is known: examine sets it
DIAL_PATIENCE = 15  # seconds: sudo takes its time to refuse a password three times

# What only the host itself can tell about an engine that doesn't answer, as name=value. A login over SSH may have a short PATH; csh takes no
# quoted text of several lines.
LOOK = "; ".join(
    (
        "PATH=$PATH:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin:/snap/bin",
        "echo user=$(id -un)",
        "test -S {socket} && echo socket=1",
        "test -r {socket} && test -w {socket} && echo may=1",
        "for name in docker dockerd sudo; do echo $name=$(command -v $name); done",
        "cat /proc/[0-9]*/comm 2>/dev/null | grep -qx dockerd && echo running=1",
        "echo end=1",
    )
)


@dataclass(frozen=True)
class Seen:
    """What LOOK has found. `may`: the user may use the engine's socket; docker, dockerd and sudo: their paths, "" where there is none."""

    user: str
    docker: str
    dockerd: str
    sudo: str
    socket: bool
    may: bool
    running: bool


class SudoRefuses(Exception):
    """sudo doesn't let the user run docker; with its words."""


def connect(connection: Connection | Link, settings: Settings, sudo_password: str | None = None) -> Engine:
    """The engine of the host at the other end, by the first way that works. `Engine.link` has the connection's other sockets.

    `sudo_password` is the user's; without it Fabric's own (--prompt-for-sudo-password) is taken. Raises EngineError: Unreachable with
    the cause told apart, LinkLost, or what `examine` says of the engine.
    """
    link = connection if isinstance(connection, Link) else Link(connection)
    given = settings.docker_host if settings.docker_host.startswith("unix://") else DEFAULT_SOCKET
    endpoint = replace(find(given, {}, Path("/nonexistent")), origin=_("on {host}").format(host=link.host))
    return _Ways(link, endpoint, sudo_password or link.connection.config.sudo.password).first()


class _Ways:
    """The ways to one engine, tried one after the other."""

    def __init__(self, link: Link, endpoint: Endpoint, password: str | None) -> None:
        self.link, self.host, self.endpoint, self.password = link, link.host, endpoint, password
        self.path = str(endpoint.socket)
        self.named = f"{endpoint.address} ({endpoint.origin})"
        self.default = self.path in ("/var/run/docker.sock", "/run/docker.sock")

    def first(self) -> Engine:
        """The engine by the first way that works."""
        client = client_over(lambda: self.link.unix(self.path), False, VERSION, PATIENCE)
        try:
            return self._engine(client, _("the socket forwarded by SSH"))
        except Refused:
            # Forbidden by sshd, no permission, no socket, or nobody listens: sshd says the same to all of them.
            client.close()
        seen = self.look()
        if not seen.socket:
            raise self._missing(seen)
        if not seen.docker:
            raise self._stopped() if seen.may and not seen.running else self._no_command()
        dial = f"{shlex.quote(seen.docker)} -H {shlex.quote(self.endpoint.address)} system dial-stdio"
        return self._dialled(dial) if seen.may else self._by_sudo(seen, dial)

    def look(self) -> Seen:
        """Asks the host, in one call. Raises Unreachable where it runs no commands."""
        try:
            code, output, errors = self.link.run(LOOK.format(socket=shlex.quote(self.path)))
        except (Refused, TimeoutError) as error:
            code, output, errors = -1, "", str(error) or _("no answer")
        found = dict(line.split("=", 1) for line in output.splitlines() if "=" in line)
        if "end" not in found:
            reason = (errors or output).splitlines()[-1:] or [_("exit code {code}").format(code=code)]
            what = _("{host} runs no commands for this user: {reason}").format(host=self.host, reason=reason[0])
            raise Unreachable("unknown", what, _("`ssh {host} id` must work").format(host=self.host))
        flags = {name: name in found for name in ("socket", "may", "running")}
        return Seen(found["user"], found["docker"], found["dockerd"], found["sudo"], **flags)

    def _engine(self, client: APIClient, way: str) -> Engine:
        """The engine that answers `client`. Raises Refused where a channel was, or EngineError."""
        from docker.errors import DockerException
        from requests import RequestException

        try:
            answer: Any = client.version(api_version=False)
        except (DockerException, RequestException, OSError, ValueError) as error:
            self.link.check()
            causes = list(chain(error))
            if refused := next((cause for cause in causes if isinstance(cause, Refused)), None):
                raise refused from None
            raise self._strange(causes) from None
        if not isinstance(answer, dict) or "ApiVersion" not in answer:
            raise self._strange([])
        client.timeout = TIMEOUT
        endpoint = replace(self.endpoint, origin=f"{self.endpoint.origin}, {way}")
        return replace(examine(client, answer, endpoint), local=False, way=way, link=self.link)

    # ---- docker system dial-stdio

    def _by_sudo(self, seen: Seen, dial: str) -> Engine:
        """Under sudo: without a password where that is allowed, else with it."""
        join = _("`sudo usermod -aG docker {user}` on {host} (members of that group are as good as root)").format(user=seen.user, host=self.host)
        if not seen.sudo:
            raise self._denied(_("{user} may not use it, and there is no sudo").format(user=seen.user), _("log in as root; or ") + join)
        # -k: what sudo remembers of a user for some minutes doesn't count, so that a later connection is answered as the first one.
        sudo = f"env LC_ALL=C {shlex.quote(seen.sudo)} -k"
        try:
            return self._dialled(f"{sudo} -n {dial}", sudo=True)
        except SudoRefuses as error:
            words = str(error)
        if self.password is None:
            what = _("{user} may not use it, and sudo says: {words}").format(user=seen.user, words=words)
            raise self._denied(what, _("add --prompt-for-sudo-password; or ") + join)
        try:
            return self._dialled(f"{sudo} -S -p '' {dial}", self.password, sudo=True)
        except SudoRefuses as error:
            what = _("{user} may not use it, and sudo refuses the password: {words}").format(user=seen.user, words=error)
            raise self._denied(what, _("give {user}'s own password; or ").format(user=seen.user) + join) from None

    def _dialled(self, command: str, password: str | None = None, sudo: bool = False) -> Engine:
        """By a process on the host, which is tried with a ping first. Raises SudoRefuses, Unreachable."""
        try:
            made = self.link.process(command, password)
        except Refused as error:
            raise self._denied(str(error), _("MaxSessions in {host}'s sshd_config must be 3 or more").format(host=self.host)) from None
        made.settimeout(DIAL_PATIENCE)
        try:
            made.sendall(b"GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n")
            pong = HTTPResponse(cast(socket, made))
            pong.begin()
            pong.read()
        except (OSError, HTTPException) as error:
            words = made.words() or str(error)
            made.close()
            raise self._why(words, sudo) from None
        waiting = [made]

        def dial() -> ChannelSocket:
            try:
                return waiting.pop()
            except IndexError:
                return self.link.process(command, password)

        way = _("docker system dial-stdio under sudo") if sudo else "docker system dial-stdio"
        client = client_over(dial, True, VERSION, PATIENCE)
        self.link.spares.append(client._custom_adapter.release)  # type: ignore[attr-defined]
        return replace(self._engine(client, way), sudo=sudo, streams=STREAMS)

    # ---- what goes wrong

    def _why(self, words: str, sudo: bool) -> Exception:
        """What a dial-stdio that has ended wants to say."""
        gist = (words.splitlines() or [""])[-1]
        if "connection refused" in words or "Cannot connect to the Docker daemon" in words:
            return self._stopped()
        if "no such file or directory" in words:
            return self._stopped()
        if "dial unix" in words or "docker" in gist.lower():
            return self._denied(gist, _("see whether `docker version` works on {host}").format(host=self.host))
        return SudoRefuses(gist) if sudo else self._denied(gist, _("see whether `docker version` works on {host}").format(host=self.host))

    def _missing(self, seen: Seen) -> Unreachable:
        if seen.dockerd:
            what = _("the engine's socket is missing: {engine}. Docker is installed but not running").format(engine=self.named)
            return Unreachable("stopped", what, self._start(), self.default)
        what = _("the engine's socket is missing: {engine}, and no Docker engine is installed there").format(engine=self.named)
        hint = _("`fab -H {host} step00-install` installs one").format(host=self.host) if self.default else self._start()
        return Unreachable("missing", what, hint, self.default)

    def _stopped(self) -> Unreachable:
        what = _("nothing listens on {engine}: the Docker engine is not running").format(engine=self.named)
        return Unreachable("stopped", what, self._start(), self.default)

    def _start(self) -> str:
        if self.default:
            return _("`fab -H {host} step00-install` starts it").format(host=self.host)
        return _("start the engine that listens there, or name another one in docker_host")

    def _no_command(self) -> Unreachable:
        reason = _("sshd there doesn't forward it to this user, and there is no docker command to reach it with")
        return self._denied(reason, _("install docker-cli on {host}; or let sshd forward it: AllowStreamLocalForwarding yes").format(host=self.host))

    def _denied(self, reason: str, hint: str) -> Unreachable:
        return Unreachable("denied", _("no way to the engine's socket {engine}: {reason}").format(engine=self.named, reason=reason), hint)

    def _strange(self, causes: list[BaseException]) -> Unreachable:
        if any(isinstance(cause, TimeoutError) for cause in causes):
            what = _("{engine} did not answer within {seconds} s").format(engine=self.named, seconds=PATIENCE)
            return Unreachable("silent", what, _("see what the engine does: `journalctl -u docker` on {host}").format(host=self.host))
        reason = str(causes[-1]) if causes else _("it gives no version")
        what = _("what answers at {engine} is no Docker engine: {reason}").format(engine=self.named, reason=reason)
        return Unreachable("broken", what, _("correct docker_host"))
