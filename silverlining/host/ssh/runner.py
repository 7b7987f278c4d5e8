"""Runs on the docker host what makes a Debian base there, as root where that can be had; what it makes goes to the engine there, not over here."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import IO, TYPE_CHECKING

from ..contexts import proxies
from ..debian import PATH
from .shell import follow, guarded

if TYPE_CHECKING:
    from .host import SshHost
    from .link import Link

# A shell without pipefail: the maker's exit code comes through a pipe of its own. What was cut off gets no name.
IMPORT = """
said=$({{ {{ {make}; echo "exit=$?" >&3; }} | docker import {changes} -; }} 3>&1); imported=$?
made=${{said##*exit=}}; made=${{made%%[!0-9]*}}
image=$(printf '%s\\n' "$said" | grep '^sha256:')
if [ "$made" = 0 ] && [ "$imported" = 0 ]; then exec docker tag "$image" {reference}; fi
[ -z "$image" ] || docker rmi "$image" >/dev/null
if [ "${{made:-1}}" != 0 ]; then exit "${{made:-1}}"; fi
exit "$imported"
"""


class SshRunner:
    """The Runner of a host over SSH (see debian.py)."""

    def __init__(self, host: SshHost) -> None:
        """Asks nothing yet."""
        self._host = host

    @property
    def _link(self) -> Link:
        return self._host.link

    @cached_property
    def _sudo(self) -> bool | None:
        """Whether sudo is what makes us root there: False for root itself, None where root can't be had."""
        if self._link.run("id -u")[1].strip() == "0":
            return False
        return True if self._run(["true"], True, {})[0] == 0 else None

    def which(self, program: str) -> bool:
        """Whether `program` is on the host."""
        return self._link.run(f"PATH=$PATH:{PATH}; command -v {shlex.quote(program)}")[0] == 0

    def is_root(self) -> bool:
        """Whether commands run as root: sudo does that by itself."""
        return self._sudo is not None

    def __call__(self, argv: Sequence[str], stdout: IO[bytes] | None = None) -> tuple[int, str]:
        """Runs `argv` in the C locale. Gives the exit code and what it said on standard error. Raises LinkLost."""
        return self._run(argv, bool(self._sudo), self._environment(), stdout)

    def into_engine(self, argv: Sequence[str], reference: str, changes: Sequence[str]) -> tuple[int, str]:
        """Runs `argv`, and gives the tar that it writes to `docker import` there, by the engine's own name for it. Raises LinkLost."""
        flags = shlex.join([word for change in changes for word in ("--change", change)])
        script = IMPORT.format(make=shlex.join(argv), changes=flags, reference=shlex.quote(reference))
        return self._run(["sh", "-c", script], bool(self._sudo), {**self._environment(), **self._host.engine.environment})

    def _environment(self) -> dict[str, str]:
        both = proxies(os.environ)
        return {"LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive", **both, **{name.lower(): value for name, value in both.items()}}

    def _run(self, argv: Sequence[str], sudo: bool, environment: Mapping[str, str], stdout: IO[bytes] | None = None) -> tuple[int, str]:
        line, given = guarded(argv, environment, sudo, self._host.password, scratch=True)
        return follow(self._link, line, given, stdout.write if stdout else lambda piece: None)
