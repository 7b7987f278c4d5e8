"""The tar of `docker save` without some layers, in both of its layouts: what stays is what was, and what can't be placed stays."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from silverlining.host.imagetar import blob_layers, chain_ids, leave_out
from silverlining.host.stream import unneeded_layers


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def go(fields: dict[str, Any]) -> bytes:
    """As Go writes it: these fields hold nothing that it escapes."""
    return json.dumps(fields, separators=(",", ":")).encode()


LAYERS = {letter: f"layer {letter} ".encode() * 700 for letter in "abcd"}
IDS = {letter: f"sha256:{digest(data)}" for letter, data in LAYERS.items()}


def image(layers: str) -> tuple[str, bytes]:
    """Digest and text of a configuration."""
    text = json.dumps({"os": "linux", "config": {"Cmd": ["x"]}, "rootfs": {"type": "layers", "diff_ids": [IDS[one] for one in layers]}}).encode()
    return digest(text), text


def chains(*images: str) -> dict[str, str]:
    """Chain ID → diff ID of images that are given by their layers' letters."""
    return {chain: IDS[letter] for layers in images for chain, letter in zip(chain_ids(IDS[one] for one in layers), layers, strict=True)}


def old_layout(*images: str) -> bytes:
    """As engines up to 24: a folder for each layer, named by moby's CreateID; a layer that comes again is a link to the first."""
    files: dict[str, bytes | str] = {}
    first: dict[str, str] = {}
    manifest = []
    for number, layers in enumerate(images):
        parent, paths = "", []
        for chain, letter in zip(chain_ids(IDS[one] for one in layers), layers, strict=True):
            top = len(paths) == len(layers) - 1
            # The top one has its image's own configuration, those below a date only.
            fields: dict[str, Any] = {"created": "1970-01-01T00:00:00Z", "container_config": {"Hostname": "", "Cmd": None}}
            if top:
                fields = {
                    "created": f"2026-0{number + 1}-01T00:00:00Z",
                    "config": {"Cmd": ["a < b & c", "ä"]},
                    "architecture": "amd64",
                    "os": "linux",
                }
            named = {**fields, "layer_id": chain, **({"parent": f"sha256:{parent}"} if parent else {})}
            text = json.dumps(dict(sorted(named.items())), separators=(",", ":"), ensure_ascii=False)
            folder = digest(text.replace("<", "\\u003c").replace("&", "\\u0026").encode())
            paths.append(f"{folder}/layer.tar")
            files[f"{folder}/VERSION"] = b"1.0"
            files[f"{folder}/json"] = go({"id": folder, **({"parent": parent} if parent else {}), **fields, "os": "linux"})
            files.setdefault(f"{folder}/layer.tar", f"../{first[letter]}/layer.tar" if first.get(letter, folder) != folder else LAYERS[letter])
            first.setdefault(letter, folder)
            parent = folder
        name, text_ = image(layers)
        files[f"{name}.json"] = text_
        manifest.append({"Config": f"{name}.json", "RepoTags": [f"image:{number}"], "Layers": paths})
    return tar({**files, "manifest.json": json.dumps(manifest).encode()})


def new_layout(*images: str, packed: bool = False) -> bytes:
    """As engine 25 and later: blobs; `packed` as containerd's store has those of a registry."""
    files: dict[str, bytes | str] = {"oci-layout": b"{}", "index.json": b"{}"}
    manifest = []
    for number, layers in enumerate(images):
        blobs = [gzip.compress(LAYERS[one], mtime=0) if packed else LAYERS[one] for one in layers]
        name, text = image(layers)
        paths = [f"blobs/sha256/{digest(blob)}" for blob in blobs]
        files |= {**dict(zip(paths, blobs, strict=True)), f"blobs/sha256/{name}": text}
        manifest.append({"Config": f"blobs/sha256/{name}", "RepoTags": [f"image:{number}"], "Layers": paths})
    return tar({**files, "manifest.json": json.dumps(manifest).encode()})


