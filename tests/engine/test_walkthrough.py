"""The walkthrough as somebody in front of a room sees it: the real command in a real pseudo-terminal, on the real engine."""

from __future__ import annotations

import io
import os
import re
import signal
import termios
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pexpect
import pytest
from docker import APIClient
from docker.errors import NotFound

from .course import Course, own_stack, until

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
CLEAR = "\x1b[2J\x1b[H"
WAIT = 90


@pytest.fixture(scope="module")
def course(engine: APIClient) -> Iterator[Course]:
    """A stack of our own: ports 8401 to 8405. The tests go on from where the one before has left the host."""
    with own_stack(engine, "sl-wt", 8400, 32) as one:
        yield one


class Show:
    """A walkthrough in a terminal of its own."""

    def __init__(self, course: Course, *words: str, columns: int = 80, rows: int = 24) -> None:
        self.log = io.StringIO()
        command, *rest = course.line("walkthrough", *words)
        self.child = pexpect.spawn(
            command,
            rest,
            cwd=str(course.checkout),
            env=course.environment(TERM="xterm", COLUMNS="", LINES=""),  # type: ignore[arg-type]
            dimensions=(rows, columns),
            encoding="utf-8",
            timeout=WAIT,
        )
        self.child.logfile_read = self.log
        self.child.delaybeforesend = None
        self.before: Any = termios.tcgetattr(self.child.child_fd)

    def page(self) -> str:
        """The page when a key is waited for, with all its parts turned."""
        text = ""
        while True:
            self.child.expect_exact("q leave")
            text += self.child.before.rsplit(CLEAR, 1)[-1] + self.child.after
            if "Enter more (" not in text.rsplit("───", 1)[-1]:
                return CONTROL.sub("", text)
            self.press("\r")

    def press(self, key: str) -> None:
        self.child.send(key)

    def on(self) -> str:
        """Enter, and the page after it."""
        self.press("\r")
        return self.page()

    def until_act(self, number: int, most: int = 12) -> str:
        """Enter until an act is on the screen."""
        for _enter in range(most):
            text = self.on()
            if f"act {number} of" in text:
                return text
        raise AssertionError(text)

    def says(self, words: str) -> None:
        self.child.expect_exact(words)

    def over(self, code: int) -> str:
        """Waits for the end; the terminal is as it was. Gives what was said last."""
        self.child.expect(pexpect.EOF)
        assert termios.tcgetattr(self.child.child_fd) == self.before, "the terminal has other settings than before"
        self.child.wait()
        status = self.child.exitstatus if self.child.exitstatus is not None else -self.child.signalstatus
        assert status == code and "Traceback" not in self.log.getvalue(), self.log.getvalue()[-3000:]
        return CONTROL.sub("", self.child.before)

    def widest(self) -> str:
        """The longest line of all that was shown."""
        lines = re.split(r"[\r\n]+", CONTROL.sub("", self.log.getvalue().replace(CLEAR, "\n")))
        return max(lines, key=len)


def test_forwards_explained_a_shell_and_back(course: Course) -> None:
    show = Show(course)
    assert "step00-install" in show.page()
    assert "$ docker version" in show.on()

    text = show.on()
    assert "One nginx container" in text and "before    nothing" in text and "+nginx" in text and not course.ids()
    text = show.on()
    assert "What stands now" in text and "━ + ━" in text and "+ new: nginx" in text
    course.must_be_at("step01-nginx")

    assert "act 1 of 6" in (page := show.on()) and "$ docker ps --filter name=sl-wt-nginx-1" in page and "✓ containers" in page
    show.press("?")
    assert "you → nginx" in (picture := show.page()) and "A web server" in picture and "━ + ━" in picture
    assert show.on() == page, "the page is back"

    show.press("s")
    show.says("A shell in sl-wt-nginx-1")
    show.says("exec --interactive --tty sl-wt-nginx-1 sh")
    show.child.expect(r"[#$] ")
    show.press("echo in-$(hostname)\r")
    show.says("in-sl-wt-nginx-1")
    show.press("exit\r")
    assert show.page() == page, "the page is back"

    text = show.until_act(6)
    assert "200 from" in text
    assert "- goes: nginx (serves now)" in show.on() and "sl-wt-nginx-1" in course.ids()
    assert "+ new: django" in show.on() and "step02-django" in course.json("status")["step"]

    show.press("b")
    text = show.page()
    assert "step01-nginx" in text and "- gone: django" in text and "+ new: nginx" in text
    course.must_be_at("step01-nginx")
    stands = course.snapshot()
    show.press("q")
    assert "The host stays as it is." in show.over(0)
    assert course.snapshot() == stands


