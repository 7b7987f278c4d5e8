"""Images from this machine's engine to the docker host's, streamed. Of a layer that the docker host has already nothing crosses the wire."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from ..model.errors import EngineError
from ..model.images import IMAGE_LABEL
from ..model.text import _
from .bundle import NotTaken, architecture, load_stream, saved
from .imagetar import blob_layers, chain_ids, leave_out
from .packing import gzipped

if TYPE_CHECKING:
    from docker import APIClient

SIDE_BY_SIDE = 8
LOOKED_AT = 100  # images of the docker host that are asked for their layers: ours first
# Where these keep an image, `docker load` opens no file of a layer that it has: moby's image/tarexport/load.go, tried with 20.10 and 26.1.
GRAPH_DRIVERS = frozenset({"overlay2", "fuse-overlayfs", "btrfs", "zfs", "vfs", "aufs", "overlay", "devicemapper"})
Report = Callable[[int], None]
T = TypeVar("T")


class SourceFailed(Exception):
    """This machine's engine did not give its images to the end."""


class Source:
    """This machine's own engine. It is connected to when it is first asked; `why` says why it has nothing to give."""

    def __init__(self, connect: Callable[[], APIClient]) -> None:
        """`connect` raises EngineError where there is no engine."""
        self._connect = connect
        self.why = ""

    @cached_property
    def _asked(self) -> tuple[APIClient, list[dict[str, Any]], str] | None:
        try:
            client = self._connect()
            with _of_source():
                return client, client.images(), architecture(client)
        except EngineError as error:
            self.why = error.what
        except SourceFailed as error:
            self.why = str(error)
        return None

    @property
    def client(self) -> APIClient | None:
        """The engine, None where there is none."""
        return self._asked[0] if self._asked else None

    def images(self, there: APIClient) -> list[dict[str, Any]]:
        """What this machine's engine has for the engine `there`, as that would list it: nothing if it is of another architecture."""
        if not self._asked:
            return []
        _client, listed, ours = self._asked
        if (theirs := architecture(there)) == ours:
            return listed
        self.why = _("this machine's engine has images for {ours}, the docker host runs {theirs}").format(ours=ours, theirs=theirs)
        return []


def stream(here: APIClient, there: APIClient, references: Sequence[str], report: Report) -> None:
    """Gives images of the engine `here` to the engine `there`, all by one `docker save`. `report` gets the bytes that were sent so far.

    Raises SourceFailed where `here` is at fault, NotTaken where `there` doesn't take them, EngineError where it has no room.
    """
    with _of_source():
        chains = {chain: diff_id for layers in _layers(here, references) for chain, diff_id in zip(chain_ids(layers), layers, strict=True)}
    unneeded = unneeded_layers(chains, layers_of(there))
    with _of_source():
        blobs = blob_layers(saved(here, references)) if unneeded and _containerd(here.info()) else {}
    sent = 0

    def send(leaving: frozenset[str]) -> None:
        def counted(pieces: Iterable[bytes]) -> Iterator[bytes]:
            nonlocal sent
            for piece in pieces:
                yield piece
                sent += len(piece)
                report(sent)

        tar = saved(here, references)
        load_stream(there, counted(gzipped(_guarded(leave_out(tar, chains, leaving, blobs) if leaving else tar))))

    try:
        send(unneeded)
    except NotTaken:
        if not unneeded:
            raise
        # An image that had the layers may have gone meanwhile.
        send(frozenset())


def unneeded_layers(chains: Mapping[str, str], known: Iterable[str]) -> frozenset[str]:
    """The diff IDs among `chains` (chain ID → diff ID) of which every place in a chain is `known`.

    A layer may lie on several others, and `docker save` writes it once: it can stay away only if it is needed nowhere.
    """
    have = set(known)
    return frozenset(chains.values()) - {diff_id for chain, diff_id in chains.items() if chain not in have}


def layers_of(api: APIClient) -> set[str]:
    """The chain IDs of the layers that an engine has, as far as its images tell; none where it would want a layer's file all the same."""
    info = api.info()
    if info.get("Driver") not in GRAPH_DRIVERS or _containerd(info):
        return set()
    listed = sorted(api.images(), key=lambda entry: (IMAGE_LABEL in (entry.get("Labels") or {}), entry["Created"]), reverse=True)
    return {chain for layers in _layers(api, [entry["Id"] for entry in listed[:LOOKED_AT]]) for chain in chain_ids(layers)}


def _layers(api: APIClient, images: Sequence[str]) -> list[list[str]]:
    """The diff IDs of the layers of each image, base first; none of an image that has gone."""
    from docker.errors import ImageNotFound

    client: Any = api

    def ask(image: str) -> list[str]:
        try:
            return client.inspect_image(image)["RootFS"].get("Layers") or []
        except ImageNotFound:
            return []

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        return list(pool.map(ask, images))


def _containerd(info: Mapping[str, Any]) -> bool:
    return any("containerd.snapshotter" in str(value) for _name, value in info.get("DriverStatus") or ())


@contextmanager
def _of_source() -> Iterator[None]:
    """Every error of this machine's engine as SourceFailed: in a request to another engine it would look like that one's."""
    from docker.errors import DockerException
    from requests import RequestException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except (DockerException, RequestException, HTTPError, tarfile.TarError, OSError, ValueError, LookupError) as error:
        raise SourceFailed(str(getattr(error, "explanation", None) or error)) from error


def _guarded(items: Iterable[T]) -> Iterator[T]:
    with _of_source():
        yield from items
