"""Runs a step or the whole deployment: converge, then the lesson, then the picture and the address."""

from __future__ import annotations

from contextlib import nullcontext

import steps

from ..model.errors import EngineError, SilverliningError
from ..model.lesson import Lesson
from ..model.scale import words
from ..model.service import SECRETS
from ..model.stack import Stack
from ..model.text import _
from ..model.topology import Topology
from . import checks
from .converge import Outcome, converge, say_unchanged
from .desk import Desk
from .install import ensure_engine
from .lesson import placeholders, play, say, tell
from .lock import keeping, lock
from .open import way_in
from .position import find
from .scene import Scene
from .status import table


def run_step(desk: Desk, name: str) -> None:
    """Brings the host to a step and plays its lesson; on a host that is there already, only with `play`, and never with `quick`.

    Raises SilverliningError.
    """
    module = steps.load(name)
    topology: Topology = module.TOPOLOGY
    lesson: Lesson = module.LESSON
    desk.voice.title(f"{name}: {lesson.title}")
    desk.voice.text(lesson.summary)
    engine = ensure_engine(desk)
    if not engine:
        return
    with keeping(desk):
        outcome = bring_about(desk, topology)
        if outcome.dry:
            return
        scene = Scene(desk, outcome.stack)
        played = not desk.quick and (desk.play or name == "step00-install" or _is_new(outcome))
        if played:
            with lock(desk, outcome.stack.tools) if outcome.stack.containers else nullcontext():
                play(scene, lesson, placeholders(scene))
    if played:
        if name == "step00-install" and engine == "there" and not outcome.plan:
            desk.voice.note(_("nothing to do: the engine was there already, and nothing else stands"))
    elif outcome.plan:
        # The lesson's proofs stop servers and pause masters: not for an edit or a repair of what serves.
        tell(scene, checks.run_all(scene, lesson.checks))
        desk.voice.note(_("{name} stands as it should. `--play` plays its lesson.").format(name=name))
    else:
        tell(scene, checks.run_all(scene, lesson.checks))
        desk.voice.note(_("nothing to do: {name} stands as it should. `--play` plays its lesson again.").format(name=name))
    _close(desk, outcome)


def _is_new(outcome: Outcome) -> bool:
    """Whether the step is new on the host: before, other services stood, or the same ones by Compose and not by us (or the other way)."""
    compose = outcome.stack.topology.step == "step09-compose"
    there = {c.service for c in outcome.seen.containers if c.compose == compose and c.service != SECRETS}
    return bool(outcome.plan) and there != {c.service for c in outcome.stack.containers}


def bring_about(desk: Desk, topology: Topology) -> Outcome:
    """Makes a topology stand, by us or by Compose. Raises SilverliningError."""
    if topology.step == "step09-compose":
        from .compose import compose_up

        return compose_up(desk, topology)
    return converge(desk, topology)


def deploy_all(desk: Desk) -> None:
    """Straight to the last state of the course; without changes it verifies the live state. Raises SilverliningError."""
    topology: Topology = steps.load(steps.LAST).TOPOLOGY
    desk.voice.title(_("deploy-all: {stack}").format(stack=desk.settings.stack))
    if not ensure_engine(desk):
        return
    outcome = converge(desk, topology)
    if outcome.dry:
        return
    if not outcome.plan:
        say_unchanged(desk)
    desk.voice.title(_("What stands"))
    table(desk, outcome.now, asked=True)
    say_where(desk, outcome.stack)


def _close(desk: Desk, outcome: Outcome) -> None:
    from ..model.picture import draw

    if outcome.stack.containers:
        desk.voice.title(_("What stands now"))
        desk.voice.write(draw(outcome.stack, desk.voice.width))
    say_where(desk, outcome.stack)


def say_where(desk: Desk, stack: Stack) -> None:
    """The address to open, from where the person is."""
    if words := way_in(desk, stack):
        desk.voice.note(words)


def known(step: str) -> str:
    """The name of a step, if there is one of that name. Raises SilverliningError."""
    if step not in steps.NAMES:
        raise SilverliningError(_("there is no step {step}").format(step=step), _("one of: {names}").format(names=", ".join(steps.NAMES)))
    return step


def check(desk: Desk, step: str = "") -> tuple[bool, list[checks.Result]]:
    """Runs the checks of a step (or of the one that stands). Gives whether all are good, and each result."""
    if step:
        known(step)
    try:
        seen = desk.observe()
        if seen.scaled:
            desk.voice.note(_("judged by what it was scaled to, until the next deploy: {counts}").format(counts=words(seen.scaled)))
            desk = desk.counted(seen.scaled)
    except EngineError as error:
        silent = checks.Result("engine", False, checks.AN_ENGINE, error.what, error.hint)
        say(desk, silent)
        return False, [silent]
    if step:
        topology = steps.load(step).TOPOLOGY
        stack = desk.stack(topology, desk.planned_images(topology), seen)
    else:
        position, stack = find(desk, seen)
        step = position.step
    scene = Scene(desk, stack, seen)
    desk.voice.title(_("check {step}").format(step=step))
    results = checks.run_all(scene, steps.load(step).LESSON.checks)
    for result in results:
        say(scene, result)
    if not stack.containers:
        desk.voice.note(_("nothing of {stack} stands; `invoke check --step STEP` asks for what should").format(stack=stack.name))
    return all(result.ok for result in results), results
