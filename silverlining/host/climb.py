"""Climbs the rungs for many images at once: a graph in which an image starts as soon as its parents are there."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ..model.errors import SilverliningError
from ..model.images import BUILT, Image, urgency
from ..model.text import _
from .build import BuildFailed, build, labels
from .contexts import Contexts, host_files, proxies
from .debian import BootstrapFailed, Runner, make_base
from .pull import PullFailed, Registries

if TYPE_CHECKING:
    from docker import APIClient

    from ..model.settings import Settings

# The rungs. NAMED is an image that the setting images.references names: nothing else is tried for it.
PRESENT, BUNDLE, STREAMED, NAMED, MIRROR, OFFICIAL = "present", "bundle", "streamed", "named", "mirror", "official"
# Builds wait for the network as much as for a processor.
SIDE_BY_SIDE = 8


@dataclass(frozen=True)
class Progress:
    """One step of the work on an image, `seconds` after that began. `state` is "", "done" or "failed"."""

    image: str
    rung: str
    step: str
    seconds: float
    state: str = ""


@dataclass(frozen=True)
class Got:
    """An image that is there: `rung` says how this run got it, `source` where it came from at first."""

    reference: str
    rung: str
    source: str


class ImageUnavailable(SilverliningError):
    """An image can't be had on any rung; `answers` holds what each rung said."""

    def __init__(self, image: str, answers: Sequence[tuple[str, str]], hint: str = "") -> None:
        self.image, self.answers = image, tuple(answers)
        lines = [f"  {rung}: " + answer.replace("\n", "\n    ") for rung, answer in answers]
        super().__init__(
            "\n".join((_("image {name} can't be had on any rung:").format(name=image), *lines)),
            hint
            or _("name a registry that answers in images.mirror, an image that is there in images.references, or a Debian mirror in build.mirror"),
        )


class Refused(Exception):
    """No registry gave an image; the next rung is to build it."""

    def __init__(self, answers: list[tuple[str, str]]) -> None:
        super().__init__(answers)
        self.answers = answers


class Stopped(Exception):
    """The run is over; a job that still goes on ends itself, and the engine ends a build whose client is gone."""


class Workshop:
    """Does one image's work on one rung."""

    def __init__(
        self,
        api: APIClient,
        contexts: Contexts,
        settings: Settings,
        runner: Runner,
        environ: Mapping[str, str],
        report: Callable[[Progress], None],
    ) -> None:
        self._api, self._contexts, self._settings, self._stack = api, contexts, settings.build, settings.stack
        self._runner, self._environ, self._report = runner, environ, report
        self._registries = Registries(api)
        self._reporting = threading.Lock()
        self.stopped = False

    def say(self, image: str, rung: str, step: str, *, began: float, state: str = "") -> None:
        """Reports one step, or ends the job if the run is over."""
        with self._reporting:
            if self.stopped:
                raise Stopped
            self._report(Progress(image, rung, step, time.monotonic() - began, state))

    def pull(self, name: str, candidates: Sequence[tuple[str, str]]) -> Got:
        """Gets the first of `candidates` that a registry gives. Raises Refused."""
        answers = []
        for reference, rung in candidates:
            began = time.monotonic()
            try:
                self._registries.pull(reference, partial(self.say, name, rung, began=began))
            except PullFailed as error:
                answers.append((f"{rung} {reference}", error.what))
                self.say(name, rung, error.what, began=began, state="failed")
            else:
                self.say(name, rung, reference, began=began, state="done")
                return Got(reference, rung, rung)
        raise Refused(answers)

    def build(self, image: Image, parents: Mapping[str, str], told: Sequence[tuple[str, str]]) -> Got:
        """Builds `image` on `parents` (build argument → reference) by the first variant that works. Raises BuildFailed or ImageUnavailable."""
        context = self._contexts[image.name]
        reference = f"{image.repository}:{context.fingerprint}"
        said, hint = list(told), ""
        for variant in image.variants:
            source = variant.source
            answers = self._contexts.answers(variant)
            if not context.offers(variant):
                said.append((source, _("not tried: the settings name none")))
                continue
            began = time.monotonic()
            step = partial(self.say, image.name, source, began=began)
            marks = labels(image, context, source, self._stack)
            try:
                if image.suite:
                    make_base(self._api, image, context.fingerprint, marks, self._settings.mirror, self._runner, step)
                else:
                    host = host_files(self._settings, self._environ)
                    arguments = {**proxies(self._environ), **dict(variant.args), **dict(answers), **parents}
                    build(self._api, image, variant, context, marks, host, arguments, step)
            except (BuildFailed, BootstrapFailed) as error:
                self.say(image.name, source, getattr(error, "error", error.what), began=began, state="failed")
                if not said and len(image.variants) == 1 and isinstance(error, BuildFailed):
                    raise
                said.append((source, error.what))
                hint = error.hint
            else:
                self.say(image.name, source, reference, began=began, state="done")
                return Got(reference, BUILT, source)
        raise ImageUnavailable(image.name, said, hint)


