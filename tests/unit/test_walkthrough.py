"""The walkthrough's pages and keys, on a host that is made up: what is done in which order, what is shown, and what goes wrong."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

import steps
from silverlining.console.screen import Screen
from silverlining.model.errors import SilverliningError, Unhealthy
from silverlining.model.observed import Observed
from silverlining.model.plan import plan
from silverlining.ops import walk_pages
from silverlining.ops import walkthrough as ours
from silverlining.ops.converge import Outcome
from silverlining.ops.walkthrough import Walk, walkthrough, where

from .builders import settings, stack, standing
from .test_voice import Terminal

ACTS = {name: len(steps.load(name).LESSON.acts) for name in steps.NAMES[:-1]}


class Typed:
    """Keys that somebody types, and what was on the screen at each."""

    def __init__(self, room: Room, keys: str) -> None:
        self.room, self.left = room, list(keys)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        yield

    def read(self) -> str:
        self.room.pages.append(self.room.text.rsplit("\x1b[2J\x1b[H", 1)[-1])
        assert self.left, f"waits for a key: {self.room.pages[-1]}"
        return {".": "enter", "!": ""}.get(key := self.left.pop(0), key)


class Room:
    """A host at a step, a desk, and a screen. What was done to the host is noted in `deeds`."""

    def __init__(self, step: str, terminal: bool = True) -> None:
        self.step, self.deeds, self.pages = step, [], []  # type: ignore[var-annotated]
        self.scaled: dict[str, int] = {}
        self.fail: list[Exception] = []
        self.becomes = ""  # the step at which the next act leaves the host
        self.locked = 0
        stream = Terminal() if terminal else io.StringIO()
        self.screen = Screen(stream, paged=terminal)
        engine = SimpleNamespace(version="29", endpoint="unix:///x", origin="here", notes=())
        self.desk: Any = SimpleNamespace(
            voice=self.screen,
            dry=False,
            yes=False,
            scaling=None,
            settings=settings(),
            host=SimpleNamespace(engine=engine, name="localhost", remote=False, direct=True),
            observe=self.observe,
            planned_images=lambda topology: None,
            look_anew=lambda: None,
            tell_notes=lambda: None,
            stack=lambda topology, images, seen: stack(topology.step),
        )

    @property
    def text(self) -> str:
        stream = self.screen.stream
        assert isinstance(stream, io.StringIO)
        return stream.getvalue()

    def observe(self) -> Observed:
        return Observed("silver") if self.step == "step00-install" else standing(stack(self.step), scaled=self.scaled)

    def preview(self, desk: Any, topology: Any) -> Outcome:
        return Outcome(stack(topology.step), self.observe(), plan(stack(topology.step), self.observe()))

    def bring(self, desk: Any, topology: Any) -> Outcome:
        self.deeds.append(topology.step)
        if self.fail:
            raise self.fail.pop(0)
        outcome = self.preview(desk, topology)
        self.step = topology.step
        return outcome

    def act(self, scene: Any, act: Any, words: Any) -> None:
        self.deeds.append(act.title)
        self.screen.text(act.text.split(".")[0].split("{")[0])
        if self.fail:
            raise self.fail.pop(0)
        self.screen.ok(f"said of {act.title}")
        self.step, self.becomes = self.becomes or self.step, ""

    @contextmanager
    def lock(self, desk: Any, tools: Any) -> Iterator[None]:
        self.locked += 1
        yield

    def shell(self, desk: Any, name: str) -> int:
        self.deeds.append(f"shell {name}")
        if self.fail:
            raise self.fail.pop(0)
        return 0

    def walk(self, first: str, keys: str | None, end: str = "step08-netdata") -> list[str]:
        """Walks from a step's first page. Keys: "." is Enter, "!" a terminal that hangs up. Gives what was done."""
        known = None if self.step == "step00-install" else stack(self.step)
        route = ours.Route(ACTS, end)
        Walk(self.desk, self.screen, route, known, Typed(self, keys) if keys is not None else None).run(first)  # type: ignore[arg-type]
        return self.deeds


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "40")

    def make(step: str, **more: Any) -> Room:
        room = Room(step, **more)
        for name, double in {
            "preview": room.preview,
            "bring_about": room.bring,
            "play_act": room.act,
            "open_shell": room.shell,
            "missing_images": lambda desk, topology: [],
            "placeholders": lambda scene: {},
            "Scene": lambda desk, stack: SimpleNamespace(observe=room.observe),
            "lock": room.lock,
            "missing_engine": lambda desk: "",
        }.items():
            for home in (ours, walk_pages):
                if hasattr(home, name):
                    monkeypatch.setattr(home, name, double)
        return room

    return make


