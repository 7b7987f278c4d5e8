"""A sealed file: first what it is and what it holds, then its payload in zstd; all of it is checked before any of it is used.

The beginning is a frame that every zstd skips, so `zstd -dc FILE` gives the payload where this tool isn't at hand. In that frame stand
one line, `silverlining KIND VERSION SHA256`, and a manifest in JSON; the hash is that of the line before it and of the manifest, which
has size and hash of the rest.
The hashes find damage. They don't prove who made a file: whoever can change it can change them too.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import stat
import struct
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from ..model.amounts import size
from ..model.errors import FileRefused
from ..model.text import _

VERSION = 1
SKIPPABLE = 0x184D2A53  # one of the magic numbers of RFC 8878, 3.1.2
HEAD = struct.Struct("<II")
LARGEST_HEAD = 1 << 20
SPARE = 4096  # room for what the manifest learns while the payload is written
CHUNK = 1 << 20
# The course's images, 708 MB: 219 MB after 4.2 s of CPU. Level 9: 196 MB, 16 s. Level 3 that looks back 128 MB, so that a layer which two images
# have alike is stored once: 196 MB, 5.0 s. Unpacking it takes as much memory, and is what `zstd -dc` allows without a flag.
LEVEL, WINDOW = 3, 27
LINE = re.compile(rb"silverlining ([a-z]+) (\d{1,4}) ([0-9a-f]{64})\n")
KINDS = {"bundle": _("a bundle of images (`invoke images.load` takes it)"), "backup": _("a backup (`invoke restore` takes it)")}


class Writer:
    """Writes a sealed file. Nothing stands under its name before `seal`, and nothing of it stays without: a context manager."""

    def __init__(self, path: Path, kind: str, facts: Mapping[str, Any], mode: int, *, large: bool = False) -> None:
        """`facts` is the manifest as far as it is known, `mode` the new file's permissions; `large` is for payloads that repeat themselves.

        Raises FileRefused where nothing can be written.
        """
        self.path, self.kind, self.mode = Path(os.path.realpath(path)), kind, mode
        self.size = self.unpacked = 0
        self._large = large
        self._hash = hashlib.sha256()
        self._room = LINE_SIZE + len(kind) + len(_json(facts)) + SPARE
        refuse_target(self.path)
        self._temporary = ""

    def __enter__(self) -> Writer:
        from backports import zstd

        parameter = zstd.CompressionParameter
        workers = min(4, os.cpu_count() or 1)
        options: dict[int, int] = {parameter.compression_level: LEVEL, parameter.checksum_flag: 1, parameter.nb_workers: workers}
        if self._large:
            options |= {parameter.enable_long_distance_matching: 1, parameter.window_log: WINDOW}
        self._packer = zstd.ZstdCompressor(options=options)
        try:
            handle, self._temporary = tempfile.mkstemp(prefix=f".{self.path.name}.", suffix=".part", dir=self.path.parent)
            self._file: IO[bytes] = os.fdopen(handle, "wb")
            self._file.write(HEAD.pack(SKIPPABLE, self._room) + b" " * self._room)
        except OSError as error:
            self._drop()
            raise self._refused(error) from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._drop()

    def write(self, data: bytes) -> None:
        """Takes the next bytes of the payload. Raises FileRefused where the disk is full or gone."""
        self.unpacked += len(data)
        self._put(self._packer.compress(data))

    def seal(self, facts: Mapping[str, Any]) -> None:
        """Ends the payload, writes the manifest in front, and gives the file its name."""
        self._put(self._packer.flush())
        text = _json({**facts, "unpacked": self.unpacked, "payload": {"size": self.size, "sha256": self._hash.hexdigest()}})
        line = f"silverlining {self.kind} {VERSION} ".encode()
        text = text.ljust(self._room - len(line) - 65)
        line += hashlib.sha256(line + text).hexdigest().encode() + b"\n"
        if len(line) + len(text) != self._room:
            raise RuntimeError("the manifest has outgrown its room")
        try:
            self._file.seek(HEAD.size)
            self._file.write(line + text)
            self._file.flush()
            with suppress(OSError):  # a file system without permissions
                os.fchmod(self._file.fileno(), self.mode)
            os.fsync(self._file.fileno())
            self._file.close()
            os.replace(self._temporary, self.path)
        except OSError as error:
            raise self._refused(error) from None
        self._temporary = ""
        with suppress(OSError):  # not every file system can
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def _put(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except OSError as error:
            raise self._refused(error) from None
        self._hash.update(data)
        self.size += len(data)

    def _drop(self) -> None:
        if self._temporary:
            with suppress(OSError, AttributeError):  # what is still buffered doesn't fit either
                self._file.close()
            with suppress(OSError):
                os.unlink(self._temporary)
            self._temporary = ""

    def _refused(self, error: OSError) -> FileRefused:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return FileRefused(
                _("{path} can't be written: {why}, after {size}; what was written is removed again").format(
                    path=self.path, why=error.strerror, size=size(self.size)
                ),
                _("make room there, or name a file on another disk"),
            )
        return unwritable(self.path, error)


LINE_SIZE = len("silverlining  0000 ") + 64 + 1


def unwritable(path: Path, error: OSError) -> FileRefused:
    """The error for a place where nothing can be written."""
    return FileRefused(_("{path} can't be written: {why}").format(path=path, why=error.strerror or error), _("name a file in a folder of yours"))


def refuse_target(path: Path) -> None:
    """Raises FileRefused where `path` can't become a file of ours: before any work."""
    if path.exists() and not path.is_file():
        raise FileRefused(_("{path} is no file that could be replaced").format(path=path), _("name a file"))
    if not path.parent.is_dir():
        raise FileRefused(_("{path} can't be written: there is no folder {folder}").format(path=path, folder=path.parent), _("make it first"))
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise unwritable(path, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))


