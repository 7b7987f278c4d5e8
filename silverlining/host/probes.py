"""Reads the facts of a host for `doctor`: side by side, each with a deadline, and without changing anything.

What needs the host itself is read by a short-lived helper container where the tools image is here, else by what this machine's shell may see.
"""

from __future__ import annotations

import email.utils
import os
import shlex
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..model.diagnosis import Answer
from ..model.errors import TimedOut
from ..model.images import registry_of
from ..model.netfacts import sections
from ..model.settings import Settings
from ..model.text import _
from .ports import LISTENING

if TYPE_CHECKING:
    from .host import Host

PATIENCE = 4.0  # seconds for any one answer
T = TypeVar("T")

_FEATURES = r"""
section() { printf '== %s\n' "$1"; shift; sh -c "$*" 2>/dev/null || :; printf '\n'; }
section filesystems 'cat /proc/filesystems'
section modules 'cut -d " " -f 1 /proc/modules'
section config '{ zcat /proc/config.gz || cat /boot/config-$(uname -r); } | grep -E "^CONFIG_(IP_VS|OVERLAY_FS|BRIDGE|VETH|NF_TABLES)="'
section ipvs 'test -e /proc/net/ip_vs && echo yes'
"""
# In the helper: the host's network namespace, and a file system that is the engine's.
INSIDE = _FEATURES + "section disk 'df -Pk / | tail -n 1'\nhost-net.sh\n"
# In this machine's own shell. modprobe -n loads nothing.
OUTSIDE = (
    "PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin\n"
    + _FEATURES
    + r"""
section loadable 'for m in ip_vs overlay bridge veth nf_tables; do modprobe -n -q $m && echo $m; done'
section builtin 'grep -hoE "/(ip_vs|overlay|bridge|veth|nf_tables)[.]ko" /lib/modules/$(uname -r)/modules.builtin | tr -d / | cut -d . -f 1'
section disk '{ df -Pk "$ROOT" || df -Pk /var/lib || df -Pk /; } | tail -n 1'
section listen '"""
    + LISTENING
    + r"""'
section programs 'for p in docker curl ss; do command -v $p >/dev/null && echo $p; done'
section iptables 'iptables --version'
section compose '{ docker compose version --short || docker-compose version --short; } | head -n 1'
"""
)


class Asked(Generic[T]):
    """A question that is under way in a thread of its own; a run that ends doesn't wait for it."""

    def __init__(self, ask: Callable[[], T]) -> None:
        self._answer: T | None = None
        self._error: Exception | None = None

        def work() -> None:
            try:
                self._answer = ask()
            except Exception as error:
                self._error = error

        self._thread = threading.Thread(target=work, daemon=True)
        self._thread.start()

    def get(self, until: float) -> T:
        """Its answer. Raises what it raised, or TimeoutError at `until` (a time.monotonic)."""
        self._thread.join(max(0.0, until - time.monotonic()))
        if self._thread.is_alive():
            raise TimeoutError(_("no answer within {seconds:g} s").format(seconds=PATIENCE))
        if self._error is not None:
            raise self._error
        return self._answer  # type: ignore[return-value]

    def get_or(self, until: float, otherwise: T) -> T:
        """Its answer, or `otherwise` where there is none."""
        try:
            return self.get(until)
        except Exception:
            return otherwise


def outside(host: Host, root: str) -> dict[str, str]:
    """What this machine's shell tells; `root` is the directory whose disk counts."""
    from invoke.exceptions import CommandTimedOut

    script = f"export ROOT={shlex.quote(root)}\n{OUTSIDE}"
    try:
        result = host.outside.run(f"sh -c {shlex.quote(script)}", hide=True, warn=True, in_stream=False, timeout=PATIENCE)
    except (CommandTimedOut, TimedOut):
        return {}
    return sections(result.stdout)


def inside(client: Any, stack: str, tools: str) -> dict[str, str]:
    """What a helper container tells: sections, and the whole text of host-net.sh under "net". Raises Unhealthy or the engine's errors."""
    from .helpers import run_helper

    text = run_helper(client, stack, tools, ["sh", "-c", INSIDE], network="host", cap_add=["NET_ADMIN", "NET_RAW"], check=False, timeout=PATIENCE)
    return {**sections(text), "net": text}


def free_bytes(df_line: str) -> int | None:
    """The free bytes in a line of `df -Pk`."""
    words = df_line.split()
    return int(words[3]) * 1024 if len(words) >= 6 and words[3].isdigit() else None


def ask_url(url: str, settings: Settings, environ: Mapping[str, str] = os.environ) -> Answer:
    """HEAD of an address from this machine, by the proxies of the environment and with the CA bundle of the settings."""
    request = urllib.request.Request(url, method="HEAD", headers={"User-Agent": "silverlining-doctor"})
    try:
        bundle = settings.build.ca_bundle or environ.get("SSL_CERT_FILE") or environ.get("REQUESTS_CA_BUNDLE") or None
        context = ssl.create_default_context(cafile=str(Path(bundle).expanduser()) if bundle else None)
        with urllib.request.urlopen(request, timeout=PATIENCE - 0.5, context=context) as reply:
            return Answer(url, reply.status, "", _clock(reply.headers.get("Date", "")), _("this machine"))
    except urllib.error.HTTPError as error:
        return Answer(url, error.code, f"{error.code} {error.reason}", _clock(error.headers.get("Date", "")), _("this machine"))
    except (OSError, ValueError) as error:
        return Answer(url, 0, str(getattr(error, "reason", None) or error), 0.0, _("this machine"))


def _clock(header: str) -> float:
    try:
        return email.utils.parsedate_to_datetime(header).timestamp()
    except (TypeError, ValueError):
        return 0.0


def ask_registry(client: Any, reference: str) -> Answer:
    """Lets the engine ask the registry of `reference` for it, which fetches nothing: its way there is the one that counts."""
    from docker.errors import APIError, DockerException
    from requests.exceptions import RequestException

    name = registry_of(reference) or "docker.io"
    try:
        client.inspect_distribution(reference)
    except APIError as error:
        words = str(error.explanation or error)
        # An answer about the image is an answer of the registry.
        known = any(mark in words.lower() for mark in ("manifest unknown", "not found", "unauthorized", "denied"))
        return Answer(name, 404 if known else 0, words, by=_("engine"))
    except (DockerException, RequestException) as error:
        return Answer(name, 0, str(error), by=_("engine"))
    return Answer(name, 200, by=_("engine"))


def debian_url(settings: Settings) -> str:
    """A file that a Debian mirror must have: the one of the settings, or Debian's own."""
    mirror = settings.build.mirror
    if not mirror:
        lines = [line.split() for line in settings.build.apt_sources.splitlines()]
        mirror = next((word for words in lines if words[:1] == ["deb"] for word in words if "://" in word), "")
    return f"{(mirror or 'http://deb.debian.org/debian').rstrip('/')}/dists/trixie/InRelease"


def python_url(settings: Settings, environ: Mapping[str, str] = os.environ) -> str:
    """A page that a Python package index must have."""
    index = settings.build.pip_index or environ.get("PIP_INDEX_URL") or "https://pypi.org/simple"
    return f"{index.rstrip('/')}/django/"