TITLES = {name: [act.title for act in steps.load(name).LESSON.acts] for name in ACTS}


def test_forwards_through_two_steps(at: Any) -> None:
    room = at("step01-nginx")
    deeds = room.walk("step02-django", "." * (2 * (2 + 3)), end="step03-redis")
    acts = [act for name in ("step02-django", "step03-redis") for act in steps.load(name).LESSON.acts]
    assert 0 < room.locked == sum(bool(act.proofs) for act in acts) < len(acts), "what proves something has the host to itself"
    assert deeds == ["step02-django", *TITLES["step02-django"], "step03-redis", *TITLES["step03-redis"]]
    assert "This is the end: step03-redis stands." in room.text
    opening, stands, first = room.pages[:3]
    assert "before    -nginx" in opening and "after     +django" in opening and "- goes: nginx (serves now)" in opening
    assert "$ docker run --detach --name silver-django-1 … " in opening
    assert "What stands now" in stands and "┏━ + ━" in stands and "+ new: django" in stands
    assert "act 1 of 3" in first and "the same containers, network, volumes, roles and keys as before" in first


def test_what_an_act_has_changed_is_shown_below_it(at: Any) -> None:
    room = at("step02-django")
    room.becomes = "step03-redis"
    room.walk("step02-django", ".q")
    changed = next(page for page in room.pages if "act 1 of" in page)
    assert "+ new: redis-master, 2 volumes" in changed
    assert "the same containers, network" not in changed


def test_what_the_plan_undoes_of_a_scale_is_said_before_the_key_that_starts_it(at: Any) -> None:
    room = at("step06-haproxy")
    room.scaled = {"ping-app": 5, "sentinel": 3}
    assert room.walk("step07-etcd-confd", "q") == []
    words = " ".join(room.pages[0].split())
    assert "→ ping-app 5 → 3: undoes `scale`; set counts: {ping-app: 5} in silverlining.yaml" in words
    assert "sentinel 3" not in words and "Enter make it so" in words


def test_a_step_that_stands_undoes_nothing(at: Any) -> None:
    room = at("step06-haproxy")
    room.walk("step06-haproxy", "q")
    assert "undoes" not in room.pages[0]


def test_without_keys_the_run_itself_says_what_it_undoes(at: Any) -> None:
    room = at("step06-haproxy", terminal=False)
    room.scaled = {"ping-app": 5}
    room.walk("step07-etcd-confd", None, end="step07-etcd-confd")
    assert "undoes" not in room.text


def test_back_is_for_real_and_its_lesson_comes_again(at: Any) -> None:
    room = at("step02-django")
    deeds = room.walk("step03-redis", "..b.q")
    assert deeds == ["step03-redis", TITLES["step03-redis"][0], "step02-django", TITLES["step02-django"][0]]
    assert room.step == "step02-django"
    assert "- gone: redis-master" in room.pages[3] and "b back: step01-nginx" in room.pages[3]


def test_back_from_a_steps_first_page_shows_where_one_is(at: Any) -> None:
    room = at("step02-django")
    assert room.walk("step03-redis", "bq") == ["step02-django"]
    assert "What stands now" in room.pages[1]


def test_before_the_first_step_back_means_nothing(at: Any) -> None:
    room = at("step00-install")
    assert room.walk("step00-install", "bq") == []
    assert "b back" not in room.text and "shell" not in room.pages[0]


def test_a_step_that_stands_goes_on_with_its_first_act(at: Any) -> None:
    room = at("step03-redis")
    assert room.walk("step03-redis", ".q") == ["step03-redis", TITLES["step03-redis"][0]]
    assert "it stands already" in room.pages[0]
    assert room.text.rstrip().endswith("`invoke teardown` clears up.") and "The host stays as it is." in room.text


