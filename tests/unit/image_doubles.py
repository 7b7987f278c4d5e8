"""Doubles for the image tests: a small catalogue, an engine that keeps images in a dict, and the docker host's shell."""

from __future__ import annotations

import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from docker.errors import APIError

from silverlining.host.climb import Progress
from silverlining.host.images import ImageStore
from silverlining.model.images import IMAGE_LABEL, Image, Variant
from silverlining.model.settings import BuildSettings, ImageSettings

NO_HOST = "dial tcp: lookup registry.example: no such host"
UNKNOWN = "manifest unknown"
NOW = 1_700_000_000
CATALOGUE = {
    image.name: image
    for image in (
        Image("base", official="base:1", suite="trixie"),
        Image("other-base", official="other:1", suite="bookworm"),
        Image("upstream/web", "builds/web", (("BASE", "base"),), official="web:1"),
        Image("site", "builds/site", (("BASE", "upstream/web"),)),
        Image("tools", "builds/tools", (("BASE", "other-base"),)),
        Image(
            "agent",
            "builds/agent",
            (("BASE", "base"),),
            variants=(
                Variant("binary", "Dockerfile.binary", needs="agent"),
                Variant("module", "Dockerfile.module"),
                Variant("own", "Dockerfile.own"),
            ),
        ),
    )
}


class Settings:
    """The settings that images need."""

    def __init__(self, mirror: str = "", references: dict[str, str] | None = None, package_mirror: str = "") -> None:
        self.stack = "shop"
        self.images = ImageSettings(mirror, references or {}, "", "", "")
        self.build = BuildSettings(package_mirror, "", "", "")


class Engine:
    """Stands in for docker.APIClient: keeps images, answers pulls from `registry` and builds from `broken`."""

    def __init__(self, registry: Mapping[str, str] | None = None, default: str = NO_HOST) -> None:
        self.local: dict[str, dict[str, Any]] = {}
        self.registry = dict(registry or {})
        self.default = default
        self.broken: dict[str, str] = {}
        self.calls: list[str] = []
        self.pulls: list[str] = []
        self.builds: list[dict[str, Any]] = []
        self.in_use: set[str] = set()
        self.on_build: Callable[[str], None] = lambda tag: None

    def add(self, reference: str, labels: Mapping[str, str] | None = None, created: int = NOW) -> None:
        self.local[reference] = {"Id": f"sha256:{reference}", "RepoTags": [reference], "Labels": dict(labels or {}) or None, "Created": created}

    def images(self, filters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        if filters:
            return []
        self.calls.append("images")
        return [*self.local.values(), {"Id": "sha256:none", "RepoTags": None, "Labels": None}]

    def pull(self, repository: str, tag: str, stream: bool, decode: bool) -> Iterator[dict[str, Any]]:
        reference = f"{repository}:{tag}"
        self.pulls.append(reference)
        answer = self.registry.get(reference, self.default)
        if answer == "hang":
            threading.Event().wait()
        if answer != "ok":
            raise APIError(answer, explanation=answer)
        yield {"status": f"Pulling from {repository}", "id": tag}
        self.add(reference)
        yield {"status": "Download complete", "progress": "[==]"}

    def build(self, *, tag: str, fileobj: IO[bytes], dockerfile: str, **rest: Any) -> Iterator[dict[str, Any]]:
        with tarfile.open(fileobj=fileobj) as tar:
            names = tar.getnames()
            text = tar.extractfile(dockerfile).read().decode()  # type: ignore[union-attr]
        labels = dict(pair.split("=", 1) for pair in text.splitlines()[-1].removeprefix("LABEL ").split())
        self.builds.append({"tag": tag, "dockerfile": dockerfile, "files": names, "labels": labels, **rest})
        self.on_build(tag)
        yield {"stream": "Step 1/2 : FROM ${BASE}\n"}
        yield {"stream": " ---> 0123456789ab\n"}
        yield {"stream": "Step 2/2 : RUN make\n"}
        for name, error in self.broken.items():
            if name in (labels[IMAGE_LABEL], dockerfile):
                for number in range(30):
                    yield {"stream": f"line {number}\n"}
                yield {"errorDetail": {"code": 2}, "error": error}
                return
        self.add(tag, labels)
        yield {"aux": {"ID": f"sha256:{tag}"}}

    def import_image_from_file(self, path: str, repository: str, tag: str, changes: Sequence[str]) -> str:
        self.calls.append(f"import {Path(path).read_bytes().decode()} {repository}:{tag}")
        pairs = [change.removeprefix("LABEL ").replace('"', "").split("=", 1) for change in changes if change.startswith("LABEL ")]
        self.add(f"{repository}:{tag}", dict(pairs))
        return '{"status":"sha256:0"}\n'

    def remove_image(self, tag: str) -> None:
        if tag in self.in_use:
            raise APIError("conflict", explanation="conflict: in use")
        del self.local[tag]


class Shell:
    """Stands in for the docker host's shell."""

    def __init__(self, programs: Sequence[str] = ("mmdebstrap",), root: bool = True, answers: Mapping[str, tuple[int, str]] | None = None) -> None:
        self.programs, self.root, self.answers = set(programs), root, dict(answers or {})
        self.ran: list[list[str]] = []

    def which(self, program: str) -> bool:
        return program in self.programs

    def is_root(self) -> bool:
        return self.root

    def __call__(self, argv: Sequence[str], stdout: IO[bytes] | None = None) -> tuple[int, str]:
        self.ran.append(list(argv))
        if stdout:
            stdout.write(b"tar")
            stdout.flush()
        return self.answers.get(argv[0], (0, ""))

    def into_engine(self, argv: Sequence[str], reference: str, changes: Sequence[str]) -> tuple[int, str] | None:
        return None


def project(root: Path) -> Path:
    """Writes the build contexts of the catalogue under `root`."""
    for image in CATALOGUE.values():
        for variant in image.variants if image.context else ():
            path = root / image.context / variant.dockerfile
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("ARG BASE\nFROM ${BASE}\nRUN make\n")
    return root


def store(root: Path, engine: Engine, settings: Settings | None = None, shell: Shell | None = None, seen: list[Progress] | None = None) -> ImageStore:
    report = seen.append if seen is not None else lambda progress: None
    return ImageStore(engine, root, settings or Settings(), {}, report, shell or Shell(), {}, CATALOGUE)  # type: ignore[arg-type]
