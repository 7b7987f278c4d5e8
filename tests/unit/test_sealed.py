"""The format of bundles and backups: what is cut short, changed, foreign or newer is refused, and no half file stays."""

from __future__ import annotations

import errno
import os
import random
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from silverlining.host import sealed
from silverlining.host.sealed import Writer, open_sealed
from silverlining.model.errors import FileRefused

PAYLOAD = random.Random(7).randbytes(200_000) + b"layers " * 50_000
FACTS = {"architecture": "amd64", "images": ["web"]}


def write(path: Path, kind: str = "bundle", mode: int = 0o644) -> Path:
    with Writer(path, kind, FACTS, mode) as writer:
        for at in range(0, len(PAYLOAD), 70_000):
            writer.write(PAYLOAD[at : at + 70_000])
        writer.seal({**FACTS, "known at the end": 42})
    return path


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("sealed") / "all.bundle")


def read(path: Path, kind: str = "bundle") -> bytes:
    found = open_sealed(path, kind)
    found.check()
    return b"".join(found.payload())


def refused(path: Path, kind: str = "bundle") -> str:
    with pytest.raises(FileRefused) as caught:
        read(path, kind)
    assert caught.value.hint and str(path) in caught.value.what
    return caught.value.what


def test_what_goes_in_comes_out(good: Path) -> None:
    done: list[int] = []
    found = open_sealed(good, "bundle")
    found.check(done.append)
    assert read(good) == PAYLOAD
    assert found.facts["known at the end"] == 42 and found.facts["unpacked"] == len(PAYLOAD)
    assert done[-1] == found.size < len(PAYLOAD)
    assert max(map(len, found.payload())) <= sealed.CHUNK
    assert os.listdir(good.parent) == ["all.bundle"]


def test_zstd_alone_gives_the_payload(good: Path) -> None:
    from backports import zstd

    assert zstd.decompress(good.read_bytes()) == PAYLOAD


@pytest.mark.parametrize("keep", (0, 1, 7, 8, 60, 4000, 4400, 100_000, -1))
def test_cut_short(good: Path, tmp_path: Path, keep: int) -> None:
    path = tmp_path / "cut.bundle"
    path.write_bytes(good.read_bytes()[:keep])
    assert ("empty" if keep == 0 else "damaged") in refused(path)


def test_longer_than_it_was(good: Path, tmp_path: Path) -> None:
    path = tmp_path / "long.bundle"
    path.write_bytes(good.read_bytes() + b"\0")
    assert "damaged" in refused(path)


def test_one_byte_flipped_anywhere(good: Path, tmp_path: Path) -> None:
    """All of the first line and the length before it, and random places behind."""
    data = good.read_bytes()
    path = tmp_path / "flipped.bundle"
    dice = random.Random(11)
    places = [*range(100), *(dice.randrange(100, 4300) for _ in range(100)), *(dice.randrange(4300, len(data)) for _ in range(60)), len(data) - 1]
    for at in places:
        changed = bytearray(data)
        changed[at] ^= 1 << dice.randrange(8)
        path.write_bytes(changed)
        try:
            assert refused(path)
        except BaseException as error:
            raise AssertionError(f"byte {at}") from error


def test_another_kind_and_a_newer_format(good: Path, tmp_path: Path) -> None:
    assert "is a bundle of images (`invoke images.load` takes it), not a backup" in refused(good, "backup")
    path = tmp_path / "newer.bundle"
    path.write_bytes(good.read_bytes().replace(b"silverlining bundle 1 ", b"silverlining bundle 2 ", 1))
    assert "version 2 of the format" in refused(path)


@pytest.mark.parametrize("text", (b"hello", b"\x28\xb5\x2f\xfd\x04\x00\x01\x00\x00", b"P" * 5000))
def test_something_else(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(text)
    assert "was not written by Silverlining" in refused(path)


def test_what_can_not_be_read(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "nothing")
    assert "directory" in refused(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert "is no file" in refused(tmp_path / "pipe")


def test_modes(tmp_path: Path, good: Path) -> None:
    assert stat.S_IMODE(good.stat().st_mode) == 0o644
    assert stat.S_IMODE(write(tmp_path / "b", "backup", 0o600).stat().st_mode) == 0o600


def test_an_old_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.bundle"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), Writer(path, "bundle", FACTS, 0o644) as writer:
        writer.write(PAYLOAD)
        raise KeyboardInterrupt
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["a.bundle"]
    write(path)
    assert read(path) == PAYLOAD and os.listdir(tmp_path) == ["a.bundle"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere" / "real")
    write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and read(tmp_path / "elsewhere" / "real") == PAYLOAD


def full(handle: int, mode: str) -> object:
    """A disk with room for 100 kB."""

    class Disk:
        left = 100_000

        def write(self, data: bytes) -> None:
            self.left -= len(data)
            if self.left < 0:
                raise OSError(errno.ENOSPC, "No space left on device")

        def close(self) -> None:
            os.close(handle)

    return Disk()


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed.os, "fdopen", full)
    with pytest.raises(FileRefused, match=r"a\.bundle can't be written: No space left on device, after .*B; what was written is removed"):
        write(tmp_path / "a.bundle")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("make", "words"),
    (
        (lambda top: top, "no file that could be replaced"),
        (lambda top: top / "no" / "x", "there is no folder"),
        (lambda top: Path("/proc/x.bundle"), "can't be written"),
        (lambda top: Path("/dev/null"), "no file that could be replaced"),
    ),
)
def test_where_nothing_can_be_written(tmp_path: Path, make: Callable[[Path], Path], words: str) -> None:
    with pytest.raises(FileRefused, match=words):
        write(make(tmp_path))
