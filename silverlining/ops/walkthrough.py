"""The walkthrough: the lessons in order, a page at a time, on the host for real; where it goes on is read from the host."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace

import steps

from ..console.keys import HANGUP, Keys, on_terminal
from ..console.screen import Screen
from ..model.compose import STEP as COMPOSE
from ..model.difference import Difference, compare
from ..model.errors import SilverliningError
from ..model.lesson import Act
from ..model.observed import Observed
from ..model.stack import Stack
from ..model.text import _
from ..model.walk import BACK, ENTER, EXPLAIN, QUIT, SHELL, STANDS, Move, Place, Route, resume, talked_about, turn
from .desk import Desk
from .faults import explain as explain_fault
from .install import ensure_engine, missing_engine
from .lesson import placeholders, play_act
from .lock import lock
from .position import find
from .rehearse import rehearse
from .run import bring_about, known
from .scene import Scene
from .shell import open_shell
from .walk_pages import Pages


def walkthrough(desk: Desk, start: str = "", end: str = "", wait: bool = True) -> None:
    """Plays the lessons from `start` (where the host stands) to `end` (the last one). Raises SilverliningError."""
    names = list(steps.NAMES)
    last = known(end) if end else names[-1]
    if start and names.index(known(start)) > names.index(last):
        raise SilverliningError(
            _("--start {start} comes after --end {end}").format(start=start, end=last), _("the order: {names}").format(names=", ".join(names))
        )
    if wait and not desk.dry and not (on_terminal() and desk.voice.terminal):
        raise SilverliningError(_("a walkthrough waits for keys, and here is no terminal"), _("--no-wait plays it through without keys"))
    screen = Screen(paged=wait and not desk.dry)
    screen.program = desk.voice.program
    desk.voice = screen
    step, stack = where(desk)
    first = start or step
    if names.index(first) > names.index(last):
        raise SilverliningError(
            _("the host is at {step}, which comes after --end {end}").format(step=step, end=last), _("--start {end} goes back to it").format(end=last)
        )
    if desk.dry:
        rehearse(desk, names[names.index(first) : names.index(last) + 1])
        return
    # Whoever sees the pages agrees by a key; without keys, a jump to a step asks as the step's own task does.
    desk.yes = desk.yes or wait or not start
    route = Route({name: len(_acts(name)) for name in names}, last)
    Walk(desk, screen, route, stack, Keys() if wait else None).run(first)


def where(desk: Desk) -> tuple[str, Stack | None]:
    """The step with which to go on, and the stack that stands; without an engine the first step, and None."""
    if missing_engine(desk):
        return steps.NAMES[0], None
    seen = desk.observe()
    position, stack = find(desk, seen)
    if any(c.compose for c in seen.containers):
        return COMPOSE, _standing(stack, seen)
    extra = {c.service for c in seen.containers} - {c.service for c in stack.containers}
    services = {name: frozenset(s.name for s in steps.load(name).TOPOLOGY.services) for name in steps.NAMES}
    return resume(position.step, frozenset(extra), services), _standing(stack, seen)


def _standing(stack: Stack, seen: Observed) -> Stack:
    """The stack with those of its containers that are there."""
    return replace(stack, containers=tuple(c for c in stack.containers if seen.container(c.name)))


def _acts(step: str) -> tuple[Act, ...]:
    acts: tuple[Act, ...] = steps.load(step).LESSON.acts
    return acts


class Walk:
    """One walkthrough. `stack` is what stands, as far as it is known; without `keys` nothing is waited for."""

    def __init__(self, desk: Desk, screen: Screen, route: Route, stack: Stack | None, keys: Keys | None) -> None:
        self.desk = desk
        self.screen = screen
        self.route = route
        self.stack = stack
        self.keys = keys
        self.pages = Pages(desk, screen, route, bool(keys))
        self.difference = Difference()
        self.there = False  # the host stands already at the step whose first page is shown

    def run(self, first: str) -> None:
        """From a step's first page until the last act is played or somebody leaves."""
        move = Move("open", Place(first))
        while move.deed not in ("quit", "end"):
            move = self._next(move)
        self.screen.let_go()
        if move.deed == "end":
            self.screen.note(_("This is the end: {step} stands.").format(step=move.place.step))
        else:
            self.screen.note(_("The host stays as it is."))
        self.screen.note(_("`invoke walkthrough` goes on from there, `invoke teardown` clears up."))

    def _next(self, move: Move) -> Move:
        """Does a move, and gives the next one. What goes wrong is shown, and can be tried again."""
        if move.deed != "play":
            self.desk.look_anew()
        try:
            stop = {"open": self.open, "bring": self.bring, "back": self.back, "play": self.play}[move.deed](move.place)
        except Exception as error:
            told = error if isinstance(error, SilverliningError) else explain_fault(error)
            if told is None or not self.keys:
                raise
            self.screen.part()
            self.screen.write()
            self.screen.trouble(str(told))
            return self._answer(move.place, move, told)
        return self._answer(move.place) if stop and self.keys else turn(self.route, move.place, ENTER)

    # ---- moves: each gives whether there is something to look at

    def open(self, place: Place) -> bool:
        """The first page of a step."""
        self.there = False
        self.there = self.pages.opening(place)
        return True

    def bring(self, place: Place) -> bool:
        """Brings the host to a step and shows what stands now, unless that was so before."""
        if self.keys:
            self.pages.begin(place, steps.load(place.step).LESSON.title, hold=False)
        self.screen.brief = f"invoke {place.step} --dry" if self.screen.terminal else ""
        try:
            engine = ensure_engine(self.desk)
            outcome = bring_about(self.desk, steps.load(place.step).TOPOLOGY)
        finally:
            self.screen.brief = ""
        self.desk.yes = True
        self.stack = outcome.stack
        self.difference = compare(outcome.seen, self.desk.observe())
        if outcome.plan:
            self.pages.stands(place, outcome.stack, self.difference)
        return bool(outcome.plan) or engine == "new"

    def back(self, place: Place) -> bool:
        """Brings the host back to a step, and shows what stands now even if that was so before."""
        if not self.bring(place) and self.stack:
            self.pages.stands(place, self.stack, self.difference)
        return True

    def play(self, place: Place) -> bool:
        """Plays an act, and says what it has left changed."""
        assert self.stack
        act = _acts(place.step)[place.act - 1]
        self.pages.begin(place, act.title)
        scene = Scene(self.desk, self.stack)
        before = scene.observe()
        # What proves something stops and pauses what serves.
        with lock(self.desk, self.stack.tools) if act.proofs else nullcontext():
            play_act(scene, act, placeholders(scene))
        difference = compare(before, self.desk.observe())
        if difference.changes or self.screen.fits(2):
            self.screen.write()
        self.pages.changes(difference)
        if not difference.changes and self.screen.fits(1):
            self.screen.write(self.screen.styled("  = " + _("the same containers, network, volumes, roles and keys as before the act"), "dim"))
        return True

    # ---- keys

    def _answer(self, place: Place, failed: Move | None = None, error: SilverliningError | None = None) -> Move:
        """The move that somebody's key means, after all those that only look."""
        while True:
            key = self._press(self._labels(place, failed))
            move = turn(self.route, place, QUIT if key == HANGUP else key)
            if failed and key == ENTER:
                return failed
            if failed and error and move.deed == "quit":
                raise error
            if move.deed == "shell":
                with self.screen.aside():
                    self._shell(place)
            elif move.deed == "explain":
                with self.screen.aside():
                    self.pages.explained(place, self.stack, self.difference)
                    if self._press([(_("Enter"), _("back to the page")), ("q", _("leave"))]) in ("q", HANGUP):
                        return Move("quit", place)
            elif move.deed:
                return move

    def _press(self, labels: Sequence[tuple[str, str]]) -> str:
        """The next key, with all parts of the page turned."""
        assert self.keys
        part, anew = 0, self.screen.full or self.screen.parts > 1 or self.screen.stale
        while True:
            parts = self.screen.parts
            more = [(_("Enter"), _("more ({part} of {parts})").format(part=part + 1, parts=parts)), *labels[1:]]
            with self.keys.waiting():
                if anew:
                    self.screen.again(part)
                self.screen.keys(more if part + 1 < parts else labels)
                while (key := self.keys.read()) not in (ENTER, BACK, SHELL, EXPLAIN, QUIT, HANGUP):
                    pass
            self.screen.after_keys()
            if key != ENTER or part + 1 >= parts:
                return key
            part, anew = part + 1, True

    def _labels(self, place: Place, failed: Move | None) -> list[tuple[str, str]]:
        on = turn(self.route, place, ENTER)
        first = _("first act")
        words = {"bring": first if self.there else _("make it so"), "open": _("next step"), "end": _("end")}
        words["play"] = _("next act") if place.act > STANDS else first
        labels = [(_("Enter"), _("try again") if failed else words[on.deed])]
        if before := self.route.before(place.step):
            labels.append(("b", _("back: {step}").format(step=before)))
        if c := next((c for c in (self.stack.containers if self.stack else ()) if c.name == self._subject(place)), None):
            labels.append(("s", _("shell: {service}").format(service=c.service)))
        return [*labels, ("?", _("picture")), ("q", _("leave"))]

    def _subject(self, place: Place) -> str:
        """The name of the container that the page talks about; "" if there is none."""
        if not self.stack:
            return ""
        return talked_about(_acts(place.step)[place.act - 1] if place.act > STANDS else None, self.stack)

    def _shell(self, place: Place) -> None:
        name = self._subject(place)
        self.pages.begin(place, _("A shell in {name}").format(name=name) if name else _("No container stands"), _("shell"), hold=False)
        try:
            if not name:
                raise SilverliningError(_("there is no container to open a shell in yet"))
            self.screen.text(_("`exit` comes back to the page."))
            open_shell(self.desk, name)
        except SilverliningError as error:
            self.screen.trouble(str(error))
            self._press([(_("Enter"), _("back to the page"))])
