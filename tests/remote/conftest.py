"""What the tests of remote hosts share: an engine here, and hosts that stand from their first use to the end of the run."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from docker import APIClient

from . import images
from .course import STACK, RemoteCourse
from .hosts import RemoteHost
from .site import Site


@pytest.fixture(scope="session")
def local_engine() -> Iterator[APIClient]:
    """The low-level client of this machine's engine."""
    api = APIClient(os.environ.get("DOCKER_HOST"), version="auto", timeout=600, max_pool_size=32)
    yield api
    api.close()


@pytest.fixture(scope="session")
def site(local_engine: APIClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Where hosts are started; all of them go at the end."""
    made = Site(tmp_path_factory.mktemp("site"), local_engine, images.make(local_engine, *images.PACKAGES))
    yield made
    made.close()


@pytest.fixture(scope="session")
def web1(site: Site) -> RemoteHost:
    """Debian 13 with its Docker 26.1 and Compose; no image is there."""
    host = site.start("web1", "trixie")
    host.await_engine()
    return host


@pytest.fixture(scope="session")
def web2(site: Site) -> RemoteHost:
    """Debian 12 with its Docker 20.10; no image is there."""
    host = site.start("web2", "bookworm")
    host.await_engine()
    return host


@pytest.fixture(scope="session")
def bare(site: Site) -> RemoteHost:
    """Debian 13 with sshd and no Docker."""
    return site.start("bare", "bare")


@pytest.fixture(scope="session")
def inner(site: Site, web1: RemoteHost) -> RemoteHost:
    """A host that only web1 reaches, with Docker 26.1 and no network but the one to web1."""
    host = site.start_hidden("inner", "trixie", web1)
    host.await_engine()
    return host


@pytest.fixture(scope="session")
def shop1(site: Site) -> RemoteCourse:
    """A stack on a host like web1 that has all images."""
    return _shop(site, "shop1", "trixie")


@pytest.fixture(scope="session")
def shop2(site: Site) -> RemoteCourse:
    """A stack on a host like web2 that has all images."""
    return _shop(site, "shop2", "bookworm")


def _shop(site: Site, alias: str, variant: str) -> RemoteCourse:
    host = site.start_stocked(alias, variant, STACK)
    host.await_engine()
    return RemoteCourse(host)
