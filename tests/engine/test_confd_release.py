"""confd's release archive: fetched, checked by its SHA-256, and refused with the reason where it isn't what was promised."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker import APIClient

from silverlining.host.exec import execute
from silverlining.host.images import ImageStore
from silverlining.model.images import IMAGES
from silverlining.model.settings import BuildSettings, ImageSettings

from .course import ROOT, until
from .test_confd_contract import taken_out, tarball

ARCHIVE = "confd-v0.41.1-linux-amd64.tar.gz"
PROGRAM = b"#!/bin/sh\necho confd 0.41.1 of the test\n"


class Settings:
    """The settings that images need."""

    def __init__(self, url: str, sha256: str = "", binary: str = "") -> None:
        self.stack = "sl-release"
        self.images = ImageSettings("", {}, binary, url, sha256)
        self.build = BuildSettings("", "", "", "")


def archive() -> bytes:
    """What a release holds: one file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        entry = tarfile.TarInfo("confd")
        entry.size, entry.mode = len(PROGRAM), 0o755
        tar.addfile(entry, io.BytesIO(PROGRAM))
    return buffer.getvalue()


@pytest.fixture(scope="module")
def served(engine: APIClient) -> Iterator[tuple[str, str]]:
    """(address, SHA-256) of an archive that a container serves where builds reach it: on the default bridge.

    /good/ has true checksums, /bad/ others.
    """
    nginx = ImageStore(engine, ROOT, Settings(""), {}).resolve(["upstream/nginx"])["upstream/nginx"].reference  # type: ignore[arg-type]
    data = archive()
    digest = hashlib.sha256(data).hexdigest()
    files = {
        f"good/{ARCHIVE}": (data, 0o644),
        "good/checksums.txt": (f"{'0' * 64}  confd-v0.41.1-darwin-amd64.tar.gz\n{digest}  {ARCHIVE}\n".encode(), 0o644),
        f"bad/{ARCHIVE}": (data, 0o644),
        "bad/checksums.txt": (f"{'0' * 64}  {ARCHIVE}\n".encode(), 0o644),
    }
    holder = engine.create_container(nginx)["Id"]
    try:
        engine.put_archive(holder, "/usr/share/nginx/html", tarball(files))
        engine.start(holder)
        address: str = until(lambda: engine.inspect_container(holder)["NetworkSettings"]["Networks"]["bridge"]["IPAddress"], "the server's address")
        until(lambda: execute(engine, holder, ["test", "-s", "/run/nginx.pid"]).ok, "nginx", 10)
        yield f"http://{address}", digest
    finally:
        engine.remove_container(holder, force=True, v=True)


def got(engine: APIClient, settings: Settings) -> tuple[str, bytes, list[str]]:
    """(source, the confd inside, what refused variants said). The variants behind the release are left out: it must serve or be refused."""
    from dataclasses import replace

    confd = IMAGES["confd"]
    only = replace(confd, variants=tuple(variant for variant in confd.variants if variant.source in ("binary", "release")))
    said: list[str] = []

    def note(progress: Any) -> None:
        if progress.state == "failed":
            said.append(progress.step)

    store = ImageStore(engine, ROOT, settings, {}, report=note, catalogue={"debian": IMAGES["debian"], "confd": only})  # type: ignore[arg-type]
    image = store.resolve(["confd"])["confd"]
    holder = engine.create_container(image.id, command=["none"])
    try:
        return image.source, taken_out(engine.get_archive(holder, "/confd")[0])[1], said
    finally:
        engine.remove_container(holder)
        engine.remove_image(image.reference, force=True)


def test_a_binary_that_the_user_names_comes_first(engine: APIClient, served: tuple[str, str], tmp_path: Path) -> None:
    binary = tmp_path / "my-confd"
    binary.write_bytes(PROGRAM)
    binary.chmod(0o755)
    assert got(engine, Settings(f"{served[0]}/good/{ARCHIVE}", binary=str(binary))) == ("binary", PROGRAM, [])


@pytest.mark.parametrize("pinned", [False, True], ids=["checksums.txt", "setting"])
def test_a_release_serves(engine: APIClient, served: tuple[str, str], pinned: bool) -> None:
    address, digest = served
    folder = "bad" if pinned else "good"  # a pinned hash needs no checksums.txt
    source, program, _said = got(engine, Settings(f"{address}/{folder}/{ARCHIVE}", digest if pinned else ""))
    assert (source, program) == ("release", PROGRAM)


@pytest.mark.parametrize(
    ("path", "sha256", "words"),
    [
        (f"bad/{ARCHIVE}", "", "the archive has another SHA-256"),
        (f"good/{ARCHIVE}", "1" * 64, "the archive has another SHA-256"),
        ("none/confd.tar.gz", "", "no download from"),
    ],
    ids=["other-checksums", "other-pin", "not-there"],
)
def test_what_is_not_as_promised_is_refused(engine: APIClient, served: tuple[str, str], path: str, sha256: str, words: str) -> None:
    from silverlining.host.images import ImageUnavailable

    with pytest.raises(ImageUnavailable) as caught:
        got(engine, Settings(f"{served[0]}/{path}", sha256))
    answers = dict(caught.value.answers)
    assert f"confd's release: {words}" in answers["release"]
    assert Path(path).name in answers["release"] or sha256[:8] in answers["release"] or "0" * 8 in answers["release"]
