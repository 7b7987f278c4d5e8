"""Step 00: sees to it that an engine answers; installs or starts one where it doesn't."""

from __future__ import annotations

from ..host import install
from ..host.engine import Unreachable
from ..model.errors import SilverliningError
from ..model.text import _
from .desk import Desk

MENDABLE = ("missing", "stopped")


def ensure_engine(desk: Desk) -> None:
    """An engine that answers is left alone; one that is missing or stopped is installed and started.

    Raises EngineError for an engine that is there but can't be used, SilverliningError for a dry run that can't go on without one.
    """
    try:
        facts = desk.host.engine
    except Unreachable as error:
        if error.cause not in MENDABLE:
            raise
        todo = install.plan(install.look(desk.host.outside))
        desk.voice.title(_("Plan: get a Docker engine"))
        for line in todo.lines():
            desk.voice.command(line)
        if desk.dry:
            raise SilverliningError(_("no engine answers, so that a dry run ends here"), _("invoke step00-install")) from None
        install.carry_out(desk.host.outside, todo, desk.voice.note)
        desk.host.forget_engine()
        facts = desk.host.engine
    desk.voice.ok(_("engine {version} answers at {endpoint}").format(version=facts.version, endpoint=facts.endpoint))
    for note in facts.notes:
        desk.voice.note(note)
