"""The Debian bases: made on the docker host by mmdebstrap or debootstrap and imported, where no registry gives them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Protocol

from ..model.errors import SilverliningError
from ..model.images import BASE_EXCLUDES, BASE_INCLUDES, BASE_OPTIONS, BASE_PACKAGES, BASE_VARIANT, Image
from ..model.text import _

if TYPE_CHECKING:
    from docker import APIClient

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
RETRIES = 3  # how often a package that a mirror did not give is asked for again
_installing = threading.Lock()


class BootstrapFailed(SilverliningError):
    """A Debian base could not be made."""


class Runner(Protocol):
    """Runs commands where the docker host is. Tests and remote hosts bring their own."""

    def which(self, program: str) -> bool:
        """Whether `program` can be run."""

    def is_root(self) -> bool:
        """Whether commands run as root."""

    def __call__(self, argv: Sequence[str], stdout: IO[bytes] | None = None) -> tuple[int, str]:
        """Runs `argv`; its standard output goes to `stdout`. Gives the exit code and what it said on standard error."""

    def into_engine(self, argv: Sequence[str], reference: str, changes: Sequence[str]) -> tuple[int, str] | None:
        """Runs `argv` and imports the tar that it writes, where it runs, as `reference`. None where the tar is to be imported from here."""


class Local:
    """Runs commands on this machine."""

    def which(self, program: str) -> bool:
        """Whether `program` can be run; system programs may stand outside a user's PATH."""
        return shutil.which(program, path=f"{os.environ.get('PATH', '')}:{PATH}") is not None

    def is_root(self) -> bool:
        """Whether commands run as root."""
        return os.geteuid() == 0

    def __call__(self, argv: Sequence[str], stdout: IO[bytes] | None = None) -> tuple[int, str]:
        """Runs `argv` in the C locale, so that its words can be told apart."""
        environment = {**os.environ, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
        environment["PATH"] = f"{os.environ.get('PATH', '')}:{PATH}"
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=stdout or subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment, check=False
        )
        return done.returncode, done.stderr.decode(errors="replace")

    def into_engine(self, argv: Sequence[str], reference: str, changes: Sequence[str]) -> tuple[int, str] | None:
        """This machine need not have docker's own command."""
        return None


