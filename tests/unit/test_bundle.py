"""The rung "bundle", and what a bundle that doesn't fit gets: on engines that are dicts."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from docker.transport import UnixHTTPAdapter

from silverlining.console.voice import Voice
from silverlining.host import bundle as bundles
from silverlining.host.bundle import Bundle, Entry
from silverlining.host.climb import Progress
from silverlining.host.images import ImageStore
from silverlining.model.errors import EngineError, FileRefused
from silverlining.ops.bundles import load_images

from .image_doubles import CATALOGUE, NO_HOST, UNKNOWN, Engine, Settings, project, store

NAMES = tuple(CATALOGUE)


class Saving(Engine):
    """An engine that can save and load: its tar is a list of references with their labels."""

    def __init__(self, arch: str = "amd64", registry: dict[str, str] | None = None, says: str = "") -> None:
        super().__init__(registry, UNKNOWN if registry else NO_HOST)
        self.arch, self.says = arch, says
        self.sent = 0
        self.tagged: list[str] = []

    def version(self) -> dict[str, str]:
        return {"Arch": self.arch}

    base_url = "http+docker://localhost"

    def get_adapter(self, url: str) -> UnixHTTPAdapter:
        return UnixHTTPAdapter("http+unix:///run/docker.sock")

    def _url(self, path: str) -> str:
        return path

    def _get(self, url: str, params: dict[str, list[str]], stream: bool) -> dict[str, Any]:
        return {name: self.local[name]["Labels"] for name in params["names"]}

    def _stream_raw_result(self, answer: dict[str, Any], size: int, decode: bool) -> Iterator[bytes]:
        text = json.dumps(answer).encode()
        yield from (text[at : at + 100] for at in range(0, len(text), 100))

    def _post(self, url: str, data: Iterator[bytes], params: dict[str, Any], stream: bool, timeout: float) -> Any:
        text = b"".join(data)
        self.sent += len(text)
        for reference, labels in json.loads(text).items() if not self.says else ():
            self.add(reference, labels or {})
        return SimpleNamespace(iter_content=lambda size: [self.says.encode()])

    def _raise_for_status(self, answer: Any) -> None:
        """All is well."""

    def tag(self, image: str, repository: str, tag: str) -> None:
        self.tagged.append(f"{repository}:{tag}")
        self.add(f"{repository}:{tag}", self.local[image]["Labels"] or {})


def make(root: Path, engine: Saving, settings: Settings | None = None) -> Bundle:
    """A bundle of all images, made by a store that gets them first."""
    one = store(root, engine, settings)
    got = one.resolve(NAMES)
    entries = [Entry(name, got[name].reference, got[name].fingerprint, got[name].id, 1, got[name].source) for name in NAMES]
    return bundles.save(engine, root / "all.bundle", entries, lambda read, written: None)  # type: ignore[arg-type]


def by_bundle(root: Path, engine: Saving, seen: list[Progress] | None = None, path: str = "all.bundle") -> ImageStore:
    settings = Settings()
    settings.images = type(settings.images)(**{**vars(settings.images), "bundle": path})
    return store(root, engine, settings, seen=seen)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return project(tmp_path)


def test_a_host_without_a_network_gets_all_from_the_bundle(root: Path) -> None:
    make(root, Saving())
    here, seen = Saving(), list[Progress]()
    got = by_bundle(root, here, seen).resolve(NAMES)
    assert {one.rung for one in got.values()} == {"bundle"} and not here.pulls and not here.builds
    assert [(progress.image, progress.state) for progress in seen if progress.rung == "bundle"][-1] == ("all.bundle", "done")
    steps = [progress.step for progress in seen if progress.rung == "bundle"]
    assert steps[0].startswith("checking it: ") and " %" in steps[0] and "the engine unpacks it" in steps
    again = by_bundle(root, here, path="gone.bundle").resolve(NAMES)
    assert {one.rung for one in again.values()} == {"present"} and here.sent


def test_present_goes_before_the_bundle_and_the_bundle_before_a_registry(root: Path) -> None:
    make(root, Saving())
    here = Saving(registry={"base:1": "ok", "web:1": "ok"})
    here.add("web:1")
    got = by_bundle(root, here).resolve(["site"])
    assert (got["site"].rung, got["site"].reference.split(":")[0]) == ("bundle", "silverlining/site") and not here.pulls


def test_an_image_from_a_mirror_gets_its_official_name_where_there_is_no_mirror(root: Path) -> None:
    there = Saving(registry={"mirror.example/library/base:1": "ok", "mirror.example/web:1": "ok"})
    made = make(root, there, Settings(mirror="mirror.example"))
    assert {"mirror.example/library/base:1", "mirror.example/web:1"} <= {entry.reference for entry in made.entries}
    here = Saving()
    got = by_bundle(root, here).resolve(NAMES)
    assert (got["base"].reference, got["upstream/web"].reference) == ("base:1", "web:1") and sorted(here.tagged) == ["base:1", "web:1"]


def test_what_another_version_made_does_not_fit(root: Path) -> None:
    made = make(root, Saving())
    (root / "builds/site/Dockerfile").write_text("ARG BASE\nFROM ${BASE}\nRUN make newer\n")
    here = Saving()
    fitting = by_bundle(root, here).matches(made.entries)
    assert {entry.name for entry in made.entries if entry.reference not in fitting} == {"site"}
    got = by_bundle(root, here).resolve(["site"])
    assert (got["site"].rung, got["upstream/web"].rung) == ("packages", "bundle")


def test_a_bundle_that_has_nothing_of_it_is_left_alone(root: Path) -> None:
    make(root, Saving())
    for image in CATALOGUE.values():
        if image.context:
            for variant in image.variants:
                (root / image.context / variant.dockerfile).write_text("ARG BASE\nFROM ${BASE}\nRUN make newer\n")
    here, seen = Saving(registry={"base:1": "ok", "other:1": "ok"}), list[Progress]()
    here.add("base:1")
    got = by_bundle(root, here, seen).resolve(["site"])
    assert got["site"].rung == "packages" and not here.sent
    assert [progress.state for progress in seen if progress.rung == "bundle"] == ["failed"]


def test_another_architecture_is_refused_before_anything_is_loaded(root: Path) -> None:
    make(root, Saving())
    here = Saving("arm64")
    with pytest.raises(FileRefused, match=r"holds images for amd64; this host's engine runs arm64"):
        by_bundle(root, here).resolve(["site"])
    assert not here.sent and not here.builds


@pytest.mark.parametrize("dry", (False, True))
def test_the_task_refuses_another_architecture_before_it_says_or_loads_anything(root: Path, dry: bool) -> None:
    path = make(root, Saving()).path
    here, said = Saving("arm64"), io.StringIO()
    desk: Any = SimpleNamespace(host=SimpleNamespace(client=here), store=by_bundle(root, here), voice=Voice(said), dry=dry)
    with pytest.raises(FileRefused, match=r"all\.bundle holds images for amd64; this host's engine runs arm64") as caught:
        load_images(desk, str(path))
    assert "invoke images.save FILE" in caught.value.hint
    assert not here.sent and not here.local and not said.getvalue()


def test_the_task_loads_a_bundle_of_the_own_architecture(root: Path) -> None:
    path = make(root, Saving()).path
    here, said = Saving(), io.StringIO()
    desk: Any = SimpleNamespace(host=SimpleNamespace(client=here), store=by_bundle(root, here), voice=Voice(said), dry=False)
    load_images(desk, str(path))
    assert here.sent and f"{len(NAMES)} images are here" in said.getvalue()


def test_a_changed_payload_is_refused_before_anything_is_loaded(root: Path) -> None:
    path = make(root, Saving()).path
    data = bytearray(path.read_bytes())
    data[-3] ^= 4
    path.write_bytes(data)
    here = Saving()
    with pytest.raises(FileRefused, match="damaged"):
        by_bundle(root, here).resolve(["site"])
    assert not here.sent and not here.builds


def test_a_file_that_is_missing_is_told(root: Path) -> None:
    with pytest.raises(FileRefused, match=r"none\.bundle can't be read: No such file"):
        by_bundle(root, Saving(), path="none.bundle").resolve(["site"])


@pytest.mark.parametrize(
    ("says", "words"),
    (
        ('{"errorDetail":{},"error":"write /x: no space left on device"}\n', "no space left on the docker host"),
        ('{"error":"unexpected EOF"}\n', "the engine did not take the images: unexpected EOF"),
    ),
)
def test_an_engine_that_does_not_take_it(root: Path, says: str, words: str) -> None:
    make(root, Saving())
    with pytest.raises(EngineError, match=words):
        by_bundle(root, Saving(says=says)).resolve(["site"])
