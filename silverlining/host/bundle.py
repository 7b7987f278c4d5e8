"""The bundle: all images of the course in one file, made by one `docker save`, for a host without a network."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..model.errors import EngineError, FileRefused
from ..model.images import split_reference
from ..model.text import _
from .packing import for_way_to
from .sealed import CHUNK, Sealed, Writer, open_sealed

if TYPE_CHECKING:
    from docker import APIClient

KIND = "bundle"
PATIENCE = 1800  # seconds that the engine may take to unpack what it was sent
Report = Callable[[int, int], None]


class NotTaken(EngineError):
    """An engine did not load what it was sent, and not for want of room."""


@dataclass(frozen=True)
class Entry:
    """An image in a bundle. `fingerprint` is what it is made from; `id` is the saving engine's, and need not be another one's. Size in bytes."""

    name: str
    reference: str
    fingerprint: str
    id: str
    size: int
    source: str


@dataclass(frozen=True)
class Bundle:
    """A bundle whose beginning is sound."""

    sealed: Sealed
    architecture: str
    made: str
    entries: tuple[Entry, ...]

    @property
    def path(self) -> Path:
        """The file."""
        return self.sealed.path


def save(api: APIClient, path: Path, entries: Iterable[Entry], report: Report) -> Bundle:
    """Writes `entries`, which are on the engine, as a bundle. `report` gets (bytes from the engine, bytes in the file). Raises FileRefused."""
    entries = tuple(entries)
    facts = {
        "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "architecture": architecture(api),
        "images": [asdict(entry) for entry in entries],
    }
    with Writer(path, KIND, facts, 0o644, large=True) as writer:
        for data in saved(api, [entry.reference for entry in entries]):
            writer.write(data)
            report(writer.unpacked, writer.size)
        writer.seal(facts)
    return open_bundle(path)


def saved(api: APIClient, references: Sequence[str]) -> Iterator[bytes]:
    """The tar of these images. Raises docker's and requests' errors."""
    # docker-py's get_image takes one image, and layers that several share would come once for each.
    client: Any = api
    answer = client._get(client._url("/images/get"), params={"names": list(references)}, stream=True)
    yield from client._stream_raw_result(answer, CHUNK, False)


def open_bundle(path: Path) -> Bundle:
    """Reads the beginning of a bundle. Raises FileRefused where it is none, damaged, or of a newer format."""
    sealed = open_sealed(path, KIND)
    facts = sealed.facts
    return Bundle(sealed, facts["architecture"], facts["made"], tuple(Entry(**entry) for entry in facts["images"]))


def architecture(api: APIClient) -> str:
    """The engine's own, in Docker's word: amd64, arm64."""
    return str(api.version()["Arch"])


def refuse_foreign(bundle: Bundle, own: str) -> None:
    """Raises FileRefused for a bundle of another architecture than `own`."""
    if bundle.architecture != own:
        raise FileRefused(
            _("{path} holds images for {theirs}; this host's engine runs {own}").format(path=bundle.path, theirs=bundle.architecture, own=own),
            _("make a bundle on a host of this architecture: `invoke images.save FILE`"),
        )


def load(api: APIClient, bundle: Bundle, names: Mapping[str, str], report: Report, checked: Callable[[int, int], None] | None = None) -> None:
    """Checks the whole file, then gives it to the engine. Nothing is loaded of a file that is damaged or of another architecture.

    `names` maps a reference of the bundle to the one that this host looks for. `checked` gets the progress of the check, `report` that
    of the load: (bytes read, bytes in all). Raises FileRefused, or EngineError where the engine doesn't take it.
    """
    refuse_foreign(bundle, architecture(api))
    total = bundle.sealed.size
    bundle.sealed.check(lambda done: (checked or report)(done, total))
    load_stream(api, for_way_to(api, bundle.sealed.payload(lambda done: report(done, total))))
    there = {tag for entry in api.images() for tag in entry.get("RepoTags") or []}
    for theirs, ours in names.items():
        if theirs in there and ours not in there:
            api.tag(theirs, *split_reference(ours))
            there.add(ours)
    missing = [ours for ours in names.values() if ours not in there]
    if missing:
        raise EngineError(
            _("the engine took {path}, but doesn't have {names}").format(path=bundle.path, names=", ".join(missing)),
            _("`docker info` says whether it is well; then run the same command again"),
        )


def load_stream(api: APIClient, payload: Iterable[bytes]) -> None:
    """Gives the engine a tar of images, packed or not. Raises NotTaken, or EngineError where it has no room."""
    client: Any = api
    # docker-py's load_image gives the engine two minutes for its answer, which comes when all is unpacked. An empty piece would end the stream.
    pieces = filter(None, payload)
    answer = client._post(client._url("/images/load"), data=pieces, params={"quiet": True}, stream=True, timeout=PATIENCE)
    client._raise_for_status(answer)
    words = b"".join(answer.iter_content(CHUNK)).decode(errors="replace")
    for line in words.splitlines():
        event = json.loads(line) if line.startswith("{") else {}
        if error := event.get("error"):
            if "no space left" in str(error).lower():
                raise EngineError(
                    _("no space left on the docker host: {words}").format(words=error),
                    _("make room (`docker system df` shows what takes it), then run the same command again"),
                )
            raise NotTaken(
                _("the engine did not take the images: {words}").format(words=error),
                _("`docker info` says whether it is well; then run the same command again"),
            )