def make_base(api: APIClient, image: Image, tag: str, labels: Mapping[str, str], mirror: str, runner: Runner, step: Callable[[str], None]) -> None:
    """Makes the base `image` and imports it as `repository:tag`. Raises BootstrapFailed."""
    tool = _tool(runner, step)
    command = mmdebstrap(image.suite, mirror) if tool == "mmdebstrap" else debootstrap(image.suite, mirror)
    changes = [f"LABEL {json.dumps(key)}={json.dumps(value)}" for key, value in labels.items()]
    changes += [f"ENV PATH={PATH}", 'CMD ["sh"]']
    step(_("{tool} makes Debian {suite}").format(tool=tool, suite=image.suite))
    done = runner.into_engine(command, f"{image.repository}:{tag}", changes)
    if done:
        _refuse(tool, image, *done)
        return
    with tempfile.NamedTemporaryFile(prefix="silverlining-base-", suffix=".tar") as tar:
        _refuse(tool, image, *runner(command, tar.file))
        step(_("importing {megabytes} MB").format(megabytes=os.path.getsize(tar.name) // 1_000_000))
        _load(api, tar.name, image, tag, changes)


def _refuse(tool: str, image: Image, code: int, said: str) -> None:
    """Raises BootstrapFailed unless the code is 0."""
    if code:
        raise BootstrapFailed(
            _("{tool} could not make Debian {suite} (exit code {code}): {said}").format(tool=tool, suite=image.suite, code=code, said=_last(said)),
            _no_room(said) or _("a Debian mirror that this host reaches can be named in the setting build.mirror"),
        )


def mmdebstrap(suite: str, mirror: str) -> list[str]:
    """The command that writes a base's tar to standard output; it chooses by itself between root and a user namespace."""
    options = [*BASE_OPTIONS, *(f"path-exclude={p}" for p in BASE_EXCLUDES), *(f"path-include={p}" for p in BASE_INCLUDES)]
    dpkg = [f"--dpkgopt={option}" for option in options]
    command = ["mmdebstrap", f"--variant={BASE_VARIANT}", f"--include={','.join(BASE_PACKAGES)}", f'--aptopt=Acquire::Retries "{RETRIES}"', *dpkg]
    if mirror:
        # A building host's mirror must not stay in the image; builds bring it along in host/sources.list.
        command.append('--customize-hook=: > "$1/etc/apt/sources.list"')
    return [*command, suite, "-", *([mirror] if mirror else [])]


def debootstrap(suite: str, mirror: str) -> list[str]:
    """The same by debootstrap, which only knows how to fill a folder."""
    script = (
        "set -eu; d=$(mktemp -d); trap 'rm -rf \"$d\"' EXIT; "
        'debootstrap --variant="$1" --include="$2" "$3" "$d" ${4:+"$4"} >&2; '
        '[ -z "${4:-}" ] || : > "$d/etc/apt/sources.list"; '
        'rm -rf "$d"/var/cache/apt/archives/*.deb "$d"/var/lib/apt/lists/*; tar -C "$d" --numeric-owner --one-file-system -cf - .'
    )
    return ["sh", "-c", script, "debootstrap", BASE_VARIANT, ",".join(BASE_PACKAGES), suite, mirror]


def _tool(runner: Runner, step: Callable[[str], None]) -> str:
    with _installing:
        if runner.which("mmdebstrap"):
            return "mmdebstrap"
        if runner.which("debootstrap") and runner.is_root():
            return "debootstrap"
        by_hand = _("`apt-get install mmdebstrap` as root on the docker host, or name a registry in the setting images.mirror")
        if not runner.which("apt-get"):
            raise BootstrapFailed(_("neither mmdebstrap nor debootstrap is on the docker host, and it has no apt-get"), by_hand)
        sudo = [] if runner.is_root() else ["sudo", "-n"]
        if sudo and not runner.which("sudo"):
            raise BootstrapFailed(_("mmdebstrap is not on the docker host, and installing it needs root"), by_hand)
        step(_("installing mmdebstrap on the docker host"))
        # An old package list is the usual reason for a failure, so one update comes between two tries.
        install = [*sudo, "apt-get", "install", "-q", "-y", "--no-install-recommends", "mmdebstrap", "debian-archive-keyring"]
        code, said = runner(install)
        if code:
            runner([*sudo, "apt-get", "update", "-q"])
            code, said = runner(install)
        if code:
            raise BootstrapFailed(_("mmdebstrap can't be installed: {said}").format(said=_last(said)), by_hand)
        return "mmdebstrap"


def _load(api: APIClient, path: str, image: Image, tag: str, changes: Sequence[str]) -> None:
    from docker.errors import DockerException
    from requests import RequestException

    try:
        answer = str(api.import_image_from_file(path, repository=image.repository, tag=tag, changes=list(changes)))
    except (DockerException, RequestException, OSError) as error:
        answer = json.dumps({"error": str(getattr(error, "explanation", None) or error)})
    # The engine may report an error in a line of a successful answer.
    for line in answer.splitlines():
        if line.strip().startswith("{") and "error" in (event := json.loads(line)):
            text = _("Debian {suite} can't be imported: {error}")
            raise BootstrapFailed(text.format(suite=image.suite, error=event["error"]), _no_room(event["error"]))


def _no_room(text: str) -> str:
    full = "no space left on device" in text.lower()
    return _("the docker host's disk is full: `docker system df` shows what takes the room") if full else ""


def _last(said: str, lines: int = 5) -> str:
    return "\n    ".join([line for line in said.splitlines() if line.strip()][-lines:])
