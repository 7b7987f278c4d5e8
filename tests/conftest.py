"""What all tests share: their order, two at a time, the images ahead, and a second try for one on a real engine or host (the summary names it: R).

What such tests wait for is done by other processes on a machine that may be shared; a mistake of ours fails twice.

`invoke test` has two of pytest-xdist's workers: one test alone leaves a third of two processors idle. What shares a stack or hosts stays
on one of them, since a test there stands on what the one before has left.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

TOP = Path(__file__).parent
REAL = ("engine", "remote")
# Files of engine/ by the stack that they share; the others have one of their own, or none.
STACKS = {
    "sl-test": ("checks", "compose", "docs", "live", "paste", "walk"),
    "sl-fail": ("failures", "interrupted"),
    "sl-scale": ("logs", "scale"),
}
# The folder in which the workers of a run have their locks.
RUN = "TESTS_RUN_OF"
# What a test that promises so has in its name.
EXACT = "_loses_no_"
BUILDER = (sys.executable, "-m", "tests.remote.images")
BUILD_LOG = "images.txt"
BUILD = pytest.StashKey["subprocess.Popen[bytes]"]()


def kind(item: pytest.Item) -> str:
    """The folder that a test is in; "" for one of somewhere else."""
    return item.path.relative_to(TOP).parts[0] if item.path.is_relative_to(TOP) else ""


def piece(nodeid: str) -> str:
    """What stays together: all of remote hosts, the engine's tests that share a stack, and else the tests of a file."""
    path = nodeid.partition("::")[0]
    folder, _, file = path.removeprefix(f"{TOP.name}/").partition("/")
    if folder == "engine":
        return next((stack for stack, files in STACKS.items() if file.removeprefix("test_").removesuffix(".py") in files), path)
    return folder if folder == "remote" else path


def _turn(nodeid: str) -> int:
    """The long pieces come before the short ones of an engine, so that both workers end at about the same time."""
    name = piece(nodeid)
    return 0 if "/unit/" in name else 1 if name in ("sl-test", "remote") else 2


class Teller:
    """Tells what fails, or is tried again, at once: a run that is ended before its summary would else not say what it saw."""

    def __init__(self, config: pytest.Config) -> None:
        self._config, self._read = config, 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Called by pytest after each part of a test."""
        self._tell_builds()
        if report.outcome in ("failed", "rerun"):
            crash = getattr(report.longrepr, "reprcrash", None)
            why = (crash.message if crash else report.longreprtext).strip().partition("\n")[0]
            self._tell(f"{report.outcome} in {report.duration:.0f} s: {report.nodeid}: {why[:200]}")

    def _tell_builds(self) -> None:
        """What the images' builder has said since the last look: it speaks when one can't be built."""
        log = Path(os.environ[RUN], BUILD_LOG)
        if log.exists() and log.stat().st_size > self._read:
            said = log.read_bytes()[self._read :]
            self._read += len(said)
            self._tell(f"building the images: {said.decode(errors='replace').strip()[-2000:]}")

    def _tell(self, words: str) -> None:
        if terminal := self._config.pluginmanager.get_plugin("terminalreporter"):
            # A line of its own: the one of the dots has no end yet.
            terminal.write_line(f"\n{words}")


def pytest_configure(config: pytest.Config) -> None:
    """Called by pytest before anything else, first in the process that starts the workers."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Teller(config))
    if RUN in os.environ:
        return
    folder = tempfile.TemporaryDirectory(prefix="silverlining-tests-")
    config.add_cleanup(folder.cleanup)
    os.environ[RUN] = folder.name
    # Where Python may not keep what it has compiled, as in many containers, each of hundreds of commands would compile our modules
    # anew (a quarter of a second).
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
        os.environ["PYTHONPYCACHEPREFIX"] = str(Path(folder.name, "pyc"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Called by pytest when it knows the tests. Those that need no engine come first: they take a minute, and say soon what is wrong."""
    for item in items:
        # One lost request in two runs would be one too many.
        if kind(item) in REAL and EXACT not in item.name:
            item.add_marker(pytest.mark.flaky(reruns=1))
    items.sort(key=lambda item: _turn(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """What a worker gets in one piece: see `piece`.

    By their names: xdist's own groups (3.8) don't come through in pytest 9, where a test's name can't be changed any more.
    """
    config.option.loadscopereorder = False

    class ByPieces(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return piece(nodeid)

    return ByPieces(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """A run of all tests has its images built meanwhile, side by side: one after another, as the tests ask for them, takes minutes more.

    What goes wrong there is told by `Teller` too. Of two workers the first has them built, before either gets a test.
    """
    wanted = {kind(item) for item in session.items}.issuperset(REAL) and not session.config.option.collectonly
    if wanted and os.environ.get("PYTEST_XDIST_WORKER", "gw0") == "gw0":
        held = lock_file("images")
        fcntl.flock(held, fcntl.LOCK_EX)
        told = os.open(Path(os.environ[RUN], BUILD_LOG), os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
        session.config.stash[BUILD] = subprocess.Popen(BUILDER, cwd=TOP.parent, pass_fds=(held,), stdin=subprocess.DEVNULL, stdout=told, stderr=told)
        os.close(told)
        # It is the builder's from now on, and free when that has ended.
        os.close(held)


def pytest_unconfigure(config: pytest.Config) -> None:
    """A run that ends before does not go on with them; what keeps them from being pruned goes."""
    if build := config.stash.get(BUILD, None):
        build.terminate()
        build.wait()
        subprocess.run((*BUILDER, "release"), cwd=TOP.parent, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """One on an engine waits for the images."""
    if kind(item) in REAL:
        with locked("images", fcntl.LOCK_SH):
            pass


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """One that is `alone` waits for the test that the other worker has at hand, and keeps it from the next."""
    with ExitStack() as locks:
        if kind(item) in REAL:
            alone = item.get_closest_marker("alone")
            # Who wants to be alone keeps the entry shut while the others leave.
            with locked("entry", fcntl.LOCK_EX):
                locks.enter_context(locked("floor", fcntl.LOCK_EX if alone else fcntl.LOCK_SH))
        return (yield)


def lock_file(name: str) -> int:
    """A descriptor of the run's file of this name."""
    return os.open(Path(os.environ[RUN], name), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)


@contextmanager
def locked(name: str, how: int) -> Iterator[None]:
    """In the block the run's file of this name is locked, by one alone (LOCK_EX) or by all who want it so (LOCK_SH)."""
    fd = lock_file(name)
    try:
        fcntl.flock(fd, how)
        yield
    finally:
        os.close(fd)
