"""Gets each image onto the host by the first rung that works: present, bundle, streamed from this machine, mirror, official reference, built."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..model.amounts import pace
from ..model.errors import SettingsError
from ..model.images import BUILT, BUILT_FOR_LABEL, FINGERPRINT_LABEL, IMAGE_LABEL, IMAGES, SOURCE_LABEL, Image, closure, mirrored, split_reference
from ..model.labels import STACK
from ..model.text import _, _n
from .build import BuildFailed
from .bundle import Entry, NotTaken, load, open_bundle
from .climb import BUNDLE, MIRROR, NAMED, OFFICIAL, PRESENT, STREAMED, Climb, Got, ImageUnavailable, Progress, Workshop
from .contexts import ContextError, Contexts, host_files
from .debian import Local, Runner
from .stream import Source, SourceFailed, stream

if TYPE_CHECKING:
    from docker import APIClient

    from ..model.settings import Settings

__all__ = ["PRESENT", "TO_GET", "BuildFailed", "ContextError", "ImageStore", "ImageUnavailable", "Planned", "Progress", "Resolved"]
TO_GET = "to get"
# Seconds after which no run is still at work for which an image was built: builds themselves take minutes.
LEFT_OVER = 3600


@dataclass(frozen=True)
class Resolved:
    """An image that is on the host. `rung` says how this run got it, `source` where it came from at first."""

    name: str
    reference: str
    id: str
    fingerprint: str
    rung: str
    source: str


@dataclass(frozen=True)
class Planned:
    """An image as a dry run sees it: PRESENT or TO_GET, under the reference that it has or is most likely to get.

    `source` says where one that is present came from at first.
    """

    name: str
    reference: str
    fingerprint: str
    rung: str
    source: str = ""


class ImageStore:
    """The images of one docker host. `report` is called from one thread at a time."""

    def __init__(
        self,
        api: APIClient,
        root: Path,
        settings: Settings,
        variables: Mapping[str, Any],
        report: Callable[[Progress], None] = lambda progress: None,
        runner: Runner | None = None,
        environ: Mapping[str, str] = os.environ,
        catalogue: Mapping[str, Image] = IMAGES,
        source: Source | None = None,
    ) -> None:
        """`source` is this machine's own engine where the docker host is another machine."""
        self._api = api
        self._source = source
        self._catalogue = catalogue
        self._stack = settings.stack
        self._mirror = settings.images.mirror
        self._references = settings.images.references
        self.bundle = root / Path(settings.images.bundle).expanduser() if settings.images.bundle else None
        self._report = report
        for name in self._references.keys() - catalogue.keys():
            near = get_close_matches(name, catalogue) or [known for known in catalogue if known.endswith(f"/{name}")] or list(catalogue)
            raise SettingsError(_("images.references: there is no image {name}").format(name=name), _("use {names}").format(names=", ".join(near)))
        self.contexts = Contexts(root, variables, settings.images, catalogue)
        if settings.build.ca_bundle:
            host_files(settings.build, environ)  # a path that is wrong is told at once, not at the next build
        self._workshop = Workshop(api, self.contexts, settings, runner or Local(), environ, report)
        self._listed: list[Any] | None = None

    def forget(self) -> None:
        """Lets the engine be asked again what it has: somebody else may have built or removed something meanwhile."""
        self._listed = None

    def listed(self) -> list[Any]:
        """All images of the engine as it listed them last, until `forget`."""
        # Docker 20.10 sums up sizes each time, which takes it some milliseconds an image.
        self._listed = self._listed or self._api.images()
        return self._listed

    def tag(self, name: str) -> str:
        """The reference of `name` when it is built by us."""
        return f"{self._catalogue[name].repository}:{self.contexts[name].fingerprint}"

    def plan_for(self, names: Iterable[str], listed: Iterable[Mapping[str, Any]] | None = None) -> dict[str, Planned]:
        """What `resolve` would find and what it would have to get, without changing anything.

        The engine's list is `listed`, or the one that was asked for last, until `forget`.
        """
        names = tuple(names)
        present = self._present(names, self.listed() if listed is None else listed)
        known = {**self.streamable(names, present), **{name: one.reference for name, one in present.items()}}
        plan = {}
        for name in closure(names, lambda name: name in known or bool(self.candidates(name)), self._catalogue):
            likely = known.get(name) or (self.candidates(name) or [(self.tag(name), BUILT)])[-1][0]
            source = present[name].source if name in present else ""
            plan[name] = Planned(name, likely, self.contexts[name].fingerprint, PRESENT if name in present else TO_GET, source)
        return plan

    def at_hand(self, name: str, listed: Iterable[Mapping[str, Any]] | None = None) -> str:
        """The reference of what is there of `name`: this checkout's, else an earlier build of ours; "" for none. For `listed` see `plan_for`."""
        listed = self.listed() if listed is None else listed
        if here := self._present((name,), listed).get(name):
            return here.reference
        return next((tag for entry in listed for tag in owned(entry) if split_reference(tag)[0] == self._catalogue[name].repository), "")

    def resolve(self, names: Iterable[str]) -> dict[str, Resolved]:
        """Gets `names`, side by side where they don't need each other. Raises ImageUnavailable, BuildFailed or ContextError.

        The answer has every image that was needed on the way too, so `names` first of all.
        """
        names = tuple(names)
        asked_before = self._listed is not None
        listed = self.listed()
        present = self._present(names, listed)
        if not present.keys() >= set(closure(names, present, self._catalogue)):
            self.forget()  # what fails on the way has changed something, too
            if asked_before:  # somebody else may have made it meanwhile
                listed = self._api.images()
                present = self._present(names, listed)
        for rung, load_some in ((BUNDLE, self._unbundle), (STREAMED, self._stream)):
            if load_some(names, present):
                listed = self._api.images()
                present = {name: present.get(name) or replace(one, rung=rung) for name, one in self._present(names, listed).items()}
        got = Climb(self._catalogue, present, self.candidates, self._workshop).run(names)
        if any(one.rung != PRESENT for one in got.values()):
            listed = self._api.images()
        self._listed = listed
        ids = {tag: entry["Id"] for entry in listed for tag in _tags(entry)}
        return {
            name: Resolved(name, one.reference, ids[one.reference], self.contexts[name].fingerprint, one.rung, one.source)
            for name, one in got.items()
        }

    def rungs(self, name: str) -> list[str]:
        """The rungs that would be tried for an image that isn't there, in their order; what a bundle has is not looked up."""
        pullable = [rung for _reference, rung in self.candidates(name)]
        if NAMED in pullable:
            return pullable
        context = self.contexts[name]
        return [*dict.fromkeys(pullable), *(variant.source for variant in self._catalogue[name].variants if context.offers(variant))]

    def matches(self, entries: Iterable[Entry]) -> dict[str, str]:
        """Those images of a bundle that this checkout, with its settings, would use: their reference there → the one that is looked for here."""
        found = {}
        for entry in entries:
            if entry.name not in self._catalogue or entry.fingerprint != self.contexts[entry.name].fingerprint:
                continue
            known = [self.tag(entry.name), *(reference for reference, _rung in self.candidates(entry.name))]
            if entry.reference in known or len(known) > 1:
                # A mirror's name is the saving host's business: here the image gets the official one.
                found[entry.reference] = entry.reference if entry.reference in known else known[-1]
        return found

    def _unbundle(self, names: Iterable[str], present: Mapping[str, Got]) -> bool:
        """Loads the bundle that the settings name if it has an image that is missing. Raises FileRefused for one that can't be used."""
        if not self.bundle:
            return False
        missing = {name for name in closure(names, present, self._catalogue) if name not in present}
        if not missing:
            return False
        bundle = open_bundle(self.bundle)
        fitting = self.matches(bundle.entries)
        label, began, loading = self.bundle.name, time.monotonic(), 0.0
        if not missing.intersection(entry.name for entry in bundle.entries if entry.reference in fitting):
            self._report(Progress(label, BUNDLE, _("made from other sources or settings"), 0, "failed"))
            return False

        def say(words: str) -> None:
            self._report(Progress(label, BUNDLE, words, time.monotonic() - began))

        def checked(done: int, total: int) -> None:
            say(_("checking it: {amount}").format(amount=pace(done, total, time.monotonic() - began)))

        def loaded(done: int, total: int) -> None:
            nonlocal loading
            loading = loading or time.monotonic()
            say(pace(done, total, time.monotonic() - loading) if done < total else _("the engine unpacks it"))

        load(self._api, bundle, fitting, loaded, checked)
        self._report(Progress(label, BUNDLE, "", time.monotonic() - began, "done"))
        return True

    def streamable(self, names: Iterable[str], present: Collection[str] = ()) -> dict[str, str]:
        """What this machine's engine could give of `names`, and of what they are built on, that is not `present`: name → reference."""
        if not self._source or not self._api or all(name in present for name in closure(names, present, self._catalogue)):
            return {}
        here = self._present(names, self._source.images(self._api))
        return {
            name: here[name].reference
            for name in closure(names, lambda name: name in present or name in here, self._catalogue)
            if name in here and name not in present
        }

    def _stream(self, names: Iterable[str], present: Mapping[str, Got]) -> bool:
        """Streams what is missing and this machine's engine has. Raises EngineError where the docker host has no room for it."""
        found = self.streamable(names, present)
        label, began = _n("{count} image", "{count} images", len(found)), time.monotonic()
        if not self._source or not found or not self._source.client:
            if self._source and self._source.why:
                self._report(Progress(label, STREAMED, self._source.why, 0, "failed"))
            return False
        sent = 0

        def step(done: int) -> None:
            nonlocal sent
            sent = done
            seconds = time.monotonic() - began
            self._report(Progress(label, STREAMED, pace(done, 0, seconds), seconds))

        try:
            stream(self._source.client, self._api, list(found.values()), step)
        except (SourceFailed, NotTaken) as error:
            self._report(Progress(label, STREAMED, str(error), time.monotonic() - began, "failed"))
            return False
        seconds = time.monotonic() - began
        self._report(Progress(label, STREAMED, pace(sent, 0, seconds), seconds, "done"))
        return True

    def earlier(self) -> dict[str, Mapping[str, Any]]:
        """The builds of ours that this checkout, with its settings, doesn't use: tag → the engine's entry, as it listed them last."""
        current: dict[str, str] = {}
        for name, image in self._catalogue.items():
            with suppress(ContextError):  # a file of another step is being edited: nothing is said of its images
                current[image.repository] = self.tag(name)
        tags = {tag: entry for entry in self.listed() for tag in owned(entry)}
        return {tag: entry for tag, entry in tags.items() if current.get(split_reference(tag)[0], tag) != tag}

    def superseded(self, replaced: Collection[str], containers: Iterable[Mapping[str, Any]], now: float) -> list[str]:
        """The tags of `earlier` builds that none of `containers` (running or not) uses and that are this stack's to remove.

        These are those that its containers used before (`replaced`), and those that were built for it more than LEFT_OVER seconds before
        `now`: of a run that was killed, or what an image has only copied from. Until then another run may be about to use them; and where
        another stack stands, it may need them for its next steps.
        """
        containers = tuple(containers)
        used = {container["ImageID"] for container in containers}
        alone = all((container.get("Labels") or {}).get(STACK, self._stack) == self._stack for container in containers)

        def left_over(entry: Mapping[str, Any]) -> bool:
            ours = (entry.get("Labels") or {}).get(BUILT_FOR_LABEL) == self._stack
            return alone and ours and entry["Created"] < now - LEFT_OVER

        return [tag for tag, entry in self.earlier().items() if entry["Id"] not in used and (tag in replaced or left_over(entry))]

    def prune(self, tags: Iterable[str]) -> list[str]:
        """Removes these tags of ours; gives those that went. What somebody uses after all is left."""
        from docker.errors import APIError

        gone = []
        for tag in tags:
            try:
                self._api.remove_image(tag)
            except APIError:
                continue
            gone.append(tag)
        self.forget()
        return gone

    def candidates(self, name: str) -> list[tuple[str, str]]:
        """(reference, rung) of all that may be pulled for an image, in the order in which it is tried."""
        if named := self._references.get(name):
            return [(named, NAMED)]
        official = self._catalogue[name].official
        mirrors = [(reference, MIRROR) for reference in mirrored(self._mirror, official)] if official else []
        return [*mirrors, (official, OFFICIAL)] if official else []

    def _present(self, names: Iterable[str], listed: Iterable[Mapping[str, Any]]) -> dict[str, Got]:
        by_tag = {tag: entry for entry in listed for tag in _tags(entry)}
        found = {}
        for name in closure(names, catalogue=self._catalogue):
            built = [] if name in self._references else [(self.tag(name), BUILT)]
            for reference, source in [*built, *self.candidates(name)]:
                if reference in by_tag:
                    label = (by_tag[reference].get("Labels") or {}).get(SOURCE_LABEL, BUILT)
                    found[name] = Got(reference, PRESENT, label if source == BUILT else source)
                    break
        return found


def owned(entry: Mapping[str, Any]) -> list[str]:
    """The tags of an image by which it is ours: the label alone won't do, what is committed or built on an image inherits it."""
    own = entry.get("Labels") or {}
    if IMAGE_LABEL not in own:
        return []
    repository = Image(own[IMAGE_LABEL]).repository
    return [tag for tag in _tags(entry) if tag == f"{repository}:{own.get(FINGERPRINT_LABEL)}"]


def _tags(entry: Mapping[str, Any]) -> list[str]:
    return entry.get("RepoTags") or []
