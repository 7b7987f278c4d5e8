"""The picture of a step, or of what stands: in the terminal, as SVG, as Mermaid text."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import steps

from ..host.host import ROOT
from ..model import mermaid, picture, svg
from ..model.diagram import Live
from ..model.diagram_of import make
from ..model.errors import EngineError, SilverliningError
from ..model.images import IMAGES
from ..model.observed import Observed, choose_subnet
from ..model.settings import Settings
from ..model.stack import Code, ImageRef, Stack, resolve
from ..model.text import _
from .desk import Desk
from .settings import read_settings

ENDINGS = (".svg", ".mmd")


def stack_of(settings: Settings, step_name: str) -> Stack:
    """The stack of a step as it would stand, from the settings alone: no engine is asked, images have the names of the catalogue.

    Raises SilverliningError for a step that there is not.
    """
    topology = _module(step_name).TOPOLOGY
    names = {*(service.image for service in topology.services), "tools"}
    images = {name: ImageRef(name, IMAGES[name].official or IMAGES[name].repository, name) for name in names}
    return resolve(topology, settings, choose_subnet(settings, Observed(settings.stack)), images, Code("app"))


def before_of(step_name: str) -> str:
    """The step that this one's topology derives from; "" for the first one. Raises SilverliningError for a step that there is not."""
    before = getattr(_module(step_name), "BEFORE", None)
    return before.step if before else ""


def title_of(step_name: str) -> str:
    """What stands above the picture of a step."""
    return f"{step_name}: {_module(step_name).LESSON.title}"


def for_docs() -> dict[str, str]:
    """The pictures of docs/, as SVG by their file's name: each step with what is new in it marked, and stack.svg, which `deploy-all` brings up.

    The settings have their defaults.
    """
    settings = read_settings({}, ROOT / "docs" / "none", {})
    texts = {f"{name}.svg": picture_of(settings, name) for name in steps.NAMES}
    return texts | {"stack.svg": svg.draw(stack_of(settings, steps.LAST), title=_("What deploy-all brings up"))}


def picture_of(settings: Settings, step_name: str) -> str:
    """The SVG of a step, what is new since the step before marked."""
    before = before_of(step_name)
    return svg.draw(stack_of(settings, step_name), stack_of(settings, before) if before else None, title=title_of(step_name))


def show(desk: Desk, step: str, since: str, out: str, as_mermaid: bool) -> dict[str, Any]:
    """Draws a step, or what stands, in the terminal or into a file; gives the same as data. Raises SilverliningError."""
    _refuse(step, since, out, as_mermaid)
    if step:
        stack, live = stack_of(desk.settings, step), None
        since = since or before_of(step)
    else:
        stack, live = standing(desk)
    name = stack.topology.step
    before = _like(stack, since) if since else None
    title = title_of(name)
    if out.endswith(".svg"):
        _put_out(desk, Path(out), svg.draw(stack, before, title=title, live=live))
    elif out:
        _put_out(desk, Path(out), mermaid.draw(stack, before, live))
    elif as_mermaid:
        desk.voice.write(mermaid.draw(stack, before, live).rstrip("\n"))
    else:
        desk.voice.title(title)
        desk.voice.write(picture.draw(stack, desk.voice.width, make(stack, before, live)))
    return {"live": live is not None, "file": out, **asdict(make(stack, before, live))}


def _module(name: str) -> Any:
    if name not in steps.NAMES:
        raise SilverliningError(_("there is no step {step}").format(step=name), _("one of: {names}").format(names=", ".join(steps.NAMES)))
    return steps.load(name)


def _refuse(step: str, since: str, out: str, as_mermaid: bool) -> None:
    """What is wrong is said before an engine is asked."""
    for name in filter(None, (step, since)):
        _module(name)
    if out and not out.endswith(ENDINGS):
        raise SilverliningError(
            _("--out {file}: the ending says what is written, and this is none that is known").format(file=out),
            _("end it with .svg for a picture, or with .mmd for Mermaid text"),
        )
    if as_mermaid and out.endswith(".svg"):
        raise SilverliningError(_("--mermaid and a file that ends with .svg: only one of them can be meant"), _("end the file with .mmd"))


def standing(desk: Desk) -> tuple[Stack, Live | None]:
    """The stack at whose step the host is, with as many containers as stand, and what is seen of it; the last step where no engine answers."""
    from .position import find

    try:
        seen = desk.observe()
    except EngineError as error:
        _aside(desk, _("no engine answers ({why}): this is {step} as it would stand").format(why=error.what, step=steps.LAST))
        return stack_of(desk.settings, steps.LAST), None
    position, stack = find(desk, seen)
    if seen.scaled:
        # What was scaled away is not missing.
        stack = find(desk.counted(seen.scaled), seen)[1]
    stack = _grown(desk, stack, seen)
    told = {c.name: _word(seen, c.name) for c in stack.containers}
    faults = frozenset(name for name, (_said, well) in told.items() if not well)
    return stack, Live({name: said for name, (said, _well) in told.items()}, faults, seen.master, position.differences)


def _grown(desk: Desk, stack: Stack, seen: Observed) -> Stack:
    """The same step with what stands beyond the settings' counts."""
    from ..model.compose import counts

    there = {name: max([count, *(c.index for c in seen.containers if c.service == name)]) for name, count in counts(stack).items()}
    if there == counts(stack):
        return stack
    settings = replace(stack.settings, counts={**stack.settings.counts, **there})
    images = {c.image.name: c.image for c in stack.containers} | {"tools": stack.tools}
    grown = resolve(stack.topology, settings, stack.network.subnet, images, Code("app"))
    addresses = {c.name: c.address for c in seen.containers if c.address}
    return replace(grown, containers=tuple(replace(c, address=addresses.get(c.name, c.address)) for c in grown.containers))


def _word(seen: Observed, name: str) -> tuple[str, bool]:
    """A container's state in a word where it is not well, else a Redis' role as `status` says it; and whether it is well."""
    from .status import role

    c = seen.container(name)
    if c is None:
        return _("missing"), False
    if not c.running:
        return c.state, False
    if c.health == "unhealthy":
        return c.health, False
    node = seen.redis.get(name)
    return (role(c, seen), node.role == "master" or node.link_up) if node else (c.health.replace("healthy", ""), True)


def _like(stack: Stack, step_name: str) -> Stack:
    """Another step on the same network with the same images, so that only what the steps differ in differs."""
    other = stack_of(stack.settings, step_name)
    own = {c.image.name: c.image for c in stack.containers}
    images = {"tools": stack.tools} | {c.image.name: c.image for c in other.containers} | own
    return resolve(other.topology, stack.settings, stack.network.subnet, images, Code("app"))


def _aside(desk: Desk, words: str) -> None:
    """A note that must not get between the lines of a picture that goes into a pipe."""
    from ..console.voice import Voice

    Voice(sys.stderr, quiet=desk.voice.quiet).note(words)


def _put_out(desk: Desk, path: Path, text: str) -> None:
    if desk.dry:
        desk.voice.note(_("{file} would be written").format(file=path))
        return
    desk.voice.ok(_("{file} written").format(file=_write(path, text)))


def _write(path: Path, text: str) -> Path:
    """Writes the file whole or not at all. Raises SilverliningError where that can't be."""
    target = path.resolve()
    draft = target.with_name(f".{target.name[-40:]}.{os.getpid()}")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(target)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        raise SilverliningError(
            _("{file} can't be written: {why}").format(file=path, why=(error.strerror or str(error)).lower()),
            _("name a file in a folder that is there and that you may write to"),
        ) from None
    return path
