"""teardown --images on a real engine, on a view of it that holds two images of this test: the host's others serve other tests."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import Any

import pytest
from docker import APIClient
from docker.errors import NotFound
from invoke import Context

from silverlining.console.voice import Voice
from silverlining.model.images import FINGERPRINT_LABEL, IMAGE_LABEL
from silverlining.ops.desk import Desk
from silverlining.ops.settings import read_settings
from silverlining.ops.teardown import teardown

from .tiny import IMAGE, make_image

NAMES = [f"test-teardown-{kind}-{os.getpid()}" for kind in ("free", "used")]
TAGS = [f"silverlining/{name}:123" for name in NAMES]


class View:
    """The engine's client, to which only this test's images exist."""

    def __init__(self, client: APIClient) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def images(self, *words: Any, **more: Any) -> list[Any]:
        """The images, less those of others."""
        return [entry for entry in self._client.images(*words, **more) if set(entry["RepoTags"] or []) & set(TAGS)]


@pytest.fixture
def guest(engine: APIClient) -> Iterator[str]:
    """Two images that look as if we had built them, and a container of somebody else that uses one; gives the container's id."""
    make_image(engine)
    for name, tag in zip(NAMES, TAGS, strict=True):
        text = f"FROM {IMAGE}\nLABEL {IMAGE_LABEL}={name} {FINGERPRINT_LABEL}=123\n"
        for event in engine.build(fileobj=io.BytesIO(text.encode()), tag=tag, decode=True, rm=True):
            assert "error" not in event, event
    made = engine.create_container(TAGS[1], ["cat"])["Id"]
    yield made
    engine.remove_container(made, force=True)
    for tag in TAGS:
        try:
            engine.remove_image(tag)
        except NotFound:
            continue


def test_images_go_that_nobody_uses(engine: APIClient, guest: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What a foreign container uses stays and is named, the other one goes; a second run goes on to say so and changes nothing."""
    desk = Desk(Context(), read_settings({"stack": f"sl-images-{os.getpid()}"}, environ={}), Voice(), yes=True)
    vars(desk.host.engine)  # connected
    object.__setattr__(desk.host.engine, "client", View(engine))
    teardown(desk, images=True)
    said = capsys.readouterr().out
    assert "removed: 1 image;" in said and f"others use them: {TAGS[1]}" in said, said
    assert [bool(engine.images(tag)) for tag in TAGS] == [False, True]
    teardown(desk, images=True)
    assert engine.images(TAGS[1]) and engine.inspect_container(guest)["Id"] == guest
