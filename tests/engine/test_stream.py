"""Images from this engine to a second one without a network: all of them, and then only what is new."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from docker import APIClient

from silverlining.host.climb import Progress
from silverlining.host.images import ImageStore
from silverlining.host.stream import Source, _containerd, stream
from silverlining.model.errors import EngineError
from silverlining.model.stack import template_variables
from silverlining.ops.settings import read_settings

from .course import ROOT, Course
from .second import SecondEngine, needs_second_engine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), needs_second_engine]
MB = 1_000_000


def store(api: APIClient, source: Source | None = None, seen: list[Progress] | None = None) -> ImageStore:
    """The images of an engine, with the default settings."""
    settings = read_settings({}, ROOT / "nowhere", {})
    return ImageStore(api, ROOT, settings, template_variables(settings), (seen if seen is not None else []).append, source=source)


def second_of(engine: APIClient, tmp: pytest.TempPathFactory, name: str, size: str) -> SecondEngine:
    return SecondEngine(Course(engine, name, 8700, 35), tmp.mktemp(name), size)


@pytest.fixture(scope="module")
def away(engine: APIClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[APIClient]:
    """An engine that has no image yet and can fetch none."""
    second = second_of(engine, tmp_path_factory, "sls-away", "4g")
    try:
        second.start()
        yield APIClient(second.host["DOCKER_HOST"], version="auto", timeout=300, max_pool_size=32)
    finally:
        second.stop()


def test_the_second_image_of_a_base_is_small(engine: APIClient, away: APIClient) -> None:
    """The first brings Debian along, the second what lies on it."""
    here = store(engine).resolve(["tools", "lvs", "debian"])
    sent: dict[str, int] = {}
    for name in ("tools", "lvs", "debian"):
        seen = [0]
        stream(engine, away, [here[name].reference], seen.append)
        sent[name] = seen[-1]
        there = away.inspect_image(here[name].reference)  # type: ignore[no-untyped-call]
        assert there["Id"] == here[name].id, "the same image, byte for byte"
    assert sent["tools"] > 20 * MB, sent
    # containerd's store takes whole images only: docs/ssh.md says so.
    if not _containerd(away.info()):
        assert sent["lvs"] < 0.1 * MB and sent["debian"] < 0.01 * MB, sent
    made = away.create_container(here["lvs"].reference, entrypoint=["true"], host_config=away.create_host_config(network_mode="none"))
    away.start(made["Id"])
    assert away.wait(made["Id"])["StatusCode"] == 0
    away.remove_container(made["Id"])


def test_a_store_streams_what_is_missing(engine: APIClient, away: APIClient) -> None:
    store(engine).resolve(["tools", "redis"])
    seen: list[Progress] = []
    got = store(away, Source(lambda: engine), seen).resolve(["tools", "redis"])
    assert {name: one.rung for name, one in got.items()} == {"tools": "present", "redis": "streamed"}
    assert [(one.image, one.rung, one.state) for one in seen if one.state] == [("1 image", "streamed", "done")]
    assert re.match(r"[\d.]+ [kM]B, ", seen[-1].step)
    assert "redis:" in got["redis"].reference and got["redis"].source == "packages"


def test_a_full_disk_there_is_told(engine: APIClient, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The engine ends the request before it has taken all of it; what it says counts."""
    store(engine).resolve(["tools"])
    second = second_of(engine, tmp_path_factory, "sls-full", "60m")
    try:
        second.start()
        small = APIClient(second.host["DOCKER_HOST"], version="auto", timeout=300, max_pool_size=32)
        with pytest.raises(EngineError, match="no space left on the docker host"):
            store(small, Source(lambda: engine)).resolve(["tools"])
        assert small.images() == []
    finally:
        second.stop()
