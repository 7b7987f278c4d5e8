"""Sees to it that an engine answers; installs or starts one where it doesn't."""

from __future__ import annotations

from ..model.text import _, _n
from .desk import Desk


def ensure_engine(desk: Desk) -> str:
    """An engine that answers is left alone ("there"), else one is brought up ("new"); a dry run only shows how (""). Raises EngineError."""
    result = "there"
    if missing := missing_engine(desk):
        desk.voice.note(missing)
        if not _bring_up(desk):
            return ""
        result = "new"
    facts = desk.host.engine
    words = {"version": facts.version, "endpoint": facts.endpoint, "origin": facts.origin}
    desk.voice.ok(_("engine {version} answers at {endpoint} ({origin})").format(**words))
    desk.tell_notes()
    for note in facts.notes:
        desk.voice.note(note)
    return result


def missing_engine(desk: Desk) -> str:
    """Why no engine answers, where one can be brought up here; "" if one does. Raises EngineError where it can't."""
    from ..host.engine import Unreachable

    try:
        _facts = desk.host.engine
    except Unreachable as error:
        if error.cause not in ("missing", "stopped") or not error.default:
            raise
        return error.what
    return ""


def _bring_up(desk: Desk) -> bool:
    from ..host.install import carry_out, look, plan

    shell = desk.host.outside
    todo = plan(look(shell))
    desk.voice.title(_n("Plan: {count} command", "Plan: {count} commands", len(todo.steps)))
    for line in todo.lines():
        desk.voice.command(line)
    if desk.dry:
        return False
    carry_out(shell, todo, desk.voice.note)
    return True
