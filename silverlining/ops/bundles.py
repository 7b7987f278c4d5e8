"""The images of the host: which are there, and all of them into a file and out of it, for a host without a network."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ..host.bundle import Bundle, Entry, load, open_bundle, refuse_foreign, save
from ..host.climb import BUNDLE, STREAMED
from ..host.sealed import refuse_target
from ..model.amounts import age, pace, size
from ..model.errors import FileRefused
from ..model.images import IMAGES
from ..model.text import _, _n
from .converge import fetch_images
from .desk import Desk


def list_images(desk: Desk) -> dict[str, Any]:
    """Says which images of the course are on the host, where they came from, and how the others would be got."""
    now, rows, entries = time.time(), [], []
    listed = desk.host.client.images()
    by_tag = {tag: entry for entry in listed for tag in entry.get("RepoTags") or []}
    planned = desk.store.plan_for(IMAGES, listed)
    streamable = desk.store.streamable(IMAGES, {name for name in IMAGES if planned[name].rung == "present"})
    for name in IMAGES:
        one = planned[name]
        there = by_tag.get(one.reference) if one.rung == "present" else None
        rungs = ([BUNDLE] if desk.settings.images.bundle else []) + ([STREAMED] if name in streamable else []) + desk.store.rungs(name)
        digest = next((text.partition("@")[2] for text in (there or {}).get("RepoDigests") or [] if "@sha256" in text), (there or {}).get("Id", ""))
        seconds = now - there["Created"] if there else 0
        entries.append(
            {
                "name": name,
                "present": bool(there),
                "rung": one.source if there else "",
                "rungs": rungs,
                "reference": one.reference,
                "fingerprint": one.fingerprint,
                "digest": digest,
                "size": there["Size"] if there else 0,
                "created": there["Created"] if there else 0,
            }
        )
        if there:
            rows.append((name, one.source, digest.removeprefix("sha256:")[:12], size(there["Size"]), age(seconds)))
        else:
            rows.append((name, _("to get: {rungs}").format(rungs=", ".join(rungs)), "", "", ""))
    desk.voice.title(_("Images"))
    desk.voice.table((_("image"), _("rung"), _("digest"), _("size"), _("age")), rows)
    missing = sum(not entry["present"] for entry in entries)
    if missing:
        desk.voice.note(
            _n("{count} image is fetched or built when a step needs it", "{count} images are fetched or built when a step needs them", missing)
        )
    return {"images": entries}


def save_images(desk: Desk, file: str) -> None:
    """Gets all images of the course and writes them into one file. Raises SilverliningError; then no file is left behind."""
    path = Path(file).expanduser()
    refuse_target(path)
    confirm_overwrite(desk, path)
    if desk.dry:
        _say_missing(desk)
        desk.voice.note(_("{count} images would be written to {path}").format(count=len(IMAGES), path=path))
        return
    refs = fetch_images(desk, tuple(IMAGES))
    planned = desk.store.plan_for(IMAGES)
    by_tag = {tag: entry for entry in desk.host.client.images() for tag in entry.get("RepoTags") or []}
    entries = []
    for name, ref in refs.items():
        there = by_tag[ref.reference]
        entries.append(Entry(name, ref.reference, ref.fingerprint, there["Id"], there["Size"], planned[name].source))
    desk.voice.title(_("Bundle"))
    began = time.monotonic()
    title = _("writing {name}").format(name=path.name)
    with desk.voice.progress(slow=True) as board:

        def report(read: int, written: int) -> None:
            words = _("{size} from the engine, {written} written").format(size=pace(read, 0, time.monotonic() - began), written=size(written))
            board.amount(title, words)

        bundle = save(desk.host.client, path, entries, report)
        board.done(title, pace(bundle.sealed.facts["unpacked"], 0, time.monotonic() - began))
    desk.voice.ok(
        _("{count} images, {unpacked}, in {path}: {size}").format(
            count=len(entries), unpacked=size(bundle.sealed.facts["unpacked"]), path=path, size=size(path.stat().st_size)
        )
    )
    desk.voice.note(
        _("on the other host: `invoke images.load {name}`, or the setting images.bundle; by hand: zstd -dc {name} | docker load").format(
            name=path.name
        )
    )


def _say_missing(desk: Desk) -> None:
    planned = desk.store.plan_for(IMAGES)
    for name in IMAGES:
        if planned[name].rung != "present":
            desk.voice.note(_("image {name} would be fetched or built first").format(name=name))


def load_images(desk: Desk, file: str) -> None:
    """Loads a bundle. Checks all of it first: what is damaged, foreign or of another version is refused before anything is loaded."""
    bundle = open_bundle(Path(file).expanduser())
    client, store = desk.host.client, desk.store
    refuse_foreign(bundle, str(client.version()["Arch"]))
    fitting = store.matches(bundle.entries)
    _say_contents(desk, bundle, fitting)
    if not fitting:
        raise FileRefused(
            _("none of the images in {path} fits this checkout: it was made by another version of the project, or with other settings").format(
                path=bundle.path
            ),
            _("make it anew with this version: `invoke images.save FILE` on a host that has a network"),
        )
    tags = {tag for entry in client.images() for tag in entry.get("RepoTags") or []}
    here = tags.issuperset(fitting.values())
    if here or desk.dry:
        _check(desk, bundle)
        words = _("nothing to do: what fits this checkout is here already") if here else _("{count} images would be loaded")
        desk.voice.note(words.format(count=len(bundle.entries)))
        return
    _load(desk, bundle, fitting)
    desk.voice.ok(_("{count} images are here: `invoke images` lists them").format(count=len(fitting)))


def _say_contents(desk: Desk, bundle: Bundle, fitting: dict[str, str]) -> None:
    voice = desk.voice
    voice.title(
        _("Bundle of {made}: {count} images for {architecture}").format(made=bundle.made, count=len(bundle.entries), architecture=bundle.architecture)
    )
    other = [entry.name for entry in bundle.entries if entry.reference not in fitting]
    here = {entry.name for entry in bundle.entries}
    absent = [name for name in IMAGES if name not in here]
    if other and fitting:
        words = _("of another version of the project, or made with other settings: {names}. A step that needs one builds it anew")
        voice.note(words.format(names=", ".join(other)))
    if absent and fitting:
        voice.note(_("not in it: {names}").format(names=", ".join(absent)))


def _check(desk: Desk, bundle: Bundle) -> None:
    """Checks the whole file, and shows how far that is."""
    began, title, total = time.monotonic(), _("checking {name}").format(name=bundle.path.name), bundle.sealed.size
    with desk.voice.progress(slow=True) as board:
        bundle.sealed.check(lambda done: board.amount(title, pace(done, total, time.monotonic() - began)))
        board.done(title, pace(total, 0, time.monotonic() - began))


def _load(desk: Desk, bundle: Bundle, fitting: dict[str, str]) -> None:
    checking, loading = (text.format(name=bundle.path.name) for text in (_("checking {name}"), _("loading {name}")))
    total = bundle.sealed.size
    times: dict[str, float] = {}
    with desk.voice.progress(slow=True) as board:

        def show(title: str, done: int, all_of_it: int) -> None:
            began = times.setdefault(title, time.monotonic())
            if done < all_of_it:
                board.amount(title, pace(done, all_of_it, time.monotonic() - began))
            elif title == loading:
                board.update(title, _("the engine unpacks it"))
            else:
                board.done(title, pace(total, 0, time.monotonic() - began))

        load(desk.host.client, bundle, fitting, lambda *so_far: show(loading, *so_far), lambda *so_far: show(checking, *so_far))
        board.done(loading, pace(total, 0, time.monotonic() - times.get(loading, time.monotonic())))


def confirm_overwrite(desk: Desk, path: Path) -> None:
    """Asks before a file is replaced. Raises SilverliningError where nobody can be asked, or who is asked says no."""
    if not desk.dry and path.exists():
        desk.confirm(_("{path} is there already").format(path=path), _("Replace it?"), _("add --yes to replace it, or name another file"))
