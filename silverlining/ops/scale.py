"""Scales what stands: other counts of the same step, until the next deploy. The plan keeps the requests, the data and the majority."""

from __future__ import annotations

from functools import partial
from typing import Any

import steps

from ..console.keys import on_terminal
from ..host.redis_facts import SENTINEL_MASTER, sentinel_view
from ..model.actions import Plan, Remove, Replace
from ..model.commands import commands, line
from ..model.compose import SCRIPT, STEP, counts
from ..model.errors import SilverliningError
from ..model.plan import plan as make_plan
from ..model.scale import SENTINEL, examine, lasting, parse, words
from ..model.stack import Stack
from ..model.text import _
from . import checks
from .converge import Outcome, converge
from .desk import Desk
from .lesson import tell
from .position import find
from .scene import Scene
from .sentinels import attentive


def scale(desk: Desk, text: str) -> dict[str, Any]:
    """Converges the step that stands to the counts in `text`, as "ping-app=5,sentinel=5". Gives what was done. Raises SilverliningError."""
    wanted = parse(text)
    seen = desk.observe()
    now = desk.counted(seen.scaled)
    position, stack = find(now, seen)
    if not stack.containers:
        raise SilverliningError(
            _("nothing of {stack} stands, so that nothing can be scaled").format(stack=stack.name), _("invoke deploy-all brings everything up")
        )
    if position.step == STEP:
        refuse_compose(wanted)
    examine(wanted, stack, first_steps())
    desk.voice.title(_("scale {counts} at {step}").format(counts=words(wanted), step=position.step))
    others = aside(make_plan(stack, seen, now.spares(now.planned_images(stack.topology), seen) if seen.sleeping else {}))
    confirm(desk, others)
    target = desk.scaled(seen.scaled, wanted)
    outcome = converge(target, stack.topology)
    if not outcome.dry:
        scene = Scene(target, outcome.stack)
        _await_sentinels(scene)
        tell(scene, checks.run_all(scene, steps.load(position.step).LESSON.checks))
    _close(desk, outcome)
    return _facts(position.step, stack, outcome)


def first_steps() -> dict[str, str]:
    """Each service of the course, and the first step that scales it; "" if none does."""
    found: dict[str, str] = {}
    for name in steps.NAMES:
        for service in steps.load(name).TOPOLOGY.services:
            found[service.name] = found.get(service.name) or (name if service.scaled else "")
    return found


def refuse_compose(wanted: dict[str, int]) -> None:
    """Raises SilverliningError that says how what Compose runs is scaled."""
    _file, flags = lasting(wanted)
    raise SilverliningError(
        _("Docker Compose runs this stack ({step}): what it has made, it scales itself").format(step=STEP),
        _("invoke {step} {flags} scales and registers in one go; by hand: docker compose scale {words}, then sh {script}").format(
            step=STEP, flags=flags, script=SCRIPT, words=" ".join(f"{name}={count}" for name, count in wanted.items())
        ),
    )


def aside(plan: Plan) -> tuple[str, ...]:
    """The containers that would be made anew or taken away whatever is scaled: the settings or the code are not those that they were made with."""
    return tuple(action.subject for action in plan.actions if isinstance(action, (Replace, Remove)))


def confirm(desk: Desk, names: tuple[str, ...]) -> None:
    """Asks before more than counts is changed. Raises SilverliningError."""
    if not names:
        return
    what = _("other settings or other code than when it was deployed: this would change more than counts ({names})").format(names=", ".join(names))
    if desk.dry or desk.yes:
        desk.voice.note(what)
    elif desk.json or not (on_terminal() and desk.voice.terminal):
        raise SilverliningError(what, _("scale with the settings of the deploy, or deploy first (invoke deploy-all); --yes does both now"))
    elif not desk.voice.ask(f"  {what}. " + _("Go on?")):
        raise SilverliningError(_("nothing was changed"))


def _await_sentinels(scene: Scene) -> None:
    """Waits until each Sentinel knows what stands: of a new replica it hears only when it asks the master."""
    right = (len(scene.stack.of(SENTINEL)) - 1, len(scene.stack.of("redis-slave")))

    def knows(name: str) -> bool:
        view = sentinel_view(scene.ask(name, *SENTINEL_MASTER))
        return view is not None and (view.sentinels, view.replicas) == right

    sentinels = [c.name for c in scene.stack.of(SENTINEL)]
    if all(map(knows, sentinels)):
        return
    with attentive(scene.client, sentinels):
        for name in sentinels:
            what = _("{name} knows {others} other Sentinels and {replicas} replicas").format(name=name, others=right[0], replicas=right[1])
            scene.until(partial(knows, name), what, hint=_("run the same command again; `invoke status` shows who sees what"))


def _close(desk: Desk, outcome: Outcome) -> None:
    """What stands, and how it is made to last."""
    if not outcome.plan:
        desk.voice.note(_("nothing to do: {counts} stand").format(counts=words(counts(outcome.stack))))
    elif not outcome.dry:
        desk.voice.ok(_("{counts} stand").format(counts=words(counts(outcome.stack))))
    if outcome.stack.scaled:
        file, flags = lasting(outcome.stack.scaled)
        desk.voice.note(
            _("this holds until the next deploy. To make it last: {file} in silverlining.yaml, or {flags}").format(file=file, flags=flags)
        )
    else:
        desk.voice.note(_("these are the counts of the settings: they last"))


def _facts(step: str, before: Stack, outcome: Outcome) -> dict[str, Any]:
    scaled = outcome.stack.scaled
    return {
        "stack": outcome.stack.name,
        "step": step,
        "dry": outcome.dry,
        "before": counts(before),
        "counts": counts(outcome.stack),
        "settings": {f"counts.{name}": count for name, count in scaled.items()},
        "changes": [line(argv) for action in outcome.plan.actions for argv in commands(action)],
    }
