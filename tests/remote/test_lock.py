"""One at a time from several machines: who works on a host is told, a holder that is gone or silent loses it, and the trail says so."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest

from silverlining.host.lifeline import SILENCE
from silverlining.host.lock import Lock, look
from tests.engine.course import until

from .course import RemoteCourse

pytestmark = pytest.mark.timeout(300)
QUICK = ("step01-nginx", "--quick", "--yes")


def trail(course: RemoteCourse) -> list[dict[str, Any]]:
    """The operations, as `fab -H … audit --json` gives them."""
    found: list[dict[str, Any]] = course.json("audit")["operations"]
    return found


def ended(course: RemoteCourse, run: subprocess.Popen[str], outcome: str) -> None:
    """Waits until the trail says that this run has ended like that."""

    def said() -> bool:
        return [one["outcome"] for one in trail(course) if one["pid"] == str(run.pid)] == [outcome]

    until(said, f"{outcome} in the trail", 15, 0.5)


def caught_at_work(course: RemoteCourse) -> subprocess.Popen[str]:
    """A run that changes the port of what stands, and holds the lock now."""
    now = {port.get("PublicPort") for entry in course.mine() for port in entry["Ports"]}
    run = course.start(*QUICK, "--set", f"ports.web={course.base if course.ports['web'] in now else course.ports['web']}")

    def holds() -> bool:
        held = look(course.client, course.stack)
        return held is not None and held.running and held.pid == str(run.pid)

    until(holds, "the run holds the lock", 60, 0.01)
    return run


@pytest.fixture(params=["shop1", "shop2"])
def course(request: pytest.FixtureRequest) -> Iterator[RemoteCourse]:
    """The smallest step, on either age of Docker and by either way to it: shop2's sshd forwards no socket."""
    one: RemoteCourse = request.getfixturevalue(request.param)
    with one.host.sshd("AllowStreamLocalForwarding no") if request.param == "shop2" else nullcontext():
        assert ("dial-stdio" in one.run(*QUICK)) == (request.param == "shop2")
        yield one


def test_who_was_it_and_as_whom(course: RemoteCourse) -> None:
    course.as_user("deployer").run(*QUICK, "--set", f"ports.web={course.base}")
    one = trail(course)[-1]
    assert (one["login"], one["outcome"], one["changed"]) == ("deployer", "done", {"replaced": 1})
    assert "@" in one["by"] and "-H deployer@" in one["command"] and f"{one['by']} over SSH as deployer" in course.run("audit")
    with Lock(course.client, course.stack, tools(course), "bob@laptop", "fab -H web1 deploy-all", login="root"):
        text = course.fails(*QUICK)
    assert re.search(r"bob@laptop over SSH as root is working on the stack sl-remote since 20.*fab -H web1 deploy-all", text)


def tools(course: RemoteCourse) -> str:
    """The image of the lock's container."""
    return str(next(tag for entry in course.client.images("silverlining/tools") for tag in entry["RepoTags"]))


def test_a_connection_that_is_cut(course: RemoteCourse) -> None:
    """The host lets go by itself, the run says what happened, and the next one goes on."""
    run = caught_at_work(course)
    assert course.host.drop_sessions()
    text = run.communicate(timeout=60)[0]
    assert run.returncode == 1 and "Traceback" not in text, text
    ended(course, run, "lost")
    course.run(*QUICK)
    course.must_be_at("step01-nginx")


@pytest.mark.parametrize("course", ["shop2"], indirect=True)
def test_a_holder_that_falls_silent(course: RemoteCourse) -> None:
    """Stopped, its connection stands for as long as one likes; the lock doesn't, and the run is told before its next change."""
    run = caught_at_work(course)
    run.send_signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        refused = course.as_user("deployer").fails(*QUICK, "--set", "health.interval=9")
        assert re.search(rf"is working on the stack sl-remote since 20.*\(process {run.pid}: fab(ric)? -H ", refused), refused
        until(lambda: look(course.client, course.stack) is None, "the lock is free", SILENCE + 8)
        assert time.monotonic() - began > SILENCE / 2
        ended(course, run, "lost")
        course.run(*QUICK)
        before = course.snapshot()
    finally:
        run.send_signal(signal.SIGCONT)
    text = run.communicate(timeout=60)[0]
    assert run.returncode == 1 and "Traceback" not in text and "was lost" in text, text
    assert course.snapshot() == before


def test_ctrl_c(course: RemoteCourse) -> None:
    run = caught_at_work(course)
    run.send_signal(signal.SIGINT)
    text = run.communicate(timeout=60)[0]
    assert run.returncode == 1 and "interrupted" in text and "Traceback" not in text, text
    ended(course, run, "interrupted")
    assert look(course.client, course.stack) is None