def test_a_shell_in_the_container_that_the_page_talks_about(at: Any) -> None:
    room = at("step05-sentinel")
    room.walk("step05-sentinel", ".sq")
    assert room.deeds[-1] == "shell silver-redis-master-1" and "s shell: redis-master" in room.pages[1]
    assert room.pages[2] == room.pages[1], "the page is back"


def test_a_shell_that_cannot_be_opened_is_no_end(at: Any) -> None:
    room = at("step01-nginx")
    room.fail = []
    typed = ".s.q"
    act = room.act

    def then_fail(*words: Any) -> None:
        act(*words)
        room.fail.append(SilverliningError("silver-nginx-1 is paused"))

    ours.play_act = then_fail  # type: ignore[assignment]  # the fixture's patch puts it back
    room.walk("step01-nginx", typed)
    assert "✗ silver-nginx-1 is paused" in room.pages[2] and room.pages[3] == room.pages[1]


def test_the_picture_is_explained_and_the_page_comes_back(at: Any) -> None:
    room = at("step04-image")
    room.walk("step05-sentinel", ".?.q")
    picture = room.pages[2]
    assert "you → ping-app → redis-master" in picture and "Watches Redis" in picture and "+sentinel ×3" in picture
    assert "the Redis master now is silver-redis-master-1" in picture
    assert room.pages[3] == room.pages[1]


def test_one_can_leave_from_the_picture_and_before_anything_stands(at: Any) -> None:
    room = at("step00-install")
    assert room.walk("step00-install", "?q") == []
    assert "Nothing stands yet" in room.pages[1] and "The host stays as it is." in room.text


@pytest.mark.parametrize("key", ("q", "!"))
def test_leaving_changes_nothing(at: Any, key: str) -> None:
    room = at("step03-redis")
    assert room.walk("step04-image", key) == [] and room.step == "step03-redis"


def test_what_goes_wrong_is_shown_and_can_be_tried_again(at: Any) -> None:
    room = at("step02-django")
    room.fail = [Unhealthy("it is not healthy", "docker logs it"), Unhealthy("still not")]
    room.walk("step03-redis", "....q")
    assert room.deeds == ["step03-redis", "step03-redis", "step03-redis", TITLES["step03-redis"][0]]
    assert "✗ it is not healthy" in room.pages[1] and "→ docker logs it" in room.pages[1] and "Enter try again" in room.pages[1]


def test_leaving_after_an_error_is_that_error(at: Any) -> None:
    room = at("step03-redis")
    act = room.act

    def broken(*words: Any) -> None:
        room.fail.append(Unhealthy("a check failed"))
        act(*words)

    ours.play_act = broken  # type: ignore[assignment]
    with pytest.raises(Unhealthy, match="a check failed"):
        room.walk("step03-redis", ".q")


def test_a_bug_stays_a_bug(at: Any) -> None:
    room = at("step02-django")
    room.fail = [ZeroDivisionError()]
    with pytest.raises(ZeroDivisionError):
        room.walk("step03-redis", ".")


def test_without_keys_all_is_played_in_plain_lines(at: Any) -> None:
    room = at("step00-install", terminal=False)
    deeds = room.walk("step00-install", None, end="step03-redis")
    assert deeds == [word for step in steps.NAMES[:4] for word in (step, *TITLES[step])]
    assert "\x1b" not in room.text and "Enter" not in room.text
    assert "step03-redis · act 2 of 3 · Each hit adds one" in room.text


def test_without_keys_the_first_error_ends_it(at: Any) -> None:
    room = at("step02-django", terminal=False)
    room.fail = [Unhealthy("it is not healthy")]
    with pytest.raises(Unhealthy):
        room.walk("step03-redis", None)


