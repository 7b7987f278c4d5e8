"""Everything that one run of the tests starts: the hosts, the network that is out of reach from here, and the ~/.ssh of the person who uses them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from docker import APIClient

from . import stock
from .hosts import RemoteHost, docker
from .ssh_home import SshHome

LABEL = "io.silverlining.test-host"
# What an engine in a container needs where --privileged can't be had, because this machine lacks a capability itself (CAP_SYS_RESOURCE).
CAPABILITIES = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN"
    " NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_TIME SYS_TTY_CONFIG"
    " MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ"
)
RIGHTS = (
    *(f"--cap-add={capability}" for capability in CAPABILITIES.split()),
    *(f"--security-opt={option}=unconfined" for option in ("seccomp", "apparmor", "systempaths")),
    "--device-cgroup-rule=a *:* rwm",
)
# /run is as new after each start.
MOUNTS = ("--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw", "--cgroupns=host", "--tmpfs=/run:exec,suid,dev")
PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
# How each kind of thing is listed and removed.
KINDS = ((("ps", "--all"), ("rm", "--force", "--volumes")), (("network", "ls"), ("network", "rm")), (("volume", "ls"), ("volume", "rm")))


class Site:
    """The hosts of one run. What a killed run leaves is taken away by the next: everything carries LABEL with the process that made it."""

    def __init__(self, folder: Path, engine: APIClient, images: dict[str, str]) -> None:
        """`folder` gets the home directory, `engine` is this machine's, `images` are references by variant (see images.py)."""
        self.engine, self.images = engine, images
        self.home = SshHome(folder / "home")
        self.owner = run_id()
        self.prefix = f"slr-{os.getpid()}"
        self.label = ("--label", f"{LABEL}={self.owner}")
        self._stock = ""
        self._hidden = 0
        self.sweep()
        self._rights = self._given_rights()

    def start(self, alias: str, variant: str, *more: str, size: str = "", data: str = "") -> RemoteHost:
        """A host that is reached from here. `more` are further words for `docker run`.

        Its engine's disk has the `size` (such as 300m), or is the volume `data`; else it is a new one.
        """
        # A mount of this kind may execute nothing unless told.
        data = f"--tmpfs=/var/lib/docker:exec,suid,dev,size={size}" if size else f"--volume={data}:/var/lib/docker".replace("=:", "=")
        return self._run(RemoteHost(self.home, f"{self.prefix}-{alias}", alias), variant, data, *more)

    def start_stocked(self, alias: str, variant: str, stack: str) -> RemoteHost:
        """The same with all images that the stack of this name needs already in its engine."""
        if not self._stock:
            self._stock = stock.fill(self, stock.references(self.engine, stack))
        return self.start(alias, variant, data=stock.copy(self, self._stock, alias))

    def start_hidden(self, alias: str, variant: str, through: RemoteHost) -> RemoteHost:
        """A host without a way to or from anywhere but the host `through`, which knows it by its alias: this machine has no address there."""
        network = f"{self.prefix}-hidden-{alias}"
        # Engines choose their networks from the same pool: one here could be one that stands inside of `through`.
        self._hidden += 1
        subnet = f"--subnet=10.99.{240 + self._hidden}.0/24"
        docker("network", "create", *self.label, "--internal", subnet, "--opt", "com.docker.network.bridge.inhibit_ipv4=true", network)
        through.join(network)
        hidden = RemoteHost(self.home, f"{self.prefix}-{alias}", alias, through)
        return self._run(hidden, variant, f"--network={network}", "--volume=/var/lib/docker")

    def close(self) -> None:
        """Takes everything away, with the hosts' disks."""
        self._remove(self.owner)
        self._sweep_groups()

    def sweep(self) -> None:
        """Takes away what runs have left that are no more."""
        shown = f'{{{{.Label "{LABEL}"}}}}'
        listed = [docker(*found, "--filter", f"label={LABEL}", "--format", shown) for found, _ in KINDS]
        for owner in set("\n".join(listed).split()):
            if run_id(owner.partition("-")[0]) != owner:
                self._remove(owner)
        self._sweep_groups()

    def _sweep_groups(self) -> None:
        """Takes away the control groups that the containers of removed hosts have left: a netdata here would ask about each, again and again.

        A host's engine makes them beside those of this machine's engine.
        """
        groups = ("run", "--rm", *self.label, MOUNTS[0], MOUNTS[1], next(iter(self.images.values())), "sh", "-c")
        found = docker(*groups, "ls -d /sys/fs/cgroup/*/docker/*/ /sys/fs/cgroup/docker/*/ 2>/dev/null || true").split()
        # Asked after that: whoever has come meanwhile is known, and was not found.
        known = set(docker("ps", "--all", "--quiet", "--no-trunc").split())
        if left := [path for path in found if Path(path).name not in known]:
            # One that is in use can't be removed.
            docker(*groups, f"rmdir {' '.join(left)} 2>/dev/null || true")

    def _run(self, host: RemoteHost, variant: str, *words: str) -> RemoteHost:
        proxies = (f"--env={name}" for name in PROXIES if os.environ.get(name))
        who = ("--name", host.name, "--hostname", host.alias, f"--env=AUTHORIZED_KEY={self.home.public_key}")
        docker("run", "--detach", "--init", *who, *self.label, *self._rights, *MOUNTS, *proxies, *words, self.images[variant])
        host.settle()
        return host

    def _given_rights(self) -> tuple[str, ...]:
        """`--privileged` where this machine can give that, else all that it can give."""
        image = next(iter(self.images.values()))
        tried = subprocess.run(["docker", "run", "--rm", *self.label, "--privileged", image, "true"], capture_output=True, check=False)
        return ("--privileged",) if tried.returncode == 0 else RIGHTS

    @staticmethod
    def _remove(owner: str) -> None:
        for found, remove in KINDS:
            if names := docker(*found, "--quiet", "--filter", f"label={LABEL}={owner}").split():
                docker(*remove, *names)


def run_id(pid: str = "self") -> str:
    """A name for a process that no later one will have, "" if there is none: its number and the time of its start, in ticks since the boot."""
    try:
        head, _, rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
    except OSError:
        return ""
    return f"{head.split(' ')[0]}-{rest.split()[19]}"
