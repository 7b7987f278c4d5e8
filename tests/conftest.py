"""What all tests share: one on a real engine or host that fails is tried once more, and the summary says so (R).

What such tests wait for is done by other processes on a machine that may be shared; a mistake of ours fails twice.
"""

from __future__ import annotations

from pathlib import Path

import pytest

REAL = ("engine", "remote")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Called by pytest when it knows the tests."""
    top = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(top) and item.path.relative_to(top).parts[0] in REAL:
            item.add_marker(pytest.mark.flaky(reruns=1))
