"""Gets Docker Compose v2 or later for a host by the first way that works, and says which one serves."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..model import labels
from ..model.commands import flags, pairs
from ..model.compose import FILE
from ..model.errors import SilverliningError
from ..model.text import _
from .host import ROOT

if TYPE_CHECKING:
    from .host import Host

OLDEST = (2, 22)  # `docker compose scale`, which step09 types, came with 2.22 (docker/compose#10979)
NEWEST = "v5.5.0"
IMAGE = "compose"
PACKAGES = ("docker-compose-v2", "docker-compose-plugin", "docker-compose")
# A package that would bring an engine, or another one than runs, is not installed for the sake of Compose.
ENGINES = re.compile(r"docker\.io|docker-engine|docker-ce(-rootless.*)?|containerd(\.io)?|runc|moby-.*|podman.*")
SOCKET = "/var/run/docker.sock"


@dataclass(frozen=True)
class Compose:
    """A Compose that answers: the command in front of its own words, its version, and where it came from.

    `contained` is one that runs in a container: it gets the file on standard input, nothing of the machine is mounted but the socket.
    """

    argv: tuple[str, ...]
    version: str
    source: str
    contained: bool = False

    def prefix(self, file: str) -> str:
        """What a person types in front of `up`, `ps` and so on; `file` as the host's shell names it."""
        command = shlex.join(self.argv)
        return f"cat {file} | {command} -f -" if self.contained else f"{command} -f {file}"


def find(host: Host, store: Any, *, dry: bool = False) -> Compose:
    """The first Compose that can be had: installed, in an image that is here, by a package, by an image that is got. Raises SilverliningError.

    With `dry` it says what it would be.
    """
    answers: list[str] = []
    for argv, source in ((("docker", "compose"), _("the CLI's plugin")), (("docker-compose",), _("the program docker-compose"))):
        version = _version(host, argv, answers)
        if version:
            return Compose(argv, version, source)
    if _is_here(store):
        # From a bundle, say: nothing is fetched, and nothing of the host changes.
        return _contained(host, store, answers, dry)
    package = _package(host, answers)
    if package and dry:
        return Compose(("docker", "compose"), "?", _("the package {name}, which would be installed").format(name=package))
    if package and _install(host, package, answers):
        for argv in (("docker", "compose"), ("docker-compose",)):
            if version := _version(host, argv, answers):
                return Compose(argv, version, _("the distribution's package {name}").format(name=package))
    return _contained(host, store, answers, dry)


def _is_here(store: Any) -> bool:
    try:
        return bool(store.plan_for((IMAGE,))[IMAGE].rung == "present")
    except SilverliningError:
        return False


def _version(host: Host, argv: tuple[str, ...], answers: list[str]) -> str:
    """Its version if it is new enough, else ""."""
    command = shlex.join(argv)
    result = host.shell(f"{command} version --short")
    found = re.search(r"v?(\d+)\.(\d+)[\w.+~-]*", result.stdout)
    if result.ok and found and (int(found[1]), int(found[2])) >= OLDEST:
        return found[0].removeprefix("v")
    said = (result.stdout.strip() if result.ok else result.stderr.strip() or _("not there")).splitlines()
    answers.append(f"{command}: {said[0] if said else _('not there')}")
    return ""


def _package(host: Host, answers: list[str]) -> str:
    """The distribution's package whose version is new enough, if it can be installed and leaves the engine alone."""
    if not host.shell("command -v apt-get").ok:
        answers.append(_("a package: this system has no apt-get"))
        return ""
    if host.shell("id -u").stdout.strip() != "0" and not host.shell("sudo -n true").ok:
        answers.append(_("a package: installing one needs root"))
        return ""
    policy = host.shell(f"LC_ALL=C apt-cache policy {' '.join(PACKAGES)}").stdout
    for name in PACKAGES:
        candidate = re.search(rf"^{re.escape(name)}:\n.*\n  Candidate: (?:\d+:)?(\d+)\.(\d+)(\S*)", policy, re.MULTILINE)
        if not candidate:
            continue
        if (int(candidate[1]), int(candidate[2])) < OLDEST:
            answers.append(_("package {name}: only {version}").format(name=name, version=f"{candidate[1]}.{candidate[2]}{candidate[3]}"))
            continue
        planned = host.shell(f"LC_ALL=C apt-get install -s -q --no-install-recommends {name}").stdout
        engines = [found for found in re.findall(r"^(?:Inst|Remv) (\S+)", planned, re.MULTILINE) if ENGINES.fullmatch(found)]
        if not engines:
            return name
        answers.append(_("package {name}: it would touch the engine ({engines})").format(name=name, engines=", ".join(engines)))
    return ""


