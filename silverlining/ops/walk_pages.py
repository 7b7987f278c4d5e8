"""The pages of a walkthrough: a step's first page, what stands now, and the picture explained."""

from __future__ import annotations

import steps

from ..console.fold import fold
from ..console.screen import Screen
from ..model.compose import STEP as COMPOSE
from ..model.difference import CHANGED, GONE, NEW, Difference, forecast
from ..model.explain import explain, way
from ..model.lesson import Lesson
from ..model.sketch import painted, sketch
from ..model.stack import Stack
from ..model.text import _
from ..model.walk import OPENING, STANDS, Place, Route
from .converge import missing_images, preview, say_undone, show_briefly
from .desk import Desk
from .install import missing_engine
from .open import way_in
from .position import as_defined


class Pages:
    """Writes pages on a screen. `wait`: somebody reads them one by one."""

    def __init__(self, desk: Desk, screen: Screen, route: Route, wait: bool) -> None:
        self.desk = desk
        self.screen = screen
        self.route = route
        self.wait = wait

    def begin(self, place: Place, title: str, right: str = "", hold: bool = True) -> None:
        """A new page with its heading; `right` instead of the number of the act or step."""
        names = list(self.route.acts)
        if not right and place.act > STANDS:
            right = _("act {number} of {count}").format(number=place.act, count=self.route.acts[place.step])
        right = right or _("step {number} of {count}").format(number=names.index(place.step) + 1, count=len(names))
        self.screen.begin(place.step, right, title, hold)

    def opening(self, place: Place) -> bool:
        """A step's first page: what it is about, what stands before it and what it will change. Gives whether it stands already."""
        lesson: Lesson = steps.load(place.step).LESSON
        self.begin(place, lesson.title)
        self.screen.text(lesson.summary)
        self.screen.write()
        if missing := missing_engine(self.desk):
            self.screen.note(missing)
            self.screen.note(_("this step brings one up"))
            return False
        topology, seen = steps.load(place.step).TOPOLOGY, self.desk.observe()
        outcome = None if place.step == COMPOSE else preview(self.desk, topology)
        stack = outcome.stack if outcome else self.desk.stack(topology, self.desk.planned_images(topology), seen)
        expected = forecast(seen, stack, as_defined(stack, seen))
        there = not expected.changes and not (outcome and outcome.plan)
        if expected.changes:
            self._before_and_after(expected)
            self.changes(expected, {NEW: _("comes"), CHANGED: _("is made anew"), GONE: _("goes")})
        elif expected.after:
            self.screen.strip(_("stands"), expected.after)
        if there:
            self.screen.note(_("it stands already: the lesson begins with its first act"))
        elif self.wait:
            # The key that starts it is the agreement to it. Where none is waited for, the run itself says so at once.
            say_undone(self.desk, stack, seen)
        if missing_here := missing_images(self.desk, topology):
            self.screen.note(_("images that are fetched or built first: {names}").format(names=", ".join(missing_here)))
        if outcome and outcome.plan and self.wait:
            self.screen.part()
            self.screen.write()
            self.screen.text(_("In docker commands:"))
            self.screen.brief = f"invoke {place.step} --dry"
            show_briefly(self.desk, outcome.plan, min(4, max(2, self.screen.room - self.screen.written - 1)))
            self.screen.brief = ""
        return there

    def stands(self, place: Place, stack: Stack, difference: Difference) -> None:
        """What stands now, as a picture in which the new is marked."""
        self.begin(place, _("What stands now"))
        screen, address = self.screen, way_in(self.desk, stack)
        below = sum(len(fold(f"  {sign} {words}", screen.width)) for sign, words in _said(difference)) + 1
        below += len(fold(f"  → {address}", screen.width)) if address else 0
        picture = self._picture(stack, difference, screen.room - below)
        if not screen.paged or 6 + len(picture) + below <= screen.room:
            self._before_and_after(difference)
            screen.write()
        for line in picture:
            screen.write(line)
        screen.write()
        self.changes(difference)
        if address:
            screen.note(address)

    def explained(self, place: Place, stack: Stack | None, difference: Difference) -> None:
        """The picture of what stands, and what its parts are."""
        if not stack or not stack.containers:
            self.begin(place, _("Nothing stands yet"), _("the picture"))
            self.screen.text(_("No container of this stack stands. The first one comes with step01-nginx."))
            return
        self.begin(place, way(stack), _("the picture"))
        difference = difference if place.act > OPENING else Difference()
        for line in self._picture(stack, difference, self.screen.room):
            self.screen.write(line)
        self.screen.part()
        self.screen.entries([(f"{_sign(stack, difference, service)}{title}", words) for service, title, words in explain(stack)])
        self.screen.part()
        self.screen.write()
        self.screen.text(_("*:80 is a port that is open to all; :80 is open on this host only; private is reached inside the stack's network only."))
        if any(difference.signs.get(c.name) for c in stack.containers):
            self.screen.text(_("+ new in this step   ~ made anew by it"))
        if master := self.desk.observe().master:
            self.screen.note(_("the Redis master now is {name}").format(name=master))

    def changes(self, difference: Difference, verbs: dict[str, str] | None = None) -> None:
        """A line for what is new, one for what was changed, one for what is gone."""
        for sign, words in _said(difference, verbs):
            self.screen.signed(sign, words)

    def _before_and_after(self, difference: Difference) -> None:
        nothing = (("", _("nothing")),)
        self.screen.strip(_("before"), difference.before or nothing)
        self.screen.strip(_("after"), difference.after or nothing)

    def _picture(self, stack: Stack, difference: Difference, room: int) -> list[str]:
        """The picture's lines, in as few as `room` asks for where pages are shown."""
        lines = sketch(stack, self.screen.width, difference.signs, max(room, 1) if self.screen.paged else 0)
        return [painted(line, self.screen.sign) for line in lines]


def _said(difference: Difference, verbs: dict[str, str] | None = None) -> list[tuple[str, str]]:
    """(sign, words) of a difference."""
    verbs = verbs or {NEW: _("new"), CHANGED: _("changed"), GONE: _("gone")}
    return [(sign, f"{verbs[sign]}: {', '.join(said)}") for sign, said in difference.changes.items()]


def _sign(stack: Stack, difference: Difference, service: str) -> str:
    signs = {difference.signs.get(c.name, "") for c in stack.of(service)}
    return signs.pop() if len(signs) == 1 else CHANGED
