"""What the container that we run in gives us: secrets, names, its share of the CPU."""

import math
import os
import socket
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured


def secret(name: str) -> str:
    """A secret comes from its file, never from the environment, and there is no default."""
    path = Path(os.environ.get("SECRETS_DIR", "/secrets")) / name
    try:
        value = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ImproperlyConfigured(f"the secret {path} can't be read: {error.strerror}") from error
    if not value:
        raise ImproperlyConfigured(f"the secret {path} is empty")
    return value


def own_names() -> list[str]:
    """The names and addresses under which a neighbour (a health check, say) asks this very container."""
    name = socket.gethostname()
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError:
        found = []
    addresses = {str(address[0]) for *_, address in found}
    return [name, *sorted(f"[{a}]" if ":" in a else a for a in addresses)]


def cpus(root: Path = Path("/sys/fs/cgroup")) -> float:
    """The CPUs that this container may use: its quota (cgroup v2 or v1), else those that it may run on."""
    allowed = float(len(os.sched_getaffinity(0)))
    for files in (["cpu.max"], ["cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"]):
        try:
            quota, period = " ".join((root / file).read_text() for file in files).split()
        except (OSError, ValueError):
            continue
        # "max" (v2) and -1 (v1) stand for no limit.
        return min(allowed, int(quota) / int(period)) if quota.isdigit() else allowed
    return allowed


def workers() -> int:
    """One worker process for each CPU, or part of one, that is ours."""
    return max(1, math.ceil(cpus()))
