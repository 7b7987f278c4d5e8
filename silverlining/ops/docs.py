"""Writes the pages and pictures of the course from steps/ and docs/recorded/; records the lessons on a real engine."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import steps

from ..console.pages import Step, index_page, since_page, step_page
from ..console.recorder import Recorder
from ..host.host import ROOT
from ..model.commands import commands, line
from ..model.compose import STEP as COMPOSE
from ..model.errors import SilverliningError
from ..model.images import IMAGES
from ..model.lesson import Lesson
from ..model.observed import Observed
from ..model.plan import plan
from ..model.pretend import standing
from ..model.recording import RecordedAct, Recording, Said, leaks, recorded, stale
from ..model.stack import Code, ImageRef, Stack, count_of, resolve
from ..model.text import _
from .desk import Desk
from .picture import for_docs
from .run import bring_about, known
from .settings import read_settings
from .spoken import texts_of

DOCS = ROOT / "docs"
RECORDED = DOCS / "recorded"
# The pages show the first subnet of the pool, and the checkout as the folder that one stands in.
SUBNET = "172.30.0.0/24"
CHECKOUT = "/CHECKOUT"


def docs(desk: Desk, record: bool = False, step: str = "") -> None:
    """Writes what is new in docs/; with `record` plays the lessons first, all or that of `step`. Raises SilverliningError."""
    if step and not record:
        raise SilverliningError(_("--step says which lesson to record"), f"invoke docs --record --step {known(step)}")
    if record:
        record_lessons(desk, (known(step),) if step else steps.NAMES)
        if desk.dry:
            return
    wanted = pages() | {DOCS / "pictures" / name: text for name, text in for_docs().items()}
    there = [*sorted((DOCS / "steps").glob("*.md")), *sorted((DOCS / "pictures").glob("*.svg"))]
    old = [path for path in there if path not in wanted]
    new = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if not new and not old:
        desk.voice.note(_("nothing to do: the pages and pictures are as steps/ and docs/recorded/ say"))
    if desk.dry:
        for path in (*new, *old):
            what = _("{path} would be written") if path in new else _("{path} would be removed")
            desk.voice.note(what.format(path=path.relative_to(ROOT)))
        return
    for path in new:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted[path], encoding="utf-8")
        desk.voice.ok(_("{path} written").format(path=path.relative_to(ROOT)))
    for path in old:
        path.unlink()
        desk.voice.ok(_("{path} removed").format(path=path.relative_to(ROOT)))


def pages() -> dict[Path, str]:
    """Every page that is made, by its path. Raises SilverliningError where a recording is missing or of another lesson."""
    made = [_step(name) for name in steps.NAMES]
    names = ["", *steps.NAMES, ""]
    found = {DOCS / "steps" / f"{step.name}.md": step_page(step, names[n], names[n + 2]) for n, step in enumerate(made)}
    return found | {DOCS / "steps" / "index.md": index_page(made), DOCS / "since-2017.md": since_page(made)}


def recording(name: str) -> Recording:
    """What was recorded of a step. Raises SilverliningError."""
    again = f"invoke docs --record --step {name}"
    try:
        found = Recording.of(json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise SilverliningError(_("docs/recorded/{step}.json can't be read: {error}").format(step=name, error=error), again) from None
    lesson = steps.load(name).LESSON
    if wrong := stale(lesson, found, texts_of(lesson)):
        raise SilverliningError(_("the recording of {step} is old: {wrong}").format(step=name, wrong=wrong), again)
    if missing := [word for word in _words_of(lesson) if word not in found.words]:
        raise SilverliningError(_("the recording of {step} has no {words}").format(step=name, words=", ".join(missing)), again)
    return found


def changes(name: str) -> list[str]:
    """The docker commands that lead to a step from the one before, as they would be typed in a checkout. step09 is Compose's work."""
    if name == COMPOSE or name == steps.NAMES[0]:
        return []
    stack = _stack(name)
    before = standing(_stack(steps.NAMES[steps.NAMES.index(name) - 1]))
    lines = [line(argv) for action in plan(stack, before).actions for argv in commands(action)]
    return [text.replace(f"{CHECKOUT}/", "$PWD/") for text in lines]