class Climb:
    """One run. Everything but the jobs themselves happens in the caller's thread."""

    def __init__(
        self,
        catalogue: Mapping[str, Image],
        present: Mapping[str, Got],
        pullable: Callable[[str], list[tuple[str, str]]],
        workshop: Workshop,
    ) -> None:
        self._catalogue, self._present, self._pullable, self._workshop = catalogue, present, pullable, workshop
        self._got: dict[str, Got] = {}
        self._answers: dict[str, list[tuple[str, str]]] = {}
        self._wanted: set[str] = set()
        self._waiting: list[str] = []
        self._building: set[str] = set()
        self._running = 0
        self._outcomes: queue.Queue[tuple[str, Got | Exception]] = queue.Queue()

    def run(self, names: Iterable[str]) -> dict[str, Got]:
        """Gets `names`. After a failure what is running is let finish, so that the next run is shorter, and nothing else is begun."""
        failures: list[Exception] = []
        try:
            for name in names:
                self._want(name)
            while self._running or self._waiting:
                if not failures:
                    self._start_builds()
                if not self._running:
                    break
                name, outcome = self._outcomes.get()
                self._running -= 1
                self._building.discard(name)
                if isinstance(outcome, Got):
                    self._got[name] = outcome
                elif not isinstance(outcome, Refused):
                    failures.append(outcome)
                elif any(rung == NAMED for _reference, rung in self._pullable(name)):
                    failures.append(ImageUnavailable(name, outcome.answers))
                else:
                    self._answers[name] = outcome.answers
                    if not failures:
                        self._build_later(name)
        except BaseException:
            self._workshop.stopped = True
            raise
        if failures:
            raise failures[0]
        return self._got

    def _want(self, name: str) -> None:
        if name in self._wanted:
            return
        self._wanted.add(name)
        if name in self._present:
            self._got[name] = self._present[name]
        elif candidates := self._pullable(name):
            self._start(name, partial(self._workshop.pull, name, candidates))
        else:
            self._build_later(name)

    def _build_later(self, name: str) -> None:
        self._waiting.append(name)
        for parent in self._catalogue[name].parents:
            self._want(parent)

    def _start_builds(self) -> None:
        ready = [name for name in self._waiting if self._got.keys() >= set(self._catalogue[name].parents)]
        urgent = urgency(self._waiting, self._catalogue)
        for name in sorted(ready, key=urgent.__getitem__, reverse=True)[: SIDE_BY_SIDE - len(self._building)]:
            self._waiting.remove(name)
            self._building.add(name)
            image, answers = self._catalogue[name], self._answers.get(name, [])
            parents = {argument: self._got[parent].reference for argument, parent in image.bases}
            self._start(name, partial(self._workshop.build, image, parents, answers))

    def _start(self, name: str, job: Callable[[], Got]) -> None:
        def work() -> None:
            try:
                self._outcomes.put((name, job()))
            except Exception as error:  # whatever it is, it must reach the caller's thread
                self._outcomes.put((name, error))

        self._running += 1
        # A daemon: Ctrl-C must not wait for the end of a build.
        threading.Thread(target=work, name=f"image {name}", daemon=True).start()
