"""A second engine in namespaces of its own, where no network is but loopback: a host that can fetch nothing, with this machine's programs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from .course import Course, until

needs_second_engine = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("dockerd"), reason="a second engine needs root and dockerd")
DISK = """set -eu
mount -t tmpfs -o size=$SIZE tmpfs "$DIR"
mkdir "$DIR/data" "$DIR/exec"
ip link set lo up
exec dockerd --data-root "$DIR/data" --exec-root "$DIR/exec" --pidfile "$DIR/pid" -H "unix://$SOCKET"
"""


class SecondEngine:
    """Runs from `start` to `stop`. In the first one's network namespace it would meddle with that one's bridge."""

    def __init__(self, course: Course, folder: Path, size: str) -> None:
        self.course, self.log = course, folder / "dockerd.log"
        # Not below `folder`: a socket's path may have 104 characters.
        self.place = Path(tempfile.mkdtemp(prefix="sl-"))
        self.socket = Path("/tmp") / f"{course.stack}-{os.getpid()}.sock"
        self.host = {"DOCKER_HOST": f"unix://{self.socket}"}
        environment = {**os.environ, "DIR": str(self.place), "SOCKET": str(self.socket), "SIZE": size}
        with self.log.open("w") as log:
            self.daemon = subprocess.Popen(["unshare", "--net", "--mount", "sh", "-c", DISK], env=environment, stdout=log, stderr=log)

    def enter(self) -> list[str]:
        """What to put in front of a command that is to run there."""
        return ["nsenter", "--target", str(self.daemon.pid), "--net", "--mount", f"--wd={self.course.checkout}"]

    def shell(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A command there."""
        return subprocess.run([*self.enter(), *words], env={**os.environ, **self.host}, check=check, capture_output=True, text=True, timeout=120)

    def task(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """A task there, in a pipe."""
        return subprocess.run(
            [*self.enter(), sys.executable, "-m", "invoke", *words],
            cwd=self.course.checkout,
            env=self.course.environment(**self.host, **more),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def run(self, *words: str, **more: str) -> str:
        """The output of a task that must succeed."""
        done = self.task(*words, **more)
        assert done.returncode == 0, f"invoke {' '.join(words)}: exit code {done.returncode}\n{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def start(self) -> None:
        """Waits until it answers."""
        until(lambda: self.shell("docker", "version", check=False).returncode == 0, f"the engine ({self.log})", 30)

    def stop(self) -> None:
        """Ends it with its containers."""
        listed = self.shell("docker", "ps", "--quiet", "--all", check=False).stdout.split()
        if listed:
            self.shell("docker", "rm", "--force", *listed, check=False)
        self.daemon.terminate()
        self.daemon.wait(60)
        self.socket.unlink(missing_ok=True)
        self.place.rmdir()
