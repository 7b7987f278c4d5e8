"""Installing a Docker engine for real: in a bare Debian container that may do what an engine needs (Docker in Docker)."""

from __future__ import annotations

import shlex
import subprocess
import uuid
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from silverlining.host import install
from silverlining.model.errors import EngineError
from silverlining.model.images import Image

CAPABILITIES = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW"
    " SYS_CHROOT SYS_PTRACE SYS_ADMIN SYS_NICE MKNOD AUDIT_WRITE SETFCAP SYSLOG"
)
RIGHTS = (
    *(f"--cap-add={capability}" for capability in CAPABILITIES.split()),
    *(f"--security-opt={option}=unconfined" for option in ("seccomp", "apparmor", "systempaths")),
    "--device-cgroup-rule=a *:* rwm",
    "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw",
    "--cgroupns=host",
    "--volume=/var/lib/docker",
)


class Machine:
    """A container that stands for a host, with the shell that Invoke or Fabric would give."""

    def __init__(self, image: str, *rights: str, user: str = "") -> None:
        self.name = f"try-install-{uuid.uuid4().hex[:8]}"
        self.user = user
        self.said: list[str] = []
        docker("run", "--detach", "--init", "--name", self.name, *rights, image, "sleep", "infinity")

    def run(self, command: str, **_options: Any) -> SimpleNamespace:
        """As the person that this machine was made for."""
        return self._run(command, self.user)

    def sudo(self, command: str, **_options: Any) -> SimpleNamespace:
        """Through sudo, as Invoke does it."""
        return self._run(f"sudo -n {command}", self.user)

    def root(self, command: str) -> str:
        """The output of a command as root, which must succeed."""
        result = self._run(command, "")
        assert result.ok, result.stdout + result.stderr
        return str(result.stdout).strip()

    def bring_up(self) -> None:
        """What step00 does."""
        install.carry_out(self, install.plan(install.look(self)), self.said.append)

    def remove(self) -> None:
        """Takes it away with its volume."""
        subprocess.run(["docker", "rm", "--force", "--volumes", self.name], check=False, capture_output=True)

    def _run(self, command: str, user: str) -> SimpleNamespace:
        line = ["docker", "exec", *(("--user", user) if user else ()), self.name, "bash", "-c", command]
        done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=300)
        return SimpleNamespace(stdout=done.stdout, stderr=done.stderr, ok=done.returncode == 0)


def docker(*words: str) -> str:
    """The output of a docker command on this machine's engine."""
    return subprocess.run(["docker", *words], check=True, capture_output=True, text=True).stdout.strip()
