"""The trail of who changed what on a host, and when: its lines as data, and what of a command and of an error may stand in them.

A line is a JSON object. Each operation has one when it begins and one when it ends, with the same `op`; the time is the docker host's.
"""

from __future__ import annotations

import json
import re
import shlex
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any

from .actions import Action
from .text import _

LONGEST = 400  # characters of a text in the trail
OUTCOMES = ("done", "failed", "interrupted", "lost", "stopped")
# What an action counts as. The rest (networks, volumes, drains) goes with these.
KINDS = {
    "Run": "created",
    "Replace": "replaced",
    "Remove": "removed",
    **dict.fromkeys(("Start", "Unpause", "Mend", "AttachReplica", "ResetSentinels"), "mended"),
    "MoveMaster": "moved",
    **dict.fromkeys(("PutKey", "DeleteKey"), "keys"),
}
SECRET = re.compile(r"(?i)((?:password|passwd|passphrase|secret|token|credential|api[-_.]?key)[\w.-]*[=:])\S+")
LOGIN_IN_URL = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^\s/@]+@")


@dataclass(frozen=True)
class Operation:
    """One operation of the trail. `at` and `ended` are the host's times in UTC (ISO 8601), "" if unknown.

    `outcome` is one of OUTCOMES, "" while it is open; `changed` counts what was done by kind. `by` is user@machine where the command was typed,
    `login` whom it logged in to the host as ("" without SSH).
    """

    op: str
    at: str
    stack: str
    by: str
    login: str
    pid: str
    command: str
    version: str
    ended: str = ""
    outcome: str = ""
    error: str = ""
    changed: Mapping[str, int] = field(default_factory=dict)


def volume_of(stack: str) -> str:
    """The name of the volume that holds a stack's trail."""
    return f"{stack}-audit"


def plain(text: str, longest: int = LONGEST) -> str:
    """A text on one line without control characters, without what looks like a password, and not too long."""
    text = "".join(" " if unicodedata.category(c) in ("Cc", "Cs", "Cf", "Zl", "Zp") else c for c in text)
    text = LOGIN_IN_URL.sub(r"\1…@", SECRET.sub(r"\1…", " ".join(text.split())))
    return text if len(text) <= longest else text[: longest - 1] + "…"


def command_of(argv: Sequence[str]) -> str:
    """The command line as it may be shown and kept."""
    if not argv:
        return ""
    program = PurePath(argv[0])
    name = program.parent.name if program.name == "__main__.py" else program.name  # python -m invoke
    words = list(argv[1:])
    if words[:1] == ["--search-root"]:  # the launcher's, no person's
        del words[:2]
    return plain(shlex.join([name, *words]))


def person(by: str, login: str) -> str:
    """Who it was, in words."""
    return _("{who} over SSH as {login}").format(who=by, login=login) if login else by


def tally(actions: Iterable[Action]) -> dict[str, int]:
    """How many actions of each kind."""
    found: dict[str, int] = {}
    for action in actions:
        if kind := KINDS.get(type(action).__name__):
            found[kind] = found.get(kind, 0) + 1
    return found


def difference(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, int]:
    """The same from the containers' IDs by name, before and after."""
    both = before.keys() & after.keys()
    found = {
        "created": len(after.keys() - before.keys()),
        "replaced": sum(before[name] != after[name] for name in both),
        "removed": len(before.keys() - after.keys()),
    }
    return {kind: count for kind, count in found.items() if count}


def fragment(**facts: object) -> str:
    """The facts as the rest of a JSON object whose beginning the docker host writes: plain ASCII on one line."""
    return json.dumps(facts, separators=(",", ":"))[1:]


def read(text: str) -> list[Operation]:
    """The operations of a trail in their order. What was cut off by a crash, or has lost its beginning by trimming, is left out."""
    found: dict[str, Operation] = {}
    for line in text.split("\n"):
        facts = _object(line)
        op, event = str(facts.get("op", "")), facts.get("event")
        if event == "begin" and op:
            stack, by, login, pid, command, version = (plain(str(facts.get(name, ""))) for name in ("stack", "by", "as", "pid", "command", "version"))
            found[op] = Operation(plain(op), _time(facts), stack, by, login, pid, command, version)
        elif event in OUTCOMES and op in found:
            changed = facts.get("changed")
            found[op] = replace(
                found[op],
                ended=_time(facts),
                outcome=str(event),
                error=plain(str(facts.get("error", ""))),
                changed={plain(k): v for k, v in changed.items() if isinstance(v, int)} if isinstance(changed, dict) else {},
            )
    return list(found.values())


def _object(line: str) -> dict[str, Any]:
    # What a crash of the host has left unwritten reads as zeros.
    try:
        data = json.loads(line.strip("\0 \r"))
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _time(facts: Mapping[str, Any]) -> str:
    text = str(facts.get("at", ""))
    return text if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", text) else ""


def result(one: Operation, running: bool = False) -> str:
    """How an operation ended and what it changed, in a few words."""
    words = {
        "done": _("done"),
        "failed": _("failed"),
        "interrupted": _("interrupted"),
        "lost": _("connection lost"),
        "stopped": _("the engine was stopped"),
        "": _("running") if running else _("no end known"),
    }[one.outcome]
    changes = ", ".join(f"{_kind(kind)} {count}" for kind, count in one.changed.items())
    return ": ".join(filter(None, (words, changes, one.error)))


def _kind(kind: str) -> str:
    return {
        "created": _("created"),
        "replaced": _("replaced"),
        "removed": _("removed"),
        "mended": _("mended"),
        "moved": _("master moved"),
        "keys": _("keys in etcd"),
        "volumes": _("volumes removed"),
        "counter": _("counter restored to"),
    }.get(kind, kind)
