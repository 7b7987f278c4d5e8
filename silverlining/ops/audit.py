"""Who changed what on a host, and when: the trail that the lock has written, as a table and as data."""

from __future__ import annotations

from typing import Any

from ..host import trail
from ..host.lock import look
from ..model.audit import Operation, person, read, result
from ..model.errors import SilverliningError
from ..model.text import _
from .desk import Desk


def audit(desk: Desk, last: str = "20") -> dict[str, Any]:
    """Shows the `last` operations (0: all) and gives them as data, the newest at the end. Raises SilverliningError."""
    if not last.isascii() or not last.isdigit():
        raise SilverliningError(_("--last {text}: a number of operations, 0 for all").format(text=last), _("for example --last 50"))
    client, stack, voice = desk.host.client, desk.settings.stack, desk.voice
    text = trail.read(client, stack, lambda: _image(desk))
    operations = read(text or "")
    shown = operations[-int(last) :]
    held = look(client, stack)
    running = held.op if held and held.running else ""
    voice.title(_("What was changed on {stack}, and by whom").format(stack=stack))
    head = (_("when (UTC, the host's clock)"), _("who"), _("command"), _("result"))
    rows = [(one.at.replace("T", " ").rstrip("Z") or "?", person(one.by, one.login), one.command, result(one, one.op == running)) for one in shown]
    voice.table(head, rows)
    if not shown:
        voice.note(_("there is no trail yet: it begins with the first run that changes something"))
    elif len(shown) < len(operations):
        voice.note(_("{count} older ones; `--last 0` shows all").format(count=len(operations) - len(shown)))
    return {"stack": stack, "operations": [_facts(one, running) for one in shown]}


def _facts(one: Operation, running: str) -> dict[str, Any]:
    facts = vars(one) | {"changed": dict(one.changed), "words": result(one, one.op == running)}
    return facts | {"outcome": one.outcome or ("running" if one.op == running else "unknown")}


def _image(desk: Desk) -> str:
    """An image of the engine, whichever: the container through which the volume is read is never started. Raises SilverliningError."""
    if tools := desk.store.at_hand("tools"):
        return str(tools)
    for entry in desk.host.client.images():
        return str(entry["Id"])
    raise SilverliningError(_("there is no image on the docker host through which the trail could be read"), _("invoke images says how they are got"))
