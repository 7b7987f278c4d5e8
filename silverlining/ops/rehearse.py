"""What a walkthrough would play, as text; nothing is changed."""

from __future__ import annotations

from collections.abc import Sequence

import steps

from ..model.lesson import Act, Lesson
from ..model.text import _
from .converge import converge
from .desk import Desk
from .install import ensure_engine
from .lesson import fill, placeholders
from .scene import Scene


def rehearse(desk: Desk, names: Sequence[str]) -> None:
    """Prints the lessons of these steps: texts, commands, what is proved and checked. The plan is shown for the first step only.

    The others' plans depend on what stands by then. Raises SilverliningError.
    """
    engine = ensure_engine(desk)
    seen = desk.observe() if engine else None
    for name in names:
        module = steps.load(name)
        lesson: Lesson = module.LESSON
        desk.voice.title(f"{name}: {lesson.title}")
        desk.voice.text(lesson.summary)
        words: dict[str, str] | None = None
        if seen is not None:
            stack = desk.stack(module.TOPOLOGY, desk.planned_images(module.TOPOLOGY), seen)
            words = placeholders(Scene(desk, stack))
            if name == names[0]:
                _plan(desk, name)
        for number, act in enumerate(lesson.acts, 1):
            desk.voice.title("  " + _("act {number} of {count}").format(number=number, count=len(lesson.acts)) + f": {act.title}")
            if words is not None:
                _act(desk, act, words)


def _plan(desk: Desk, name: str) -> None:
    topology = steps.load(name).TOPOLOGY
    if name == "step09-compose":
        from .compose import compose_up

        compose_up(desk, topology)
    else:
        converge(desk, topology)


def _act(desk: Desk, act: Act, words: dict[str, str]) -> None:
    desk.voice.text(fill(act.text, words))
    for command in act.commands:
        desk.voice.command(fill(command, words))
    if act.look:
        desk.voice.note(fill(act.look, words))
    for label, parts in ((_("shown: {names}"), act.proofs), (_("checked: {names}"), act.checks)):
        if parts:
            desk.voice.text(label.format(names=", ".join(part.name for part in parts)))
