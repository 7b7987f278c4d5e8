"""Makes or mends the checkout's .venv. Run by launch.sh with the system's Python, so it uses the standard library only.

A lock of the kernel's lets one launcher work and the others wait; it ends with its process, so a killed one leaves nothing that blocks.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

STAMP = "requirements.txt"  # copied into .venv when everything in it is installed


class Stuck(Exception):
    """What can't be done, and what to do about it."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(f"{what}\n  → {hint}")


def say(text: str) -> None:
    """One line to the person, away from the output that a program may read."""
    print(f"silverlining: {text}", file=sys.stderr, flush=True)


def call(*command: str | Path, quiet: bool = False) -> bool:
    """Runs a program and says whether it succeeded. Only what it complains of is shown."""
    complaints = subprocess.DEVNULL if quiet else sys.stderr
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=complaints, check=False).returncode == 0


def root_rights() -> list[str] | None:
    """What to put before a command that needs root, or None where that is not to be had without asking."""
    if os.geteuid() == 0:
        return []
    return ["sudo", "-n"] if shutil.which("sudo") and call("sudo", "-n", "true", quiet=True) else None


def make(venv: Path) -> None:
    """Makes an empty environment by the first way that this machine offers."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    if importlib.util.find_spec("ensurepip") or install(f"{version}-venv"):
        done = call(sys.executable, "-m", "venv", "--clear", venv)
    elif tool := shutil.which("virtualenv"):
        say(f"python3-venv is missing, using {tool}")
        done = call(tool, "--quiet", "--clear", "--python", sys.executable, venv)
    elif tool := shutil.which("uv"):
        say(f"python3-venv is missing, using {tool}")
        done = call(tool, "venv", "--quiet", "--clear", "--seed", "--python", sys.executable, venv)
    else:
        raise Stuck(
            f"{version} here can't make environments: its venv package is missing",
            f"sudo apt install {version}-venv, or install virtualenv or uv, and run the same command again",
        )
    if not done:
        raise Stuck(f"no environment could be made in {venv}", "read the lines above; any other environment with requirements.txt works too")


def install(package: str) -> bool:
    """Installs a package of Debian or Ubuntu where that is possible without asking."""
    before = root_rights() if shutil.which("apt-get") else None
    if before is None:
        return False
    say(f"installing {package} with apt-get, so that .venv can be made")
    apt: Sequence[str] = (*before, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120")
    # An update that fails for one of several sources need not matter: the installation says.
    call(*apt, "update")
    return call(*apt, "install", "--no-install-recommends", "--yes", package)


def current(root: Path) -> bool:
    """True when .venv holds what requirements.txt says."""
    stamp = root / ".venv" / STAMP
    return stamp.is_file() and stamp.read_bytes() == (root / STAMP).read_bytes() and works(root / ".venv")


def works(venv: Path) -> bool:
    """True when there is an environment whose Python runs and is new enough."""
    python = venv / "bin" / "python"
    return python.exists() and call(python, "-c", "import pip, sys; sys.exit(sys.version_info < (3, 10))", quiet=True)


def prepare(root: Path) -> None:
    """Makes, or brings up to date, and stamps at the very end: an interrupted run is begun again."""
    venv, wanted = root / ".venv", (root / STAMP).read_bytes()
    (venv / STAMP).unlink(missing_ok=True)
    if works(venv):
        say("requirements.txt has changed: bringing .venv up to date")
    else:
        say(f"first use: making .venv with Python {sys.version.split()[0]} (about half a minute)")
        make(venv)
    pip = (venv / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-user")
    if not call(*pip, "--requirement", root / STAMP):
        raise Stuck("the packages of requirements.txt could not be installed", "read pip's lines above; the same command goes on from here")
    fresh = venv / f"{STAMP}.new"
    fresh.write_bytes(wanted)
    fresh.replace(venv / STAMP)


def main(root: Path) -> int:
    """Does it under the lock."""
    try:
        with (root / STAMP).open("rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("another launcher is making .venv, waiting for it")
                fcntl.flock(lock, fcntl.LOCK_EX)
            if not current(root):
                prepare(root)
    except Stuck as stuck:
        say(str(stuck))
        return 1
    except OSError as error:
        failure = Stuck(f"{root / '.venv'} can't be made: {error.strerror}", "run it once as the checkout's owner, or use an environment elsewhere")
        say(str(failure))
        return 1
    except KeyboardInterrupt:
        say("interrupted; the same command begins again")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
