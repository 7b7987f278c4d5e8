"""The tar of `docker save`, rewritten on its way: without the layers that whoever loads it has already."""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import IO, Any, cast

CHUNK = 1 << 18
SMALL = 1 << 22  # no configuration of an image is larger
END = b"\0" * 2 * tarfile.BLOCKSIZE
# Engines up to 24 write a folder for each layer, 25 and later (and containerd's store) a blob.
_OLD = re.compile(r"([0-9a-f]{64})/(json|layer\.tar)")
_BLOB = re.compile(r"blobs/sha256/([0-9a-f]{64})")


def chain_ids(diff_ids: Iterable[str]) -> list[str]:
    """The chain ID of each layer of an image, base first: an engine knows a layer by it and by what lies below (OCI image spec, "Layer ChainID")."""
    found: list[str] = []
    for diff_id in diff_ids:
        found.append(_digest(f"{found[-1]} {diff_id}".encode()) if found else diff_id)
    return found


def leave_out(
    pieces: Iterable[bytes], chains: Mapping[str, str], unneeded: Collection[str], blobs: Mapping[str, str] | None = None
) -> Iterator[bytes]:
    """The tar in `pieces` without the files of layers whose diff IDs are `unneeded`; what it can't place stays in.

    `chains` maps the chain ID of each layer of its images to its diff ID, `blobs` the blobs of `blob_layers` to theirs.
    Raises tarfile.TarError for what is no tar, or ends too early.
    """
    config: tuple[str, bytes] = ("", b"")
    source: Any = _Pieces(pieces)
    with tarfile.open(fileobj=source, mode="r|", bufsize=CHUNK) as tar:
        for member in tar:
            old, blob = _OLD.fullmatch(member.name), _BLOB.fullmatch(member.name)
            diff_id = ""
            if old and old[2] == "layer.tar" and config[0] == old[1]:
                diff_id = _diff_id(*config, chains)
            elif blob:
                # An engine without containerd's store writes a layer as it is: its digest is its diff ID.
                diff_id = (blobs or {}).get(blob[1], f"sha256:{blob[1]}")
            # A link to another image's file of the same layer costs nothing, and stays.
            if diff_id in unneeded and member.isreg():
                continue
            yield member.tobuf(tarfile.PAX_FORMAT)
            if not member.isreg():
                continue
            content = _content(tar, member)
            if old and old[2] == "json" and member.size < SMALL:
                data = b"".join(content)
                config = (old[1], data)
                content = iter([data])
            yield from content
            if rest := member.size % tarfile.BLOCKSIZE:
                yield b"\0" * (tarfile.BLOCKSIZE - rest)
    source.finish()
    yield END


def blob_layers(pieces: Iterable[bytes]) -> dict[str, str]:
    """The layers in a tar that has blobs: digest (in hex) → diff ID, which differ where the layers are packed. Reads it to its end.

    Raises tarfile.TarError.
    """
    configs: dict[str, bytes] = {}
    manifest: list[Any] = []
    source: Any = _Pieces(pieces)
    with tarfile.open(fileobj=source, mode="r|", bufsize=CHUNK) as tar:
        for member in tar:
            if not member.isreg() or member.size >= SMALL:
                continue
            data = b"".join(_content(tar, member))
            if member.name == "manifest.json":
                manifest = json.loads(data)
            elif data.startswith(b"{"):
                configs[member.name] = data
    source.finish()
    found = {}
    for image in manifest:
        diff_ids = json.loads(configs.get(image["Config"], b"{}")).get("rootfs", {}).get("diff_ids", [])
        found.update({path.rpartition("/")[2]: diff_id for path, diff_id in zip(image["Layers"], diff_ids, strict=False)})
    return found


def _diff_id(folder: str, config: bytes, chains: Mapping[str, str]) -> str:
    """The diff ID of the layer in an old folder, "" if it is none of `chains`.

    A folder's name is the hash of its configuration with the layer's chain ID (moby: image/v1/imagev1.go, CreateID), so each can be tried.
    """
    fields = json.loads(config)
    fields.pop("id", None)
    if "parent" in fields:
        fields["parent"] = f"sha256:{fields['parent']}"
    # That of a layer below the top is named before its system is added.
    for less in ((), ("os",)):
        plain = {key: value for key, value in fields.items() if key not in less}
        for chain, diff_id in chains.items():
            if _digest(_go_json({**plain, "layer_id": chain})) == f"sha256:{folder}":
                return diff_id
    return ""


def _go_json(fields: Mapping[str, Any]) -> bytes:
    # As Go's encoder writes a map of values that it has kept as they were: sorted on top only, and with these characters escaped.
    text = json.dumps(dict(sorted(fields.items())), separators=(",", ":"), ensure_ascii=False)
    return re.sub("[<>&\u2028\u2029]", lambda found: f"\\u{ord(found[0]):04x}", text).encode()


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[bytes]:
    file = cast("IO[bytes]", tar.extractfile(member))
    left = member.size
    while left:
        data = file.read(min(CHUNK, left))
        if not data:
            raise tarfile.ReadError("unexpected end of data")
        left -= len(data)
        yield data


class _Pieces:
    """What tarfile needs of a file to read a stream: it takes pieces of any size, and an empty one for the end."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._last = b""

    def read(self, size: int) -> bytes:
        """The next piece."""
        piece = next(self._pieces, b"")
        self._last = (self._last + piece[-len(END) :])[-len(END) :]
        return piece

    def finish(self) -> None:
        """Reads to the end. Raises tarfile.ReadError where that isn't the end of a tar: tarfile itself is content with less."""
        while self.read(CHUNK):
            pass
        if self._last != END:
            raise tarfile.ReadError("unexpected end of data")
