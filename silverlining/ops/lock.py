"""The stack's lock as every operation takes it: who is at work, from where, and how it is known that they still are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..host.checkout import commit
from ..host.host import ROOT
from ..host.lifeline import SILENCE
from ..model.stack import ImageRef
from .desk import Desk

if TYPE_CHECKING:
    from ..host.lock import Lock


def lock(desk: Desk, tools: ImageRef) -> Lock:
    """The stack's lock: one writer at a time, and a line in the trail for each. What is changed is told to its `count`."""
    from ..host.helpers import sweep
    from ..host.lock import Lock

    sweep(desk.host.client, desk.settings.stack)
    engine, remote = desk.host.engine, desk.host.remote
    login = str(desk.host.context.user) if remote else ""
    # A holder on this machine may be stopped by Ctrl-Z for as long as it likes.
    silence = SILENCE if remote or not engine.local else 0
    return Lock(engine.client, desk.settings.stack, tools.reference, login=login, silence=silence, version=commit(ROOT))
