"""A recording: what a step's lesson said on a real engine, kept as data, so that its page can be written without one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .lesson import Act, Lesson
from .text import _

# Where a recorded program tells its readers to look something up: no mirror and no registry.
MANUALS = ("docs.djangoproject.com", "docs.docker.com")


@dataclass(frozen=True)
class Said:
    """Something that was said: its `kind` is a method of Voice (command, output, ok, note, table), `text` may have several lines."""

    kind: str
    text: str


@dataclass(frozen=True)
class RecordedCommand:
    """A command of an act: as it stands in the lesson, as it was typed, and what it said."""

    template: str
    line: str
    output: str


@dataclass(frozen=True)
class RecordedAct:
    """An act as it was played: its commands, then what its proofs and checks (here by name) said."""

    commands: tuple[RecordedCommand, ...]
    proofs: tuple[str, ...]
    checks: tuple[str, ...]
    said: tuple[Said, ...]


@dataclass(frozen=True)
class Recording:
    """A lesson as it was played. `words` fill its placeholders; `changes` and `lesson` are seconds that the two parts of the step took.

    `texts` stand for what its proofs and checks, by name, could say then.
    """

    step: str
    engine: str
    changes: float
    lesson: float
    words: Mapping[str, str]
    texts: Mapping[str, str]
    acts: tuple[RecordedAct, ...]

    def data(self) -> dict[str, Any]:
        """For a file of JSON."""
        return asdict(self)

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Recording:
        """From what data() gave. Raises KeyError and TypeError for anything else."""
        acts = tuple(
            RecordedAct(
                tuple(RecordedCommand(**c) for c in act["commands"]),
                tuple(act["proofs"]),
                tuple(act["checks"]),
                tuple(Said(**s) for s in act["said"]),
            )
            for act in data["acts"]
        )
        return cls(**{**data, "acts": acts})


def recorded(act: Act, lines: Iterable[str], look: str, heard: Iterable[Said]) -> RecordedAct:
    """An act from what was heard while it was played; `lines` are its commands and `look` its note, both filled.

    Raises ValueError where it did not go as the act says.
    """
    waiting = list(heard)
    commands = []
    for template, line in zip(act.commands, lines, strict=True):
        if len(waiting) < 2 or waiting[0] != Said("command", line) or waiting[1].kind != "output":
            raise ValueError(_("`{line}` was not heard").format(line=line))
        commands.append(RecordedCommand(template, line, waiting[1].text))
        del waiting[:2]
    if look:
        waiting.remove(Said("note", look))
    return RecordedAct(tuple(commands), tuple(p.name for p in act.proofs), tuple(c.name for c in act.checks), tuple(waiting))


def stale(lesson: Lesson, recording: Recording, texts: Mapping[str, str]) -> str:
    """In what the recording is of another lesson than this one, in words; "" when it is of this one. `texts` are today's."""
    if len(lesson.acts) != len(recording.acts):
        return _("{there} acts were recorded, there are {wanted} now").format(there=len(recording.acts), wanted=len(lesson.acts))
    for number, (act, old) in enumerate(zip(lesson.acts, recording.acts, strict=True), 1):
        facts = (act.commands, tuple(p.name for p in act.proofs), tuple(c.name for c in act.checks))
        before = (tuple(c.template for c in old.commands), old.proofs, old.checks)
        for name, now, then in zip((_("commands"), _("proofs"), _("checks")), facts, before, strict=True):
            if now != then:
                return _("act {number} has other {what} now").format(number=number, what=name)
    if others := [name for name, text in texts.items() if recording.texts.get(name) != text]:
        return _("{names} may say something else now").format(names=", ".join(others))
    return ""


_HOST = r"((?:[a-z0-9-]+\.)+[a-z]{2,})"
_LEAKS = (
    re.compile(r"/(?:home|Users)/[\w.-]+"),
    re.compile(rf"//{_HOST}"),
    re.compile(rf"(?<![\w./-]){_HOST}(?::\d+)?/"),
    # The secrets of a stack are 32 or 64 letters of either case and digits; IDs and hashes have no capitals.
    re.compile(r"(?<![A-Za-z0-9])(?=[a-z0-9]*[A-Z])(?=[A-Z0-9]*[a-z])[A-Za-z0-9]{32,}"),
)


def leaks(text: str, places: Iterable[str] = ()) -> tuple[str, ...]:
    """What must not be published: a machine's paths and names (`places` are known ones), other hosts, secrets. Each once."""
    found = [place for place in places if place and re.search(rf"(?<![\w-]){re.escape(place)}(?![\w-])", text)]
    for pattern in _LEAKS:
        found += [match[0] for match in pattern.finditer(text) if not (match.groups() and match[1] in MANUALS)]
    return tuple(dict.fromkeys(found))
