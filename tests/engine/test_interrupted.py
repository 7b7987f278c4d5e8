"""Runs that end in the middle, by the person, by a fault or by another run: a clear message, and the next run converges."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from docker import APIClient
from docker.errors import NotFound

from tests.remote.images import store

from .course import Course, Run, copy_checkout, own_stack, until
from .load import get
from .second import SecondEngine, needs_second_engine


@pytest.fixture(scope="module")
def course(engine: APIClient) -> Iterator[Course]:
    """A stack of our own: ports 8201 to 8205."""
    with own_stack(engine, "sl-fail", 8200, 20) as one:
        yield one


def running(course: Course, name: str) -> bool:
    with suppress(NotFound):
        return bool(course.client.inspect_container(name)["State"]["Running"])
    return False


def must_go_on(course: Course) -> None:
    """The lock is free, and the next run brings step03 about."""
    until(lambda: not course.client.containers(all=True, filters={"name": "sl-fail-lock"}), "the lock is free", 20)
    course.run("step03-redis", "--yes")
    course.must_stand("step03-redis")


def test_interrupted_while_it_converges(course: Course, tmp_path: Path) -> None:
    run = Run(course, tmp_path / "log", "step03-redis", "--yes")
    run.says("Changes")
    text = run.end(signal.SIGINT)
    assert run.process.returncode == 1 and "Traceback" not in text
    assert text.rstrip().endswith("✗ interrupted\n  → run the same command again: it goes on from what stands"), text[-600:]
    must_go_on(course)
    course.run("teardown", "--yes")


def test_killed_while_it_converges(course: Course, tmp_path: Path) -> None:
    run = Run(course, tmp_path / "log", "step03-redis", "--yes")
    until(lambda: "sl-fail-django-1" in course.ids(), "the container is made", 60, 0.01)
    run.end(signal.SIGKILL)
    assert run.process.returncode == -signal.SIGKILL
    must_go_on(course)


def test_a_lesson_that_is_interrupted(course: Course, tmp_path: Path) -> None:
    """By Ctrl-C, SIGTERM and kill -9."""
    for number, code in ((signal.SIGINT, 1), (signal.SIGTERM, 1), (signal.SIGKILL, -9)):
        run = Run(course, tmp_path / f"log{number}", "step03-redis", "--play")
        run.says("2/")
        text = run.end(number)
        assert run.process.returncode == code and "Traceback" not in text and (code != 1 or "✗ interrupted" in text), text[-600:]
    must_go_on(course)


def test_ctrl_c_ends_a_command_that_a_lesson_runs(course: Course, tmp_path: Path) -> None:
    """To the task alone, as `kill -INT` sends it: the command must not go on for its own time."""
    copy = Course(course.client, "sl-fail", 8200, 20, copy_checkout(tmp_path / "copy"))
    module = copy.checkout / "steps/step01_nginx.py"
    module.write_text(module.read_text() + "\n\nfrom dataclasses import replace\n\nfirst = replace(LESSON.acts[0], commands=('sleep 50',))\n")
    module.write_text(module.read_text() + "LESSON = replace(LESSON, acts=(first, *LESSON.acts[1:]))\n")
    run = Run(copy, tmp_path / "log", "step01-nginx", "--yes")
    run.says("$ sleep 50")
    began = time.monotonic()
    text = run.end(signal.SIGINT)
    assert run.process.returncode == 1 and "✗ interrupted" in text and "Traceback" not in text
    assert time.monotonic() - began < 20
    must_go_on(course)


def test_a_second_run_while_one_is_going_on(course: Course, tmp_path: Path) -> None:
    course.run("teardown", "--yes")
    run = Run(course, tmp_path / "log", "step03-redis", "--yes")
    until(lambda: running(course, "sl-fail-lock"), "the first run holds the lock", 60, 0.01)
    run.process.send_signal(signal.SIGSTOP)
    try:
        for words in (("step03-redis", "--yes"), ("step01-nginx", "--yes"), ("teardown", "--yes")):
            if words[0] == "teardown" and not course.mine():
                continue
            text = course.fails(*words)
            assert f"process {run.process.pid}" in text and "step03-redis --yes" in text and "since 20" in text, text[-800:]
            assert "docker rm -f sl-fail-lock" in text
        assert course.json("status")["stack"] == "sl-fail"
    finally:
        run.process.send_signal(signal.SIGCONT)
    assert run.process.wait(120) == 0, run.text[-2000:]
    must_go_on(course)


def readable_copy(course: Course, place: Path) -> Course:
    """The stack from a copy of the checkout that may be edited, with its code where the app's user may read it."""
    copy = Course(course.client, "sl-fail", 8200, 20, copy_checkout(place / "copy"))
    for folder in [place, *place.parents]:
        if str(folder).startswith("/tmp/"):
            os.chmod(folder, folder.stat().st_mode | 0o055)
    return copy


