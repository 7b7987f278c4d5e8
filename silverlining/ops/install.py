"""Step 00: sees to it that an engine answers; installs or starts one where it doesn't."""

from __future__ import annotations

from ..model.errors import EngineError
from ..model.text import _
from .desk import Desk


def ensure_engine(desk: Desk) -> None:
    """An engine that answers is left alone. Raises EngineError or SilverliningError when none can be had."""
    try:
        facts = desk.host.engine
    except EngineError:
        from ..host.install import install

        install(desk)
        desk.host.__dict__.pop("engine", None)
        facts = desk.host.engine
    desk.voice.ok(_("engine {version} answers at {endpoint}").format(version=facts.version, endpoint=facts.endpoint))
