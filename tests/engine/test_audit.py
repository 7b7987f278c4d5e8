"""`audit`: each run that changes something leaves its line on the host, whichever way it ends; nothing else does, and it is nobody's data."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from docker import APIClient

from silverlining.host.lock import Lock, look

from .course import Course, own_stack, until
from .tiny import IMAGE, make_image

STEP = "step01-nginx"
QUICK = (STEP, "--quick")


@pytest.fixture(scope="module")
def course(engine: APIClient) -> Iterator[Course]:
    with own_stack(engine, "sl-audit", 8770, 77) as one:
        yield one


def trail(course: Course, *words: str) -> list[dict[str, Any]]:
    """The operations, as `audit --json` gives them."""
    found: list[dict[str, Any]] = course.json("audit", *words)["operations"]
    return found


def last(course: Course) -> dict[str, Any]:
    """The last operation."""
    return trail(course)[-1]


def ended(course: Course, outcome: str) -> dict[str, Any]:
    """The last operation, once it has ended like this."""
    until(lambda: last(course)["outcome"] == outcome, f"{outcome} in the trail", 15)
    return last(course)


def tools(course: Course) -> str:
    """The image of the lock's container."""
    return str(next(tag for entry in course.client.images("silverlining/tools") for tag in entry["RepoTags"]))


def caught_at_work(course: Course, *words: str) -> subprocess.Popen[str]:
    """A run that holds the lock now."""
    command = [sys.executable, "-m", "invoke", *words]
    pipe = subprocess.PIPE
    run = subprocess.Popen(command, cwd=course.checkout, env=course.environment(), stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True)
    until(lambda: (held := look(course.client, course.stack)) and held.running and held.pid == str(run.pid), "the run holds the lock", 30, 0.01)
    return run


def test_no_trail_is_no_error(course: Course) -> None:
    assert "there is no trail yet" in course.run("audit")
    assert trail(course) == [] and not course.volumes()
    assert "a number of operations" in course.fails("audit", "--last", "-1")


def test_what_was_changed_and_by_whom(course: Course) -> None:
    course.run(*QUICK, "--set", "build.pip_index=https://ann:hunter2@pypi.example/simple")
    one = ended(course, "done")
    assert (one["outcome"], one["changed"], one["stack"], one["login"]) == ("done", {"created": 1}, course.stack, "")
    assert one["command"] == "invoke step01-nginx --quick --set build.pip_index=https://…@pypi.example/simple"
    assert "@" in one["by"] and re.fullmatch("[0-9a-f]{12}|", one["version"])
    assert one["at"] <= one["ended"]
    text = course.run("audit")
    assert "hunter2" not in text and re.search(rf"{re.escape(one['by'])}  +invoke step01-nginx .*  done: created 1\n", text)


def test_what_changes_nothing_leaves_no_line(course: Course) -> None:
    before, standing = trail(course), course.snapshot()
    for words in (
        QUICK,
        (STEP, "--dry", "--set", f"ports.web={course.base}"),
        ("teardown", "--dry", "--volumes"),
        ("status",),
        ("audit",),
        ("check",),
    ):
        course.run(*words)
    course.fails("teardown")
    assert trail(course) == before and course.snapshot() == standing
    course.must_be_at(STEP)


def test_who_is_refused_is_told_by_whom(course: Course) -> None:
    """And leaves no line; the one who works shows as running."""
    before = trail(course)
    with Lock(course.client, course.stack, tools(course), "anna@laptop", "fab -H web1 deploy-all", login="deploy"):
        text = course.fails(*QUICK, "--set", f"ports.web={course.base}")
        assert f"anna@laptop over SSH as deploy is working on the stack {course.stack} since 20" in text
        assert "fab -H web1 deploy-all" in text and f"docker rm -f {course.stack}-lock" in text
        missing = course.fails(*QUICK, SILVERLINING_IMAGES_REFERENCES="upstream/nginx=127.0.0.1:1/none:1")
        assert "anna@laptop" in missing and "named" not in missing, "told before an image is got"
        assert [one["outcome"] for one in trail(course)] == [*(one["outcome"] for one in before), "running"]
        assert re.search("anna@laptop over SSH as deploy .* running\n", course.run("audit"))
    assert ended(course, "done")["by"] == "anna@laptop"
    assert len(trail(course)) == len(before) + 1 and len(trail(course, "--last", "1")) == 1


@pytest.mark.parametrize(("number", "outcome"), [(signal.SIGKILL, "lost"), (signal.SIGINT, "interrupted"), (signal.SIGTERM, "interrupted")])
def test_a_run_that_is_killed(course: Course, number: signal.Signals, outcome: str) -> None:
    """The line says so, and the next run works at once."""
    port = str(course.base if course.client.port(course.name("nginx"), 80)[0]["HostPort"] == str(course.ports["web"]) else course.ports["web"])
    run = caught_at_work(course, *QUICK, "--set", f"ports.web={port}")
    run.send_signal(number)
    _out, errors = run.communicate(timeout=30)
    assert run.returncode == (-number if number == signal.SIGKILL else 1) and "Traceback" not in errors
    one = ended(course, outcome)
    assert one["pid"] == str(run.pid) and ("connection lost" if outcome == "lost" else "interrupted") in one["words"]
    course.run(*QUICK)
    course.must_be_at(STEP)


def test_a_run_that_fails(course: Course, engine: APIClient) -> None:
    """By the first line of its error; what it had done until then stands beside it."""
    made = make_image(engine)
    try:
        text = course.fails(*QUICK, "--yes", SILVERLINING_IMAGES_REFERENCES=f"upstream/nginx={IMAGE}")
    finally:
        if made:
            engine.remove_image(IMAGE, force=True)
    one = ended(course, "failed")
    assert one["error"] and f"✗ {one['error']}" in text and one["words"].startswith("failed: ")
    course.run(*QUICK)
    course.must_be_at(STEP)


def test_a_foreign_volume_of_that_name(course: Course) -> None:
    """It is named as a conflict, and nothing is written into it."""
    course.run("teardown", "--yes", "--volumes")
    volume = f"{course.stack}-audit"
    course.client.create_volume(volume)
    try:
        assert "not ours" in course.fails(*QUICK) and not course.ids() and look(course.client, course.stack) is None
        assert "not ours" in course.fails("audit")
        made = course.client.inspect_volume(volume)
        assert not made["Labels"]
    finally:
        course.client.remove_volume(volume)
    course.run(*QUICK)


def test_it_goes_with_the_data_and_only_then(course: Course) -> None:
    text = course.run("teardown", "--yes")
    assert "trail" not in text and list(course.volumes()) == [f"{course.stack}-audit"]
    assert ended(course, "done")["words"] == "done: removed 1"
    assert "nothing to do" in course.run("teardown", "--yes")
    text = course.run("teardown", "--yes", "--volumes")
    assert f"docker volume rm {course.stack}-audit" in text and f"the trail of who changed what is gone too: {course.stack}-audit" in text
    assert "Redis" not in text, "it is no data"
    assert not course.volumes() and look(course.client, course.stack) is None
    assert "there is no trail yet" in course.run("audit")
    assert "nothing to do" in course.run("teardown", "--yes", "--volumes")


def test_data_beside_it_is_counted_alone(course: Course) -> None:
    course.run("step03-redis", "--quick")
    volumes = len(course.volumes())
    text = course.run("teardown", "--yes", "--volumes")
    assert f"{volumes - 1} volumes" in text and "is gone too" in text and not course.volumes()
