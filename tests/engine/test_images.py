"""Images on a real engine: two tiny ones are built, found again, renewed and pruned. Needs neither a network nor a base."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from silverlining.host.build import STAGE_LABEL
from silverlining.host.images import LEFT_OVER, BuildFailed, ImageStore, ImageUnavailable
from silverlining.model.images import IMAGE_LABEL, Image
from silverlining.model.settings import BuildSettings, ImageSettings

if TYPE_CHECKING:
    from docker import APIClient

ONE, TWO = f"test-images-one-{os.getpid()}", f"test-images-two-{os.getpid()}"
STACK = f"sl-images-{os.getpid()}"
# A registry on a port where nobody listens: refused at once, on every machine.
NOBODY = "127.0.0.1:9/none:1"


@pytest.fixture(scope="module")
def api() -> Iterator[APIClient]:
    import docker

    client = docker.APIClient(os.environ.get("DOCKER_HOST"), version="auto")
    yield client
    # What is built on another image goes first.
    for label in (f"{IMAGE_LABEL}={TWO}", f"{STAGE_LABEL}={TWO}", f"{IMAGE_LABEL}={ONE}"):
        for entry in client.images(filters={"label": label}):
            client.remove_image(entry["Id"], force=True)
    client.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for path, text in {
        "builds/one/Dockerfile": "FROM scratch\nCOPY one.conf host/ca.crt /\n",
        "conf/one.conf.j2": "answer {{ answer }}\n",
        "builds/two/Dockerfile": "ARG BASE\nFROM ${BASE} AS build\nCOPY two /two\n\nFROM ${BASE}\nCOPY --from=build /two /deep/two\n",
        "builds/two/two": "first\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


class Settings:
    """The settings that images need."""

    def __init__(self, **references: str) -> None:
        self.stack = STACK
        self.images = ImageSettings("", references, "", "", "")
        self.build = BuildSettings("", "", "", "")


def store(api: APIClient, root: Path, settings: Settings | None = None) -> ImageStore:
    one = Image(ONE, "builds/one", files=(("conf/one.conf.j2", "one.conf"),))
    two = Image(TWO, "builds/two", (("BASE", ONE),))
    return ImageStore(api, root, settings or Settings(), {"answer": 42}, environ={}, catalogue={ONE: one, TWO: two})  # type: ignore[arg-type]


def stages(api: APIClient) -> list[Any]:
    return [entry["Id"] for entry in api.images(filters={"dangling": True, "label": f"{STAGE_LABEL}={TWO}"})]


def test_images_are_built_found_again_renewed_and_pruned(api: APIClient, root: Path) -> None:
    first = store(api, root).resolve([TWO])
    assert {name: one.rung for name, one in first.items()} == {ONE: "packages", TWO: "packages"}
    assert [(entry["Id"], entry["RepoTags"]) for entry in api.images(filters={"label": f"{IMAGE_LABEL}={TWO}"})] == [
        (first[TWO].id, [first[TWO].reference])
    ]

    again = store(api, root).resolve([TWO])
    assert (again[TWO].rung, again[TWO].id) == ("present", first[TWO].id)
    assert len(stages(api)) == 1

    (root / "builds/two/two").write_text("second\n")
    newer = store(api, root)
    assert newer.plan_for([TWO])[TWO].rung == "to get"
    renewed = newer.resolve([ONE, TWO])
    assert (renewed[ONE].rung, renewed[TWO].rung) == ("present", "packages")
    assert len(stages(api)) == 1, "the builder stage of the earlier build should be gone"

    replaced, now = [first[TWO].reference], time.time()
    container = api.create_container(first[TWO].reference, command=["none"])
    try:
        assert newer.superseded(replaced, api.containers(all=True), now) == []
        assert newer.prune(replaced) == []
    finally:
        api.remove_container(container)
    # Of the containers here those of other stacks would keep what is left over.
    assert newer.superseded([], [], now) == []
    assert newer.superseded(replaced, [], now) == replaced
    assert newer.superseded([], [], now + LEFT_OVER) == replaced
    assert newer.prune(replaced) == replaced
    assert newer.superseded(replaced, [], now + LEFT_OVER) == []
    assert store(api, root).plan_for([TWO])[TWO].rung == "present"


def test_a_build_that_fails_names_the_step(api: APIClient, root: Path) -> None:
    (root / "builds/two/Dockerfile").write_text("ARG BASE\nFROM ${BASE}\nCOPY nothing /\n")
    with pytest.raises(BuildFailed) as caught:
        store(api, root).resolve([TWO])
    assert caught.value.step == "Step 3/4 : COPY nothing /"
    assert "nothing" in caught.value.error


def test_a_registry_that_refuses_is_quoted(api: APIClient, root: Path) -> None:
    with pytest.raises(ImageUnavailable) as caught:
        store(api, root, Settings(**{ONE: NOBODY})).resolve([ONE])
    ((rung, answer),) = caught.value.answers
    assert rung == f"named {NOBODY}"
    assert "refused" in answer
