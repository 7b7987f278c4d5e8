"""What all tests share: one on a real engine or host that fails is tried once more, and the summary says so (R).

What such tests wait for is done by other processes on a machine that may be shared; a mistake of ours fails twice.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from docker.errors import DockerException

from silverlining.model.errors import SilverliningError

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
def images_ahead(request: pytest.FixtureRequest) -> None:
    """A run of all tests begins with all images, built side by side: one after another, as the tests ask for them, takes minutes more.

    What goes wrong here the test tells that needs the image.
    """
    if not {kind(item) for item in request.session.items}.issuperset(REAL):
        return
    from tests.remote.images import make_all

    with suppress(SilverliningError, DockerException):
        make_all()
