"""Step 00: sees to it that an engine answers; installs or starts one where it doesn't."""

from __future__ import annotations

from ..host.engine import Unreachable
from ..model.text import _
from .desk import Desk


def ensure_engine(desk: Desk) -> bool:
    """An engine that answers is left alone. False where a dry run has only shown what would bring one up. Raises EngineError."""
    try:
        facts = desk.host.engine
    except Unreachable as error:
        if error.cause not in ("missing", "stopped") or not error.default:
            raise
        desk.voice.note(error.what)
        if not _bring_up(desk):
            return False
        facts = desk.host.engine
    desk.voice.ok(_("engine {version} answers at {endpoint}").format(version=facts.version, endpoint=facts.endpoint))
    return True


def _bring_up(desk: Desk) -> bool:
    from ..host.install import carry_out, look, plan

    shell = desk.host.context
    todo = plan(look(shell))
    desk.voice.title(_("Plan: {count} commands").format(count=len(todo.steps)))
    for line in todo.lines():
        desk.voice.command(line)
    if desk.dry:
        return False
    carry_out(shell, todo, desk.voice.note)
    return True
