"""Which builds a run takes away as superseded."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from silverlining.model.observed import Observed
from silverlining.ops.converge import prune

from .builders import stack, standing

OLD, BASE, OTHER = "silverlining/app:older", "silverlining/django:older", "silverlining/redis:another-checkout"


class Desk:
    """An engine with an earlier build of the app, what that was built on, and a build of another checkout."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.gone: list[str] = []
        self.voice = SimpleNamespace(note=lambda words: None)
        listed = [{"RepoTags": [tag]} for tag in (OLD, BASE, OTHER)]
        self.host = SimpleNamespace(client=SimpleNamespace(history=self._history, images=lambda: listed, containers=lambda all: []))
        self.store = SimpleNamespace(superseded=lambda entries, used: [tag for one in entries for tag in one["RepoTags"]], prune=self._prune)

    def _history(self, reference: str) -> list[dict[str, Any]]:
        self.asked.append(reference)
        return [{"Tags": [reference]}, {"Tags": [BASE]}, {"Tags": None}]

    def _prune(self, tags: list[str]) -> list[str]:
        self.gone += tags
        return tags


def stood(step: str, **images: str) -> Observed:
    """A step as it stands, some services with another image."""
    seen = standing(stack(step))
    return replace(seen, containers=tuple(replace(c, image=images.get(c.service.replace("-", "_"), c.image)) for c in seen.containers))


@pytest.mark.parametrize("built", ([], ["app"]), ids=("after a run that was ended", "built now"))
def test_what_the_containers_used_before_goes_with_what_it_was_built_on(built: list[str]) -> None:
    desk: Any = Desk()
    prune(desk, stood("step08-netdata", ping_app=OLD), stack("step08-netdata"), built)
    assert desk.asked == [OLD] and desk.gone == [OLD, BASE]


@pytest.mark.parametrize("before", ("step08-netdata", "step03-redis"))
def test_another_step_supersedes_nothing_and_asks_nothing(before: str) -> None:
    desk: Any = Desk()
    prune(desk, stood(before), stack("step08-netdata"), [])
    assert (desk.asked, desk.gone) == ([], [])