def test_ctrl_c_in_the_middle_of_an_act(course: Course) -> None:
    course.clean()
    show = Show(course, "--start", "step02-django")
    assert "step02-django" in show.page()
    assert "What stands now" in show.on()
    show.press("\r")
    show.says("$ docker run --rm --network none")
    show.press("\x03")
    text = show.over(1)
    assert "✗ interrupted" in text and "run the same command again" in text

    show = Show(course)
    assert "step02-django" in (text := show.page()) and "it stands already" in text
    assert "act 1 of 3" in show.on(), "the lesson that was cut begins again"
    show.press("\x04")
    show.over(0)
    course.must_be_at("step02-django")


def test_ctrl_c_while_a_key_is_waited_for(course: Course) -> None:
    show = Show(course)
    show.page()
    show.press("\x03")
    assert "✗ interrupted" in show.over(1)


def test_killed_on_the_way_and_in_an_act(course: Course) -> None:
    show = Show(course, "--start", "step03-redis")
    show.page()
    show.press("\r")
    until(lambda: "sl-wt-redis-master-1" in course.ids(), "the first container of the step", 60, 0.02)
    show.child.kill(signal.SIGKILL)
    show.over(-signal.SIGKILL)
    until(lambda: not course.client.containers(all=True, filters={"name": "sl-wt-lock"}), "the lock is free", 20)
    # What serves may have been taken away by then, to be made anew.
    with suppress(NotFound):
        course.client.remove_container("sl-wt-django-1", force=True)

    show = Show(course)
    assert "step03-redis" in (text := show.page()) and "it stands already" not in text
    show.press("?")
    assert "you → redis-master" in show.page()
    show.on()
    assert "What stands now" in show.on()
    course.must_be_at("step03-redis")
    assert "act 1 of 3" in show.on() and "act 2 of 3" in show.on()
    old = course.ids()["sl-wt-django-1"]
    show.press("\r")
    until(lambda: course.ids().get("sl-wt-django-1") != old, "the act takes the container away", 30, 0.01)
    show.child.kill(signal.SIGKILL)
    show.over(-signal.SIGKILL)

    show = Show(course)
    assert "step03-redis" in show.page()
    assert "act 1 of 3" in show.until_act(1)
    show.press("q")
    show.over(0)
    course.must_stand("step03-redis")


def test_sixty_columns(course: Course) -> None:
    show = Show(course, columns=60, rows=20)
    show.page()
    show.until_act(3)
    assert "step04-image" in show.on()
    show.press("?")
    assert "redis-master" in show.page()
    show.on()
    show.press("b")
    assert "What stands now" in show.page()
    show.press("q")
    show.over(0)
    assert len(show.widest()) <= 60, show.widest()


def test_a_terminal_that_hangs_up_ends_it(course: Course) -> None:
    show = Show(course)
    show.page()
    os.close(show.child.child_fd)
    until(lambda: os.waitpid(show.child.pid, os.WNOHANG)[0], "the walkthrough has ended", 20)


def test_a_dry_run_only_tells(course: Course) -> None:
    before = course.snapshot()
    text = course.run("walkthrough", "--dry", "--end", "step09-compose")
    assert text == course.run("--dry", "walkthrough")
    assert course.snapshot() == before
    assert "step09-compose: Compose" in text and "act 3 of 3: Failover" in text and "$ docker exec sl-wt-redis-master-1 redis-ask" in text
    assert "shown: failover" in text and "checked: containers, redis" in text


def test_without_keys(course: Course) -> None:
    before = course.snapshot()
    words = ("walkthrough", "--no-wait", "--start", "step00-install", "--end", "step01-nginx")
    assert "--yes" in course.fails(*words), "a jump back takes away what serves"
    assert course.snapshot() == before
    text = course.run(*words, "--yes")
    course.must_be_at("step01-nginx")
    places = [text.index(f"act {n} of {m} ·") for n, m in ((1, 1), (1, 6), (6, 6))]
    assert places == sorted(places) and "\x1b" not in text and "Enter" not in text
    assert "This is the end: step01-nginx stands." in text


@pytest.mark.parametrize(
    ("words", "says"),
    (
        ((), "--no-wait"),
        (("--start", "step3"), "there is no step step3"),
        (("--end", "x", "--no-wait"), "there is no step x"),
        (("--start", "step03-redis", "--end", "step01-nginx"), "comes after --end"),
        (("--end", "step00-install", "--no-wait"), "the host is at step01-nginx"),
    ),
)
def test_what_is_refused(course: Course, words: tuple[str, ...], says: str) -> None:
    before = course.snapshot()
    assert says in course.fails("walkthrough", *words)
    assert course.snapshot() == before