def tar(files: dict[str, bytes | str]) -> bytes:
    """In the order of an engine: by name, each folder before what is in it. A text is where a link leads."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as made:
        for folder in sorted({path.rpartition("/")[0] for path in files} - {""}):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            made.addfile(entry)
            for path in sorted(path for path in files if path.rpartition("/")[0] == folder):
                add(made, path, files[path])
        for path in sorted(path for path in files if "/" not in path):
            add(made, path, files[path])
    return out.getvalue()


def add(made: tarfile.TarFile, path: str, data: bytes | str) -> None:
    entry = tarfile.TarInfo(path)
    entry.mtime = 1_700_000_000
    if isinstance(data, str):
        entry.type, entry.linkname = tarfile.SYMTYPE, data
        made.addfile(entry)
    else:
        entry.size = len(data)
        made.addfile(entry, io.BytesIO(data))


def pieces(data: bytes, size: int = 1000) -> Iterator[bytes]:
    yield from (data[at : at + size] for at in range(0, len(data), size))


def load(data: bytes, known: Iterable[str]) -> dict[str, list[str]]:
    """What moby's loader does: image → the letters of the layers whose files it opened. A chain that is `known` it doesn't open."""
    have = set(known)
    opened: dict[str, list[str]] = {}
    letters = {one: letter for letter, one in IDS.items()}
    with tarfile.open(fileobj=io.BytesIO(data)) as made:
        manifest = json.load(made.extractfile("manifest.json"))  # type: ignore[arg-type]
        for item in manifest:
            config = json.load(made.extractfile(item["Config"]))  # type: ignore[arg-type]
            diff_ids = config["rootfs"]["diff_ids"]
            for chain, diff_id, path in zip(chain_ids(diff_ids), diff_ids, item["Layers"], strict=True):
                if chain not in have:
                    content = made.extractfile(path).read()  # type: ignore[union-attr]
                    content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
                    assert f"sha256:{digest(content)}" == diff_id
                    opened.setdefault(item["RepoTags"][0], []).append(letters[diff_id])
                    have.add(chain)
    return opened


def without(data: bytes, images: tuple[str, ...], there: tuple[str, ...], blobs: dict[str, str] | None = None) -> bytes:
    """The tar of `images` for an engine that has the images `there`."""
    every = chains(*images)
    return b"".join(leave_out(pieces(data), every, unneeded_layers(every, chains(*there)), blobs))


def test_the_chain_id_of_known_layers() -> None:
    """The example of the OCI image specification: hash of the chain below, a blank, and the diff ID."""
    first, second, third = (f"sha256:{letter * 64}" for letter in "123")
    below = f"sha256:{digest(f'{first} {second}'.encode())}"
    assert chain_ids([first, second, third]) == [first, below, f"sha256:{digest(f'{below} {third}'.encode())}"]
    assert chain_ids([]) == []


# An image of ours on engine 20.10: its layers, what the engine calls their chains (the folders of its layerdb), and a folder of its `docker save`.
KNOWN = {
    "sha256:a223593fb6dac3c6a38721e13f57b428d9579a70885c9b3248814aff13e2175c": (
        "sha256:a223593fb6dac3c6a38721e13f57b428d9579a70885c9b3248814aff13e2175c"
    ),
    "sha256:8c06986638414e977ad43cb87e51d8585b17ff7525c2a8010a490a09dae884ff": (
        "sha256:9e9fc9ca92277e5f378fd3f2ca137255ff6a7a9e35bfaff20a9b09d3658402fa"
    ),
    "sha256:14da3f092a9a52dcd3c06b136866fa72f1e0848873512fbd953f8917b948fbd8": (
        "sha256:1754b7717bb1699cfc0dfa44a1dc0b894e92b953021e21fec18c669243daf81d"
    ),
}
FOLDER = "eccfce7b5ac41bca1a5c9b28d467100a0b872a7a1c7dafbc78758dede20162ee"
FOLDER_JSON = (
    b'{"id":"eccfce7b5ac41bca1a5c9b28d467100a0b872a7a1c7dafbc78758dede20162ee","parent":"64c7fec82728537ba287840e87ecc77bc95890fb039dd7bbdc63'
    b'4a6e9a6c9463","created":"1970-01-01T00:00:00Z","container_config":{"Hostname":"","Domainname":"","User":"","AttachStdin":false,"Attach'
    b'Stdout":false,"AttachStderr":false,"Tty":false,"OpenStdin":false,"StdinOnce":false,"Env":null,"Cmd":null,"Image":"","Volumes":null,"Wo'
    b'rkingDir":"","Entrypoint":null,"OnBuild":null,"Labels":null},"os":"linux"}'
)


def test_an_image_as_an_engine_has_it() -> None:
    """Chain IDs as in its layerdb, and the layer of a folder: of the second one, which lies on the first."""
    assert chain_ids(KNOWN) == list(KNOWN.values())
    first, second, third = KNOWN
    data = tar({f"{FOLDER}/VERSION": b"1.0", f"{FOLDER}/json": FOLDER_JSON, f"{FOLDER}/layer.tar": b"x" * 100})
    every = {chain: diff_id for diff_id, chain in KNOWN.items()}
    for unneeded, stays in (({second}, False), ({first, third}, True)):
        with tarfile.open(fileobj=io.BytesIO(b"".join(leave_out(pieces(data), every, unneeded)))) as made:
            assert (f"{FOLDER}/layer.tar" in made.getnames()) == stays


@pytest.mark.parametrize("layout", (old_layout, new_layout))
@pytest.mark.parametrize(
    ("images", "there", "sent"),
    (
        (("ab", "abc"), (), {"image:0": ["a", "b"], "image:1": ["c"]}),
        (("abc",), ("ab",), {"image:0": ["c"]}),
        (("abc", "abd"), ("a",), {"image:0": ["b", "c"], "image:1": ["d"]}),
        # The same image again, under another name perhaps.
        (("abc",), ("abc",), {}),
        # A layer twice in an image: the target has it below only.
        (("aba",), ("ab",), {"image:0": ["a"]}),
        # A layer on another base is another one, also where `docker save` makes it a link to the first.
        (("abd", "cbd"), ("abd",), {"image:1": ["c", "b", "d"]}),
        # An image that is the base of another one: the one has the file, the other a link to it.
        (("a", "abc"), ("ad",), {"image:1": ["b", "c"]}),
    ),
)
def test_what_the_loader_opens_is_there_and_nothing_else(layout: Any, images: tuple[str, ...], there: tuple[str, ...], sent: dict[str, str]) -> None:
    data = layout(*images)
    rewritten = without(data, images, there)
    assert load(rewritten, chains(*there)) == sent
    opened = {letter for letters in sent.values() for letter in letters}
    assert {letter for letter, content in LAYERS.items() if content in rewritten} == opened


@pytest.mark.parametrize("layout", (old_layout, new_layout))
def test_nothing_left_out_is_the_same_tar(layout: Any) -> None:
    """Names, contents, links, modes and times; in any pieces."""

    def members(data: bytes) -> list[tuple[Any, ...]]:
        with tarfile.open(fileobj=io.BytesIO(data)) as made:
            return [(m.name, m.type, m.linkname, m.mode, m.mtime, m.isreg() and made.extractfile(m).read()) for m in made]  # type: ignore[union-attr]

    data = layout("abc", "abd")
    for size in (1, 512, 700, len(data)):
        assert members(b"".join(leave_out(pieces(data, size), chains("abc", "abd"), frozenset()))) == members(data)


def test_packed_blobs_are_known_by_the_first_reading() -> None:
    data = new_layout("abc", packed=True)
    blobs = blob_layers(pieces(data))
    assert sorted(blobs.values()) == sorted(IDS[letter] for letter in "abc")
    assert load(without(data, ("abc",), ("ab",), blobs), chains("ab")) == {"image:0": ["c"]}
    # Without that reading all of them stay.
    assert load(without(data, ("abc",), ("ab",)), ()) == {"image:0": ["a", "b", "c"]}


def test_a_layer_that_cannot_be_placed_stays() -> None:
    """Folders that are not named as expected: then more is sent than must be."""
    data = old_layout("ab")
    with tarfile.open(fileobj=io.BytesIO(data)) as made:
        names = [member.name for member in made if member.isdir()]
    files: dict[str, bytes | str] = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as made:
        for member in made:
            if member.isreg():
                content = made.extractfile(member).read()  # type: ignore[union-attr]
                for number, name in enumerate(names):
                    content = content.replace(name.encode(), str(number).encode() * 64)
                files[member.name.replace(names[0], "0" * 64).replace(names[1], "1" * 64)] = content
    strange = tar(files)
    assert load(without(strange, ("ab",), ("ab",)), ()) == {"image:0": ["a", "b"]}


@pytest.mark.parametrize("cut", (0.3, 0.9))
def test_a_tar_that_ends_too_early_is_an_error(cut: float) -> None:
    data = new_layout("abc")
    with pytest.raises(tarfile.TarError):
        list(leave_out(pieces(data[: int(len(data.rstrip(b"\0")) * cut)]), chains("abc"), frozenset()))
