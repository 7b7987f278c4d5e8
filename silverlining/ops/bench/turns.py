"""Deploying, a run without changes and tearing down, each beside Docker Compose with the same images and the same end: all healthy, and
a hit served through HAProxy. The two take turns, so that a busy moment meets both."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from ...host.host import ROOT
from ...model import labels
from ...model.errors import SilverliningError, Unhealthy
from ...model.stack import Stack, container_name
from ...model.text import _
from ..desk import Desk
from ..settings import read_settings

# The peer's health checks and ours run every second, as Compose waits for the health status.
COMMON = {"health.interval": "1"}
SUFFIX = "bench"


def flags_of(desk: Desk) -> dict[str, str]:
    """The settings of a desk of the bench, as flags."""
    return {**COMMON, "stack": desk.settings.stack} | {f"ports.{name}": str(port) for name, port in vars(desk.settings.ports).items()}


def desk_for(desk: Desk, who: str) -> Desk:
    """A desk for a stack of the bench, with the ports of the person's settings."""
    flags = {**flags_of(desk), "stack": f"{desk.settings.stack[:20]}-{SUFFIX}-{who}"}
    return Desk(desk.host.context, read_settings(flags, environ={}), desk.voice, yes=True)


class Us:
    """This tool, as a user calls it: whole processes."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.flags = [word for path, value in flags_of(desk).items() for word in ("--set", f"{path}={value}")]

    def run(self, *words: str) -> None:
        """A task in a process of its own."""
        _process([sys.executable, "-m", "invoke", "--search-root", str(ROOT), *words, *self.flags])

    def up(self) -> None:
        """From whatever stands to everything, and a hit."""
        self.run("deploy-all")
        _hit(self.desk)

    def down(self) -> None:
        """Containers and network away; the data stays."""
        self.run("teardown", "--yes")

    def clear(self) -> None:
        """The data too."""
        self.run("teardown", "--yes", "--volumes")


class Peer:
    """Docker Compose with the generated file, and the script that registers the apps."""

    def __init__(self, prefix: str, script: Path, desk: Desk, stack: Stack) -> None:
        """`prefix` is what a shell is told in front of Compose's own words: one in a container reads the file from a pipe."""
        self.prefix, self.script, self.desk, self.stack = prefix, script, desk, stack
        self.nameless: set[str] = set()

    def up(self) -> None:
        """From whatever stands to everything, and a hit."""
        self._compose("up -d --wait --quiet-pull")
        _process(["sh", str(self.script)], {"COMPOSE": self.prefix})
        _hit(self.desk)

    def again(self) -> None:
        """Compose's own run without changes, without the script."""
        self._compose("up -d --wait")

    def down(self) -> None:
        """Containers and network away; the data stays."""
        self._compose("down")

    def _compose(self, words: str) -> None:
        _process(["sh", "-c", f"{self.prefix} {words}"])

    def note_volumes(self) -> None:
        """Remembers the volumes of what stands that have no name: `down` leaves them, and nothing tells afterwards whose they were."""
        standing = self.desk.host.client.containers(all=True, filters={"label": f"{labels.STACK}={self.stack.name}"})
        mounts = [m for entry in standing for m in entry["Mounts"] if m["Type"] == "volume"]
        self.nameless.update(m["Name"] for m in mounts if not m["Name"].startswith(self.stack.name))

    def clear(self) -> None:
        """The data too."""
        from docker.errors import NotFound

        self.note_volumes()
        self._compose("down --volumes")
        while self.nameless:
            with suppress(NotFound):
                self.desk.host.client.remove_volume(self.nameless.pop())


def compare(desk: Desk, us: Us, them: Peer, runs: int) -> dict[str, dict[str, float]]:
    """The medians of `runs` turns, by what was done. Raises SilverliningError where a run fails; nothing stays."""
    seconds: dict[str, list[float]] = {f"{what} {who}": [] for what in ("up", "again", "down") for who in ("us", "them")}
    try:
        for turn in range(runs):
            desk.voice.note(_("turn {turn} of {runs}").format(turn=turn + 1, runs=runs))
            seconds["up us"].append(_timed(us.up))
            seconds["again us"].append(_timed(lambda: us.run("deploy-all")))
            seconds["down us"].append(_timed(us.down))
            us.clear()
            seconds["up them"].append(_timed(them.up))
            seconds["again them"].append(_timed(them.again))
            them.note_volumes()
            seconds["down them"].append(_timed(them.down))
            them.clear()
    finally:
        us.clear()
        them.clear()
    names = {"up": "deploy-all from nothing", "again": "deploy-all without changes", "down": "teardown"}
    return {name: figure(seconds[f"{what} us"], seconds[f"{what} them"]) for what, name in names.items()}


def lists(runs: int) -> dict[str, dict[str, float]]:
    """`invoke --list` beside that of an empty tasks.py."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "tasks.py").write_text("from invoke import task\n\n\n@task\ndef nothing(c):\n    pass\n")
        mine, empty = [], []
        for _run in range(max(runs, 5) + 1):
            mine.append(_timed(lambda: _process([sys.executable, "-m", "invoke", "--search-root", str(ROOT), "--list"])))
            empty.append(_timed(lambda: _process([sys.executable, "-m", "invoke", "--search-root", folder, "--list"])))
    # The first of each warms the caches.
    return {"invoke --list": figure(mine[1:], empty[1:])}


def figure(mine: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    """Medians in seconds, and their ratio."""
    a, b = statistics.median(mine), statistics.median(theirs)
    return {"ours": round(a, 3), "peer": round(b, 3), "ratio": round(a / b, 2)}


def _hit(desk: Desk) -> None:
    """A hit that is answered. Raises Unhealthy."""
    end = time.monotonic() + 60
    while desk.host.get(desk.settings.ports.web, "/").status != 200:
        if time.monotonic() > end:
            raise Unhealthy(_("no hit is served through HAProxy"), f"docker logs {container_name(desk.settings.stack, 'haproxy', 1)}")
        time.sleep(0.02)


def _timed(what: Callable[[], None]) -> float:
    start = time.perf_counter()
    what()
    return time.perf_counter() - start


def _process(argv: Sequence[str], environment: dict[str, str] | None = None) -> None:
    # As for most people, Python may keep what it has compiled, also where this machine's environment forbids it.
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=inherited | (environment or {}), stdin=subprocess.DEVNULL)
    if done.returncode:
        raise SilverliningError(_("`{command}` failed: {words}").format(command=" ".join(argv[:6]), words=(done.stderr or done.stdout)[-800:]))
