"""What all tests share: their order, the images ahead, and a second try for one on a real engine or host (the summary names it: R).

What such tests wait for is done by other processes on a machine that may be shared; a mistake of ours fails twice.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

TOP = Path(__file__).parent
REAL = ("engine", "remote")
BUILD = pytest.StashKey["subprocess.Popen[bytes]"]()


def pytest_configure(config: pytest.Config) -> None:
    """Where Python may not keep what it has compiled, as in many containers, each of the hundreds of commands here would compile our
    modules anew (a quarter of a second): they get a place of their own for it."""
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
        folder = tempfile.TemporaryDirectory(prefix="silverlining-pyc-")
        config.add_cleanup(folder.cleanup)
        os.environ["PYTHONPYCACHEPREFIX"] = folder.name


def kind(item: pytest.Item) -> str:
    """The folder that a test is in; "" for one of somewhere else."""
    return item.path.relative_to(TOP).parts[0] if item.path.is_relative_to(TOP) else ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Called by pytest when it knows the tests. Those that need no engine come first: they take a minute, and say soon what is wrong."""
    for item in items:
        if kind(item) in REAL:
            item.add_marker(pytest.mark.flaky(reruns=1))
    items.sort(key=lambda item: kind(item) in REAL)


def pytest_collection_finish(session: pytest.Session) -> None:
    """A run of all tests has its images built meanwhile, side by side: one after another, as the tests ask for them, takes minutes more.

    What goes wrong there the test tells that needs the image.
    """
    if {kind(item) for item in session.items}.issuperset(REAL) and not session.config.option.collectonly:
        argv = (sys.executable, "-m", "tests.remote.images")
        session.config.stash[BUILD] = subprocess.Popen(
            argv, cwd=TOP.parent, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """The first test on an engine waits for them."""
    if kind(item) in REAL and (build := item.config.stash.get(BUILD, None)):
        build.wait()


def pytest_unconfigure(config: pytest.Config) -> None:
    """A run that ends before does not go on with them."""
    if build := config.stash.get(BUILD, None):
        build.terminate()
        build.wait()
