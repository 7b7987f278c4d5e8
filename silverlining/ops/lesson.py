"""Plays a lesson: act by act the text, the commands with their real output, the proofs and the checks."""

from __future__ import annotations

import re
import string
from typing import Any

from ..model.entry import url_of
from ..model.errors import SilverliningError
from ..model.lesson import Act, Lesson
from ..model.stack import Stack
from ..model.text import _
from . import checks, proofs
from .desk import Desk
from .scene import Scene


def play(scene: Scene, lesson: Lesson, words: dict[str, str]) -> None:
    """Plays all acts in order. Raises SilverliningError when a command fails or a claim does not hold."""
    for number, act in enumerate(lesson.acts, 1):
        scene.voice.title(f"{number}/{len(lesson.acts)}  {act.title}")
        play_act(scene, act, words)


def play_act(scene: Scene, act: Act, words: dict[str, str]) -> None:
    """Plays one act."""
    voice = scene.voice
    voice.text(fill(act.text, words))
    for template in act.commands:
        command = fill(template, words)
        voice.command(command)
        result = scene.host.shell(command)
        voice.output(result.stdout.rstrip())
        if not result.ok:
            voice.output(result.stderr.rstrip())
            raise _failed(scene, command, result)
    if act.look:
        voice.note(fill(act.look, words))
    for proof in act.proofs:
        proofs.find(proof.name)(scene, proof.service)
    tell(scene, checks.run_all(scene, act.checks))


def _failed(scene: Scene, command: str, result: Any) -> SilverliningError:
    """A program that the shell doesn't find is told by its own words: `docker exec` ends with 127 too where a container lacks one."""
    lacks = re.search(r"(\S+): (?:command )?not found$", result.stderr, re.MULTILINE)
    if not lacks or lacks[1] not in [part.split()[0] for part in command.split("|") if part.strip()]:
        what = _("`{command}` failed with exit code {code}").format(command=command, code=result.exited)
        return SilverliningError(what, _("invoke status shows what stands"))
    program, where = lacks[1], scene.host.name if scene.host.remote else _("this machine")
    hint = _("install {program} there, then run the same command again").format(program=program)
    if program == "docker":
        hint = _("on Debian 13 and later: apt-get install docker-cli; on earlier ones it comes with docker.io")
    return SilverliningError(_("the lesson's commands need the program {program} on {where}").format(program=program, where=where), hint)


def tell(scene: Scene, results: list[checks.Result]) -> None:
    """Says what checks found. Raises SilverliningError if one failed."""
    for result in results:
        say(scene, result)
    failed = [result for result in results if not result.ok]
    if failed:
        names = ", ".join(result.name for result in failed)
        raise SilverliningError(_("{count} of {all} checks failed: {names}").format(count=len(failed), all=len(results), names=names), failed[0].hint)


def say(scene: Scene | Desk, result: checks.Result) -> None:
    """One result: a line if it is good; expected, seen and what to try if not."""
    if result.ok:
        scene.voice.ok(f"{result.name}: {result.seen}")
        return
    scene.voice.fail(result.name)
    scene.voice.text(_("expected: {text}").format(text=result.expected), "      ")
    scene.voice.text(_("seen:     {text}").format(text=result.seen), "      ")
    scene.voice.text(_("try:      {text}").format(text=result.hint), "      ")


def fill(template: str, words: dict[str, str]) -> str:
    """The template with its placeholders filled; a name that isn't known is a mistake in steps/."""
    return string.Formatter().vformat(template, (), words)


def placeholders(scene: Scene) -> dict[str, str]:
    """The words that acts may use: names of containers and images, ports, addresses."""
    stack: Stack = scene.stack
    settings = stack.settings
    words: dict[str, Any] = {
        "stack": stack.name,
        "network": stack.network.name,
        "gateway": stack.network.gateway,
        "vip": stack.vip,
        "tools": stack.tools.reference,
        "down_after": f"{settings.redis.down_after:g}",
        "url": url_of(stack),
    }
    for c in stack.containers:
        name = c.service.replace("-", "_")
        words[f"{name}_{c.index}"] = c.name
        words.setdefault(name, c.name)
        words.setdefault(f"address_{name}", c.address)
    for service in stack.topology.services:
        words[f"image_{service.image.rsplit('/', 1)[-1].replace('-', '_')}"] = stack.of(service.name)[0].image.reference
    if stack.topology.step == "step09-compose":
        from .compose import compose_words

        words |= compose_words(scene.desk, stack)
    for name, port in vars(settings.ports).items():
        words[f"port_{name}"] = str(port)
    return words