def _stack(name: str) -> Stack:
    images = {image: ImageRef(image, IMAGES[image].repository, image) for image in IMAGES}
    return resolve(steps.load(name).TOPOLOGY, read_settings({}, DOCS / "none", {}), SUBNET, images, Code(f"{CHECKOUT}/app"))


def _step(name: str) -> Step:
    topology, settings = steps.load(name).TOPOLOGY, read_settings({}, DOCS / "none", {})
    counts = {service.name: count_of(service, settings) for service in topology.services}
    services = [f"{service} × {count}" if count > 1 else service for service, count in counts.items()]
    return Step(name, steps.load(name).LESSON, recording(name), changes(name), services)


def _words_of(lesson: Lesson) -> Iterator[str]:
    """The placeholders that a lesson's page fills."""
    from string import Formatter

    texts = [text for act in lesson.acts for text in (act.text, act.look)]
    texts += [text for one in lesson.questions for text in (one.question, one.answer)]
    found = {name for text in texts for _literal, name, _format, _conversion in Formatter().parse(text) if name}
    yield from sorted(found)


def record_lessons(desk: Desk, names: tuple[str, ...]) -> None:
    """Plays lessons on the engine, on a stack of its own that it makes and takes away, and writes what they said. Raises SilverliningError."""
    from .install import ensure_engine
    from .teardown import teardown

    if not ensure_engine(desk):
        return
    seen: Observed = desk.observe()
    if seen.containers or seen.volumes:
        raise SilverliningError(
            _("stack {name} stands or has data; lessons are recorded on a new one").format(name=desk.settings.stack),
            _("choose another name with --set stack=…, or `invoke teardown --volumes`"),
        )
    desk.voice.note(_("recorded, on a new stack {stack}: {names}").format(stack=desk.settings.stack, names=", ".join(names)))
    if desk.dry:
        return
    recorder = Recorder()
    desk.voice, desk.yes = recorder, True
    for name in steps.NAMES[: max(map(steps.NAMES.index, names)) + 1]:
        following = steps.NAMES[steps.NAMES.index(name) + 1 :][:1]
        if name in names:
            _write(_record(desk, recorder, name))
        elif set(following) & set(names):
            _bring_about(desk, name)
    teardown(desk, volumes=True)


def _record(desk: Desk, recorder: Recorder, name: str) -> Recording:
    """Brings a step about and plays its lesson."""
    from .lesson import fill, placeholders, play_act
    from .scene import Scene

    began = time.monotonic()
    scene = Scene(desk, _bring_about(desk, name))
    stood = time.monotonic()
    lesson: Lesson = steps.load(name).LESSON
    words = placeholders(scene)
    acts: list[RecordedAct] = []
    for number, act in enumerate(lesson.acts, 1):
        recorder.title(f"{number}/{len(lesson.acts)}  {act.title}")
        recorder.take()
        play_act(scene, act, words)
        acts.append(recorded(act, [fill(text, words) for text in act.commands], fill(act.look, words), _without_checkout(recorder.take())))
    used = {word: words[word] for word in _words_of(lesson)}
    times = (round(stood - began, 1), round(time.monotonic() - stood, 1))
    return Recording(name, desk.host.engine.version, *times, used, texts_of(lesson), tuple(acts))


def _without_checkout(said: tuple[Said, ...]) -> tuple[Said, ...]:
    """Commands that name the checkout, as somebody types them who stands in it."""
    return tuple(replace(one, text=one.text.replace(f"{ROOT}/", "$PWD/")) if one.kind == "command" else one for one in said)


def _bring_about(desk: Desk, name: str) -> Stack:
    desk.voice.title(name)
    return bring_about(desk, steps.load(name).TOPOLOGY).stack


def _write(made: Recording) -> None:
    """Writes a recording, unless something is in it that nobody else should see. Raises SilverliningError."""
    data: Mapping[str, Any] = made.data()
    text = json.dumps(data, indent=1, ensure_ascii=False) + "\n"
    if found := leaks(text, (str(ROOT), str(Path.home()) + "/", platform.node())):
        raise SilverliningError(
            _("the recording of {step} would tell too much: {found}").format(step=made.step, found=", ".join(found)),
            _("record it in the checkout's own folder, with an engine that asks no mirror of your own"),
        )
    RECORDED.mkdir(parents=True, exist_ok=True)
    (RECORDED / f"{made.step}.json").write_text(text, encoding="utf-8")
