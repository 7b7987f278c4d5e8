"""What the engine tests share: a client, and a stack of their own that is taken away at the end of each module."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from docker import APIClient

from .course import Course, copy_checkout


@pytest.fixture(scope="session")
def engine() -> Iterator[APIClient]:
    """The engine's low-level client."""
    api = APIClient(os.environ.get("DOCKER_HOST"), version="auto", timeout=120, max_pool_size=32)
    yield api
    api.close()


@pytest.fixture(scope="module")
def course(engine: APIClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Course]:
    """The course on a host without a stack, run from a copy of the checkout that may be edited; one module's tests share what stands."""
    one = Course(engine, checkout=copy_checkout(tmp_path_factory.mktemp("checkout")))
    one.clean()
    yield one
    one.clean()