def _json(facts: Mapping[str, Any]) -> bytes:
    return json.dumps(facts, indent=1).encode()


@dataclass(frozen=True)
class Sealed:
    """A sealed file whose beginning is sound: kind, manifest and sizes. `check` says whether all the rest is too."""

    path: Path
    kind: str
    facts: Mapping[str, Any]
    start: int

    @property
    def size(self) -> int:
        """Bytes of the payload as it is in the file."""
        return int(self.facts["payload"]["size"])

    def check(self, report: Callable[[int], None] = lambda done: None) -> None:
        """Reads the whole payload and compares its hash. `report` gets the bytes read. Raises FileRefused."""
        digest, done = hashlib.sha256(), 0
        with _opened(self.path) as file:
            file.seek(self.start)
            while data := _read(self.path, file, CHUNK):
                digest.update(data)
                done += len(data)
                report(done)
        if done != self.size or digest.hexdigest() != self.facts["payload"]["sha256"]:
            raise damaged(self.path, _("its content was changed after it was written"))

    def payload(self, report: Callable[[int], None] = lambda done: None) -> Iterator[bytes]:
        """The payload, unpacked, in pieces of at most a megabyte. `report` gets the bytes of the file that were read."""
        from backports import zstd

        unpacker, done = zstd.ZstdDecompressor(), 0
        with _opened(self.path) as file:
            file.seek(self.start)
            while not unpacker.eof:
                data = b""
                if unpacker.needs_input:
                    data = _read(self.path, file, CHUNK)
                    if not data:
                        raise damaged(self.path, _("its content ends too early"))
                    done += len(data)
                    report(done)
                try:
                    out = unpacker.decompress(data, CHUNK)
                except zstd.ZstdError as error:
                    raise damaged(self.path, str(error)) from None
                if out:
                    yield out


def open_sealed(path: Path, kind: str) -> Sealed:
    """Reads the beginning of a sealed file. Raises FileRefused where it isn't one, of another kind, newer, cut short or damaged."""
    path = Path(path)
    with _opened(path) as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise FileRefused(_("{path} is no file").format(path=path), _("name a file that was written by `invoke images.save` or `invoke backup`"))
        if not about.st_size:
            raise damaged(path, _("it is empty"))
        magic, length = HEAD.unpack(_read(path, file, HEAD.size).ljust(HEAD.size, b"\0"))
        head = _read(path, file, min(length, LARGEST_HEAD)) if magic == SKIPPABLE else b""
    line = LINE.match(head)
    if not line:
        raise FileRefused(
            _("{path} was not written by Silverlining, or its beginning is damaged").format(path=path),
            _("name a file that was written by `invoke images.save` or `invoke backup`, or make a new one"),
        )
    found, version, digest = line[1].decode(), int(line[2]), line[3].decode()
    text = head[line.end() :]
    if version > VERSION:
        raise FileRefused(
            _("{path} has version {version} of the format, and this Silverlining reads up to {known}").format(
                path=path, version=version, known=VERSION
            ),
            _("use the Silverlining that wrote it, or a newer one"),
        )
    if hashlib.sha256(line[0][:-65] + text).hexdigest() != digest:
        raise damaged(path, _("its beginning was changed or cut short"))
    if found != kind:
        raise FileRefused(
            _("{path} is {found}, not {wanted}").format(path=path, found=KINDS.get(found, found), wanted=KINDS[kind]), _("name another file")
        )
    sealed = Sealed(path, found, json.loads(text), HEAD.size + length)
    if about.st_size != sealed.start + sealed.size:
        words = _("it has {there} bytes of {wanted}").format(there=about.st_size, wanted=sealed.start + sealed.size)
        raise damaged(path, words)
    return sealed


def damaged(path: Path, why: str) -> FileRefused:
    """The error for a file that can't be trusted."""
    return FileRefused(_("{path} is damaged: {why}").format(path=path, why=why), _("copy it again, or make a new one"))


def _opened(path: Path) -> IO[bytes]:
    try:
        # Not to wait for the other end of a pipe that somebody named.
        return os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb")
    except OSError as error:
        raise _unreadable(path, error) from None


def _read(path: Path, file: IO[bytes], amount: int) -> bytes:
    try:
        return file.read(amount) or b""
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> FileRefused:
    return FileRefused(
        _("{path} can't be read: {why}").format(path=path, why=error.strerror or error), _("name a file that is there and yours to read")
    )