def _install(host: Host, package: str, answers: list[str]) -> bool:
    sudo = "" if host.shell("id -u").stdout.strip() == "0" else "sudo -n "
    command = f"{sudo}env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends {package}"
    result = host.shell(command, timeout=300, unbroken=True)
    if not result.ok:
        # An old package list is the usual reason.
        host.shell(f"{sudo}apt-get update -q", timeout=300, unbroken=True)
        result = host.shell(command, timeout=300, unbroken=True)
    if not result.ok:
        answers.append(_("package {name}: {words}").format(name=package, words=(result.stderr.strip().splitlines() or ["?"])[-1]))
    return bool(result.ok)


def _contained(host: Host, store: Any, answers: list[str], dry: bool) -> Compose:
    """Compose in a container of our image `compose`: a newer Debian's binary, or one built from the Go module."""
    store.forget()  # a run that brought everything else about may lie between
    try:
        found = store.plan_for((IMAGE,))[IMAGE] if dry else store.resolve((IMAGE,))[IMAGE]
    except SilverliningError as error:
        raise SilverliningError(
            _("Docker Compose can't be had:") + "".join(f"\n  {answer}" for answer in answers) + f"\n  {error.what}",
            _("install Docker Compose v2 or later: https://docs.docker.com/compose/install/"),
        ) from None
    argv = container_argv(host, found.reference)
    if dry and found.rung != "present":
        return Compose(argv, "?", _("a container of an image that would be built"), contained=True)
    version = _version(host, argv, answers)
    if not version:
        raise SilverliningError(_("Compose in its container does not answer: {answer}").format(answer=answers[-1]), f"docker rmi {found.reference}")
    built = getattr(found, "source", "")
    source = _("its Go module, in a container") if built == "module" else _("a newer Debian's package, in a container")
    return Compose(argv, version, source, contained=True)


def container_argv(host: Host, image: str) -> tuple[str, ...]:
    """The command that runs Compose in a container with nothing but the engine's socket; labelled, so that what a kill leaves is known as ours."""
    endpoint = host.engine.endpoint
    socket = endpoint.removeprefix("unix://") if endpoint.startswith("unix://") else SOCKET
    mount = f"type=bind,source={socket},target={SOCKET}"
    confined = ("--network", "none", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
    marks = flags("--label", pairs({labels.STACK: host.settings.stack, labels.HELPER: IMAGE}))
    return ("docker", "run", "--rm", "--interactive", *marks, *confined, "--mount", mount, image)


def newest(host: Host, store: Any) -> Compose:
    """The newest Compose that can be had, for `bench`: its Go module's where this machine has Go, else the one that serves the step."""
    file = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "silverlining" / f"docker-compose-{NEWEST}"
    if not file.exists() and shutil.which("go"):
        file.parent.mkdir(parents=True, exist_ok=True)
        made = file.with_name(f"{file.name}.{os.getpid()}")
        done = subprocess.run(["sh", str(ROOT / "builds/compose/build-module"), NEWEST, str(made)], capture_output=True, check=False)
        if done.returncode == 0:
            made.rename(file)
    return Compose((str(file),), NEWEST.removeprefix("v"), _("its Go module")) if file.exists() else find(host, store)


def file_path() -> Path:
    """Where the Compose file stands."""
    return ROOT / FILE