def test_an_unhealthy_service_at_the_deadline(course: Course, tmp_path: Path) -> None:
    """The app's code is mounted in step03: a copy of the checkout whose /healthz fails. Mended there, it serves at once, with no task run."""
    copy = readable_copy(course, tmp_path)
    right = "def healthz(request: HttpRequest) -> HttpResponse:"
    wrong = f"{right}\n    raise OSError(7)\n\n\ndef other(request: HttpRequest) -> HttpResponse:"
    copy.edit("app/ping/views.py", right, wrong)
    text = copy.fails("step03-redis", "--yes", SILVERLINING_DEADLINE="6")
    message = text[text.index("\n✗ ", text.index("Changes")) :]
    assert "sl-fail-django-1 is not healthy after 6 s" in message and "docker logs --tail 50 sl-fail-django-1" in message
    assert "OSError" in message, "its last log lines"
    before, port = copy.snapshot(), copy.ports["app"]
    assert get(port, "/healthz")[0] == 500
    copy.edit("app/ping/views.py", wrong, right)
    until(lambda: get(port, "/healthz")[0] == 200, "the edit shows", 20)
    assert copy.hit() and copy.snapshot() == before
    must_go_on(course)


def test_a_service_that_keeps_ending_is_not_awaited_to_the_end(course: Course, tmp_path: Path) -> None:
    copy = readable_copy(course, tmp_path)
    copy.edit("app/django_app/settings.py", "\nimport ", "\nraise SystemExit(3)\nimport ")
    began = time.monotonic()
    text = copy.fails("step03-redis", "--yes", SILVERLINING_DEADLINE="300")
    assert time.monotonic() - began < 150
    assert "sl-fail-django-1 is not healthy" in text and "it has ended" in text and "with exit code 3" in text
    must_go_on(course)


def test_two_stacks_side_by_side(course: Course) -> None:
    other = Course(course.client, "sl-fail-2", 8220, 20)
    other.settings["SILVERLINING_NETWORK_SUBNET"] = ""
    other.clean()
    try:
        course.run("step03-redis", "--yes")
        other.run("step03-redis")
        for one in (course, other):
            one.must_stand("step03-redis")
        course.hit()
        before = course.snapshot(), course.count()
        other.run("teardown", "--yes", "--volumes")
        assert not other.ids() and not other.volumes() and not other.networks()
        assert (course.snapshot(), course.count()) == before
        course.must_be_green()
        text = other.fails("step03-redis", SILVERLINING_PORTS_APP=str(course.ports["app"]))
        assert f"port {course.ports['app']}" in text and "sl-fail-django-1" in text
    finally:
        other.clean()


# ---- a full disk


@needs_second_engine
def test_no_space_on_the_docker_host(course: Course, tmp_path: Path) -> None:
    """On a second engine with a small disk."""
    names = ("upstream/nginx", "tools")
    found = store(course.client).resolve(names)
    tags = [found[name].reference for name in names]
    second = SecondEngine(course, tmp_path, "600m")
    try:
        second.start()
        for tag in tags:
            saved = subprocess.Popen(["docker", "save", tag], stdout=subprocess.PIPE)
            subprocess.run(["docker", "load"], env={**os.environ, **second.host}, stdin=saved.stdout, check=True, capture_output=True)
            assert saved.wait() == 0
        second.shell("sh", "-c", f"dd if=/dev/zero of={second.place}/filler bs=64k 2>/dev/null || true")
        done = second.task("step01-nginx")
        assert done.returncode == 1 and "Traceback" not in done.stderr, done.stdout + done.stderr
        assert "no space left" in done.stderr and "docker system df" in done.stderr, done.stderr
        second.shell("rm", str(second.place / "filler"))
        done = second.task("step01-nginx")
        assert "http://localhost:8201/" in done.stdout or "checks" in done.stderr, done.stdout + done.stderr
        assert '"step": "step01-nginx"' in second.task("status", "--json").stdout
    finally:
        second.stop()
