"""The stack's lock as every operation takes it: who is at work, from where, and how it is known that they still are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from ..host.checkout import commit
from ..host.host import ROOT
from ..host.lifeline import SILENCE
from ..model.stack import ImageRef
from .desk import Desk

if TYPE_CHECKING:
    from ..host.lock import Lock


@contextmanager
def lock(desk: Desk, tools: ImageRef) -> Iterator[Lock]:
    """The stack's lock: one writer at a time, and a line in the trail for each. What is changed is told to its `count`. Raises Busy.

    Inside of `keeping` it is the one that was taken there first, and isn't let go of at the end of this block.
    """
    if desk.kept is None:
        with new_lock(desk, tools.reference) as held:
            yield held
        return
    if desk.held is None:
        desk.held = desk.kept.enter_context(new_lock(desk, tools.reference))
    desk.held.check()
    yield desk.held


def refuse_held(desk: Desk) -> None:
    """Before images are got, which takes long: raises Busy where somebody else is at work already."""
    from ..host import lock

    if desk.held is None:
        lock.refuse_held(desk.host.client, desk.settings.stack)


@contextmanager
def keeping(desk: Desk) -> Iterator[None]:
    """A lock that is taken inside is held to the end of the block: a lesson's proofs stop servers, and nobody should mend them meanwhile."""
    try:
        with ExitStack() as desk.kept:
            yield
    finally:
        desk.kept = desk.held = None


def new_lock(desk: Desk, tools: str) -> Lock:
    """A lock that isn't taken yet; `tools` is the reference of the image that it runs from."""
    from ..host.helpers import sweep
    from ..host.lock import Lock

    sweep(desk.host.client, desk.settings.stack)
    engine, remote = desk.host.engine, desk.host.remote
    login = str(desk.host.context.user) if remote else ""
    # A holder on this machine may be stopped by Ctrl-Z for as long as it likes.
    silence = SILENCE if remote or not engine.local else 0
    return Lock(engine.client, desk.settings.stack, tools, login=login, silence=silence, version=commit(ROOT))
