"""A lesson is recorded on a real engine: what its page shows was said there, and nothing of the stack is left."""

from __future__ import annotations

import json
from pathlib import Path

from .course import Course

STEP = "step01-nginx"


def read(course: Course, name: str) -> str:
    return Path(course.checkout, "docs", name).read_text(encoding="utf-8")


def test_a_dry_run_records_nothing(course: Course) -> None:
    before = read(course, f"recorded/{STEP}.json")
    assert STEP in course.run("docs", "--record", "--step", STEP, "--dry")
    assert read(course, f"recorded/{STEP}.json") == before and not course.ids() and not course.networks()


def test_a_lesson_is_recorded_and_its_stack_is_taken_away(course: Course) -> None:
    text = course.run("docs", "--record", "--step", STEP)
    data = json.loads(read(course, f"recorded/{STEP}.json"))
    assert data["engine"] == course.client.version()["Version"]
    first = data["acts"][0]["commands"][0]
    assert first["line"] == f"docker ps --filter name={course.name('nginx')}" and f":{course.ports['web']}->80/tcp" in first["output"]
    page = read(course, f"steps/{STEP}.md")
    for said in (first["output"], *(s["text"] for act in data["acts"] for s in act["said"] if s["kind"] == "ok")):
        assert all(line in page and line in text for line in said.splitlines())
    assert not course.ids() and not course.networks() and not course.volumes()
    assert "nothing to do" in course.run("docs")


def test_a_stack_that_stands_is_left_alone(course: Course) -> None:
    course.run(STEP)
    before = course.snapshot()
    assert "lessons are recorded on a new one" in course.fails("docs", "--record")
    assert course.snapshot() == before
