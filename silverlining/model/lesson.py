"""A lesson is an ordered tuple of acts; an act is data, so that it can be played here, over SSH, step by step, or on paper."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """Something that must be true and can be asked at any time without changing anything. `name` is one of ops/checks."""

    name: str
    service: str = ""


@dataclass(frozen=True)
class Proof:
    """Something shown by acting on the system; it puts back what it changed. `name` is one of ops/proofs."""

    name: str
    service: str = ""


@dataclass(frozen=True)
class Act:
    """Why (`text`), what is typed (`commands`, with named placeholders such as {nginx}), what to look at, what must now be true.

    Placeholders: a service's name with underscores is its first container ({redis_master}), with a number another one
    ({ping_app_2}); {network}, {gateway}, {stack}, {vip}, {tools}, {url}, {port_web} … are what they say.
    A command's exit code must be 0.
    """

    title: str
    text: str
    commands: tuple[str, ...] = ()
    look: str = ""
    proofs: tuple[Proof, ...] = ()
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True)
class Question:
    """Something to think about when the step stands, and an answer that can be found out on it. Both may hold an act's placeholders."""

    question: str
    answer: str


@dataclass(frozen=True)
class Change:
    """Where the step leaves the article of 2017: what it did then, what stands here now, and why."""

    then: str
    now: str
    why: str


@dataclass(frozen=True)
class Lesson:
    """What a step teaches: a title of a few words, one sentence about it, the acts, what to think about, and what is new since 2017."""

    title: str
    summary: str
    acts: tuple[Act, ...]
    questions: tuple[Question, ...] = ()
    since: tuple[Change, ...] = ()

    @property
    def checks(self) -> tuple[Check, ...]:
        """The checks of all acts, each once."""
        return tuple(dict.fromkeys(check for act in self.acts for check in act.checks))
