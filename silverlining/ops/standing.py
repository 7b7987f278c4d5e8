"""The containers that a person names by their service: those that stand, or an error that says what does."""

from __future__ import annotations

from collections.abc import Iterable

import steps

from ..host.observe import standing
from ..model.errors import SilverliningError
from ..model.observed import SeenContainer
from ..model.scale import did_you_mean
from ..model.text import _
from .desk import Desk


def course_services() -> dict[str, str]:
    """Each service of the course, and the first step in which it stands."""
    found: dict[str, str] = {}
    for name in steps.NAMES:
        for service in steps.load(name).TOPOLOGY.services:
            found.setdefault(service.name, name)
    return found


def chosen(desk: Desk, services: Iterable[str] = ()) -> tuple[SeenContainer, ...]:
    """The containers of these services, or of all, as they stand. Raises SilverliningError for a service of which none stands."""
    there = standing(desk.host.client, desk.settings.stack)
    if not there:
        raise SilverliningError(
            _("nothing of {stack} stands").format(stack=desk.settings.stack),
            _("invoke deploy-all brings everything up, invoke step01-nginx begins the course"),
        )
    names = list(dict.fromkeys(services))
    for name in names:
        _refuse_absent(name, {c.service for c in there})
    return tuple(c for c in there if not names or c.service in names)


def _refuse_absent(name: str, there: set[str]) -> None:
    if name in there:
        return
    known = course_services()
    stand = _("what stands: {names}").format(names=", ".join(sorted(there)))
    if name not in known:
        raise SilverliningError(_("{name}: there is no such service").format(name=name), did_you_mean(name, sorted({*known, *there}), stand))
    raise SilverliningError(_("{name} does not stand now").format(name=name), f"{stand}; " + _("invoke {step} brings it").format(step=known[name]))
