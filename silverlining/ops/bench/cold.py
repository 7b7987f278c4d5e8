"""How long every image takes on a machine that has none of them: built, or fetched where a registry answers, under names of its own."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import steps

from ...host.host import ROOT
from ...model.images import IMAGES, Image, closure
from ...model.stack import template_variables
from ...model.text import _
from ..desk import Desk

PREFIX = "bench-"


def renamed(catalogue: Mapping[str, Image]) -> dict[str, Image]:
    """The catalogue under other names: as their base is made anew, nothing of what is there serves as a cache."""
    return {
        PREFIX + name: replace(image, name=PREFIX + name, bases=tuple((argument, PREFIX + parent) for argument, parent in image.bases))
        for name, image in catalogue.items()
    }


def build_all(desk: Desk) -> dict[str, float]:
    """Seconds from its own beginning for each image of the course with the rung that gave it, and "all" from the first beginning to the last end.

    The images are removed again. Raises what getting an image raises.
    """
    from ...host.build import drop_stages
    from ...host.images import ImageStore

    client = desk.host.client
    needed = {name for step in steps.NAMES for name in desk.image_names(steps.load(step).TOPOLOGY)}
    catalogue = renamed({name: IMAGES[name] for name in closure(needed)})
    seconds: dict[str, float] = {}
    before = {tag for entry in client.images() for tag in entry.get("RepoTags") or []}
    began = time.monotonic()
    with desk.voice.progress(slow=True) as board:

        def note(progress: Any) -> None:
            name = progress.image.removeprefix(PREFIX)
            if progress.state == "done":
                seconds[f"{name} ({progress.rung})"] = round(progress.seconds, 1)
                board.done(_("image {name}").format(name=name), progress.rung)
            else:
                board.update(_("image {name}").format(name=name), f"{progress.rung}: {progress.step}")

        store = ImageStore(client, ROOT, desk.settings, template_variables(desk.settings), report=note, runner=desk.host.runner, catalogue=catalogue)
        try:
            store.resolve(PREFIX + name for name in sorted(needed))
            whole = round(time.monotonic() - began, 1)
        finally:
            made = {store.tag(name) for name in catalogue} - before
            # Children first: what others are built on can't go before them.
            children_first = reversed(closure(list(catalogue), catalogue=catalogue))
            store.prune(tag for tag in map(store.tag, children_first) if tag in made)
            for name in catalogue:
                drop_stages(client, name)
    return {**dict(sorted(seconds.items(), key=lambda pair: pair[1])), _("all"): whole}
