"""What all tests share: one on a real engine or host that fails is tried once more, and the summary says so (R).

What such tests wait for is done by other processes on a machine that may be shared; a mistake of ours fails twice.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

TOP = Path(__file__).parent
REAL = ("engine", "remote")


def kind(item: pytest.Item) -> str:
    """The folder that a test is in; "" for one of somewhere else."""
    return item.path.relative_to(TOP).parts[0] if item.path.is_relative_to(TOP) else ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Called by pytest when it knows the tests."""
    for item in items:
        if kind(item) in REAL:
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(scope="session", autouse=True)
def images_ahead(request: pytest.FixtureRequest) -> Iterator[None]:
    """In a run of all tests the images of the remote hosts are built while the first engine tests wait: over a minute less."""
    if not {kind(item) for item in request.session.items}.issuperset(REAL):
        yield
        return
    ahead = subprocess.Popen([sys.executable, "-m", "tests.remote.images"], cwd=TOP.parent, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield
    ahead.terminate()
    ahead.wait()
