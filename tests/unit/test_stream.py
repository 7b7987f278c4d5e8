"""The rung "streamed": when it is tried, what crosses the wire, and what happens where either engine fails."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import APIError, ImageNotFound

from silverlining.host.climb import Progress
from silverlining.host.images import ImageStore
from silverlining.host.stream import LOOKED_AT, Source, SourceFailed, layers_of, stream
from silverlining.model.errors import EngineError

from .image_doubles import CATALOGUE, Settings, Shell, project, store
from .test_bundle import Saving
from .test_imagetar import IDS, LAYERS, chains, image, load, new_layout, old_layout, pieces

NAMES = tuple(CATALOGUE)


class Packed(Saving):
    """An engine that is sent packed streams, and says nothing of its layers."""

    api_version = "1.41"
    driver = "strange"
    inspected = 0

    def info(self) -> dict[str, Any]:
        return {"Driver": self.driver, "DriverStatus": [["Backing Filesystem", "extfs"]]}

    def inspect_image(self, reference: str) -> dict[str, Any]:
        self.inspected += 1
        return {"RootFS": {"Layers": [IDS["a"], IDS["b"]]}}

    def _post(self, url: str, data: Iterator[bytes], params: dict[str, Any], stream: bool, timeout: float) -> Any:
        text = gzip.decompress(b"".join(data))
        return super()._post(url, iter([text]), params, stream, timeout)


class Real(Packed):
    """An engine with a graph driver: its images are given by the letters of their layers, and its tars are real ones."""

    driver = "overlay2"

    def __init__(self, images: dict[str, str], layout: Callable[..., bytes] = old_layout, **more: Any) -> None:
        super().__init__(**more)
        self.layers = dict(images)
        self.layout = layout
        self.opened: list[dict[str, list[str]]] = []
        self.saves = self.tars = 0

    def images(self, filters: Any = None) -> list[dict[str, Any]]:
        return [{"Id": name, "RepoTags": [name], "Labels": None, "Created": number} for number, name in enumerate(self.layers)]

    def inspect_image(self, reference: str) -> dict[str, Any]:
        self.inspected += 1
        if reference not in self.layers:
            raise ImageNotFound(reference)
        return {"RootFS": {"Layers": [IDS[letter] for letter in self.layers[reference]]}}

    def _get(self, url: str, params: dict[str, list[str]], stream: bool) -> Any:
        self.saves += 1
        if missing := [name for name in params["names"] if name not in self.layers]:
            raise APIError(f"no such image: {missing[0]}", explanation=f"no such image: {missing[0]}")
        return self.layout(*(self.layers[name] for name in params["names"]))

    def _stream_raw_result(self, answer: bytes, size: int, decode: bool) -> Iterator[bytes]:
        return pieces(answer)

    def _post(self, url: str, data: Iterator[bytes], params: dict[str, Any], stream: bool, timeout: float) -> Any:
        text = gzip.decompress(b"".join(data))
        self.tars, self.sent = self.tars + 1, len(text)
        try:
            self.opened.append(load(text, chains(*self.layers.values())))
        except KeyError as error:
            says = json.dumps({"error": f"no such file {error}"})
            return SimpleNamespace(iter_content=lambda size: [says.encode()])
        return SimpleNamespace(iter_content=lambda size: [self.says.encode()])


def streamed(here: Real, there: Real, *references: str) -> list[int]:
    """The bytes as they were reported."""
    seen: list[int] = []
    stream(here, there, references, seen.append)  # type: ignore[arg-type]
    return seen


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return project(tmp_path)


def beside(root: Path, there: Packed, here: Packed | EngineError, seen: list[Progress] | None = None, **settings: Any) -> ImageStore:
    """The store of an engine that isn't this machine's own."""

    def connect() -> Any:
        if isinstance(here, EngineError):
            raise here
        return here

    report = seen.append if seen is not None else lambda progress: None
    return ImageStore(there, root, Settings(**settings), {}, report, Shell(), {}, CATALOGUE, Source(connect))  # type: ignore[arg-type]


# ---- the rung


def test_what_this_machine_has_is_streamed_before_any_registry_is_asked(root: Path) -> None:
    here, there, seen = Packed(), Packed(registry={"base:1": "ok", "web:1": "ok", "other:1": "ok"}), list[Progress]()
    made = store(root, here).resolve(NAMES)
    got = beside(root, there, here, seen).resolve(NAMES)
    assert {one.rung for one in got.values()} == {"streamed"} and not there.pulls and not there.builds
    assert {name: one.reference for name, one in got.items()} == {name: one.reference for name, one in made.items()}
    assert {one.source for one in got.values()} == {one.source for one in made.values()}
    last = seen[-1]
    assert (last.image, last.rung, last.state) == ("6 images", "streamed", "done") and re.match(r"\d+ B", last.step)
    assert {one.rung for one in beside(root, there, EngineError("not asked")).resolve(NAMES).values()} == {"present"}


def test_what_is_present_is_not_sent_again_and_nothing_but_what_is_needed(root: Path) -> None:
    """A child that is here needs no parent there."""
    here, there = Packed(), Packed()
    store(root, here).resolve(NAMES)
    got = beside(root, there, here).resolve(["site"])
    assert [name.split(":")[0] for name in there.local] == ["silverlining/site"] and got["site"].rung == "streamed"
    got = beside(root, there, here).resolve(["site", "tools"])
    assert (got["site"].rung, got["tools"].rung, len(there.local)) == ("present", "streamed", 2)


def test_the_rest_goes_on_to_the_next_rungs(root: Path) -> None:
    """This machine has the parent only; what is built on it is built there."""
    here, there = Packed(), Packed()
    store(root, here).resolve(["upstream/web"])
    got = beside(root, there, here).resolve(["site"])
    assert (got["upstream/web"].rung, got["site"].rung) == ("streamed", "packages")


def test_an_image_of_another_context_is_not_the_one(root: Path) -> None:
    here, there = Packed(), Packed()
    store(root, here).resolve(["site"])
    (root / "builds/site/Dockerfile").write_text("ARG BASE\nFROM ${BASE}\nRUN make newer\n")
    plan = beside(root, there, here).plan_for(["site"])
    assert plan["site"].rung == "to get" and "upstream/web" in plan
    assert beside(root, there, here).resolve(["site"])["site"].rung == "packages"


def test_a_dry_run_names_what_would_be_streamed(root: Path) -> None:
    here, there = Packed(registry={"web:1": "ok"}), Packed()
    made = store(root, here).resolve(["site", "tools"])
    plan = beside(root, there, here).plan_for(["site", "tools"])
    assert {name: one.reference for name, one in plan.items()} == {name: made[name].reference for name in ("site", "tools")}
    assert not there.sent and set(beside(root, there, here).streamable(NAMES)) >= {"site", "tools", "upstream/web"}


def test_where_nothing_is_missing_this_machine_is_not_asked(root: Path) -> None:
    there = Packed()
    store(root, there).resolve(NAMES)
    asked = AssertionError("asked")

    def connect() -> Any:
        raise asked

    one = ImageStore(there, root, Settings(), {}, source=Source(connect), catalogue=CATALOGUE)  # type: ignore[arg-type]
    assert {planned.rung for planned in one.plan_for(NAMES).values()} == {"present"} and one.resolve(NAMES) and not one.streamable(NAMES, NAMES)


@pytest.mark.parametrize(
    ("here", "why"),
    (
        (EngineError("nothing listens on unix:///var/run/docker.sock"), "nothing listens on unix:///var/run/docker.sock"),
        (Packed("arm64"), "this machine's engine has images for arm64, the docker host runs amd64"),
    ),
)
def test_without_an_engine_of_its_own_the_rung_is_not_there(root: Path, here: Any, why: str) -> None:
    if isinstance(here, Packed):
        store(root, here).resolve(["site"])
    seen, there = list[Progress](), Packed()
    got = beside(root, there, here, seen).resolve(["site"])
    assert got["site"].rung == "packages" and not there.sent
    assert [(one.state, one.step) for one in seen if one.rung == "streamed"] == [("failed", why)]


def test_an_engine_here_that_breaks_is_left_for_the_next_rung(root: Path) -> None:
    class Breaking(Packed):
        def _stream_raw_result(self, answer: Any, size: int, decode: bool) -> Iterator[bytes]:
            yield b"{"
            raise APIError("gone", explanation="the disk here is broken")

    here, seen = Breaking(), list[Progress]()
    store(root, here).resolve(["site"])
    there = Packed()
    assert beside(root, there, here, seen).resolve(["site"])["site"].rung == "packages"
    assert [one.step for one in seen if one.rung == "streamed" and one.state == "failed"] == ["the disk here is broken"]


def test_a_docker_host_without_room_is_told_at_once(root: Path) -> None:
    """Building would need the room, too."""
    here, there = Packed(), Packed(says='{"error":"write /x: no space left on device"}\n')
    store(root, here).resolve(["site"])
    with pytest.raises(EngineError, match="no space left on the docker host"):
        beside(root, there, here).resolve(["site"])
    there.says = '{"error":"unexpected EOF"}\n'
    assert beside(root, there, here).resolve(["site"])["site"].rung == "packages"


# ---- what crosses the wire


@pytest.mark.parametrize("layout", (old_layout, new_layout))
def test_the_layers_that_are_there_stay_here(layout: Any) -> None:
    here, there = Real({"one": "abc", "two": "abd"}, layout), Real({"base": "ab"})
    seen = streamed(here, there, "one", "two")
    assert there.opened == [{"image:0": ["c"], "image:1": ["d"]}] and here.saves == 1
    assert seen == sorted(seen) and seen[-1] < len(LAYERS["a"])
    everything = Real({})
    streamed(here, everything, "one", "two")
    assert everything.opened == [{"image:0": ["a", "b", "c"], "image:1": ["d"]}] and everything.sent > there.sent + len(LAYERS["a"] + LAYERS["b"])


@pytest.mark.parametrize(
    "info",
    (
        {"Driver": "overlayfs", "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]]},
        {"Driver": "overlay2", "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]]},
        {"Driver": "new", "DriverStatus": None},
        {},
    ),
)
def test_where_the_loader_might_want_a_file_all_are_sent(monkeypatch: pytest.MonkeyPatch, info: dict[str, Any]) -> None:
    here, there = Real({"one": "abc"}), Real({"base": "ab"})
    monkeypatch.setattr(there, "info", lambda: info)
    streamed(here, there, "one")
    everything = Real({})
    streamed(here, everything, "one")
    assert there.sent == everything.sent and not there.inspected


def test_layers_that_went_meanwhile_are_sent_after_all(monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = Real({"one": "abc"}), Real({"base": "ab"})
    looked = there.inspect_image

    def look(reference: str) -> dict[str, Any]:
        answer = looked(reference)
        there.layers.clear()
        return answer

    monkeypatch.setattr(there, "inspect_image", look)
    streamed(here, there, "one")
    assert there.opened == [{"image:0": ["a", "b", "c"]}] and there.tars == 2


def test_the_docker_host_is_asked_for_so_many_images_at_most() -> None:
    many = Real({f"image-{number}": "ab" for number in range(3 * LOOKED_AT)})
    assert layers_of(many) == set(chains("ab")) and many.inspected == LOOKED_AT  # type: ignore[arg-type]


def test_packed_layers_of_containerds_store_are_told_by_reading_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = Real({"one": "abc"}, lambda *images: new_layout(*images, packed=True)), Real({"base": "ab"})
    monkeypatch.setattr(here, "info", lambda: {"Driver": "overlayfs", "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]]})
    streamed(here, there, "one")
    assert there.opened == [{"image:0": ["c"]}] and here.saves == 2


def test_an_image_that_is_gone_here_is_an_error_of_this_machine() -> None:
    with pytest.raises(SourceFailed, match="no such image: two"):
        streamed(Real({"one": "abc"}), Real({}), "one", "two")
    assert image("a")[0] != image("ab")[0]