def test_a_page_that_is_too_long_is_turned(at: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINES", "24")
    room = at("step03-redis")

    def long(scene: Any, act: Any, words: Any) -> None:
        for number in range(40):
            room.screen.write(f"  line {number};")

    ours.play_act = long  # type: ignore[assignment]
    room.walk("step03-redis", "...q")
    assert "Enter more (1 of 3)" in room.pages[1] and "line 3;" in room.pages[1] and "line 39;" not in room.pages[1]
    assert "line 39;" in room.pages[3] and "Enter next act" in room.pages[3]
    assert all(len(page.splitlines()) <= 24 for page in room.pages)
    assert "The host stays as it is." in room.text


# ---- where it goes on, and what is refused


def found(monkeypatch: pytest.MonkeyPatch, room: Room, step: str, seen: Observed) -> str:
    monkeypatch.setattr(ours, "find", lambda desk, seen: (SimpleNamespace(step=step), stack(step)))
    room.desk.observe = lambda: seen
    return where(room.desk)[0]


def test_it_goes_on_where_the_host_stands(at: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    room = at("step02-django")
    assert found(monkeypatch, room, "step02-django", standing(stack("step02-django"))) == "step02-django"
    assert found(monkeypatch, room, "step02-django", standing(stack("step03-redis"))) == "step03-redis"
    assert found(monkeypatch, room, "step00-install", Observed("silver")) == "step00-install"


def test_a_host_that_compose_has_begun_with_goes_on_with_compose(at: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    seen = standing(stack("step08-netdata"))
    mixed = replace(seen, containers=(replace(seen.containers[0], compose=True), *seen.containers[1:]))
    assert found(monkeypatch, at("step08-netdata"), "step08-netdata", mixed) == "step09-compose"


def test_only_what_stands_is_taken_for_standing(at: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    room = at("step03-redis")
    monkeypatch.setattr(ours, "find", lambda desk, seen: (SimpleNamespace(step="step03-redis"), stack("step03-redis")))
    room.desk.observe = lambda: standing(stack("step02-django"))
    _step, known = where(room.desk)
    assert known and [c.service for c in known.containers] == ["django"]


def test_without_an_engine_it_begins_at_the_beginning(at: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    room = at("step00-install")
    for home in (ours, walk_pages):
        monkeypatch.setattr(home, "missing_engine", lambda desk: "no Docker engine is installed here")
    room.desk.observe = lambda: pytest.fail("nobody is there to be asked")
    assert where(room.desk) == ("step00-install", None)
    assert room.walk("step00-install", "q") == []
    assert "no Docker engine is installed here" in room.pages[0] and "this step brings one up" in room.pages[0]


@pytest.mark.parametrize(
    ("words", "says"),
    (
        ({"start": "step10-x"}, "there is no step step10-x"),
        ({"end": "nginx"}, "there is no step nginx"),
        ({"start": "step03-redis", "end": "step01-nginx"}, "--start step03-redis comes after --end step01-nginx"),
        ({}, "--no-wait plays it through without keys"),
        ({"end": "step01-nginx", "wait": False}, "the host is at step03-redis, which comes after --end step01-nginx"),
    ),
)
def test_what_is_refused(at: Any, monkeypatch: pytest.MonkeyPatch, words: dict[str, Any], says: str) -> None:
    room = at("step03-redis", terminal=False)
    monkeypatch.setattr(ours, "where", lambda desk: ("step03-redis", stack("step03-redis")))
    with pytest.raises(SilverliningError) as caught:
        walkthrough(room.desk, **words)
    assert says in str(caught.value) and caught.value.hint
    assert room.deeds == []


@pytest.mark.parametrize(("start", "yes", "agreed"), (("", False, True), ("step01-nginx", False, False), ("step01-nginx", True, True)))
def test_without_keys_a_jump_is_not_agreed_to(at: Any, monkeypatch: pytest.MonkeyPatch, start: str, yes: bool, agreed: bool) -> None:
    room = at("step03-redis", terminal=False)
    monkeypatch.setattr(ours, "where", lambda desk: ("step03-redis", stack("step03-redis")))
    asked = []
    monkeypatch.setattr(ours, "bring_about", lambda desk, topology: asked.append(desk.yes) or room.bring(desk, topology))
    room.desk.yes = yes
    walkthrough(room.desk, start, "step04-image", wait=False)
    assert asked[0] is agreed and set(asked[1:]) == {True}


def test_dry_only_tells(at: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    room = at("step03-redis", terminal=False)
    monkeypatch.setattr(ours, "where", lambda desk: ("step03-redis", stack("step03-redis")))
    told: list[list[str]] = []
    monkeypatch.setattr(ours, "rehearse", lambda desk, names: told.append(names))
    room.desk.dry = True
    walkthrough(room.desk, "", "step05-sentinel")
    assert told == [["step03-redis", "step04-image", "step05-sentinel"]] and room.deeds == []
