"""The bundle on real engines: written by this one, loaded by one that has no network, and there the whole course."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker import APIClient

import steps
from silverlining.model.images import IMAGES

from .course import Course, copy_checkout
from .second import SecondEngine, needs_second_engine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), needs_second_engine]


@pytest.fixture(scope="module")
def course(engine: APIClient, tmp_path_factory: pytest.TempPathFactory) -> Course:
    """A stack of our own that stands on the second engine only: ports 8601 to 8605."""
    return Course(engine, "sl-bun", 8600, 34, copy_checkout(tmp_path_factory.mktemp("checkout")))


@pytest.fixture(scope="module")
def bundle(course: Course, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All images of the course in a file."""
    path = tmp_path_factory.mktemp("stick") / "all.bundle"
    text = course.run("images.save", str(path))
    assert f"{len(IMAGES)} images, " in text and "MB/s" in text and os.listdir(path.parent) == ["all.bundle"]
    return path


@pytest.fixture(scope="module")
def away(course: Course, bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecondEngine]:
    """An engine that has no image yet and can fetch none."""
    second = SecondEngine(course, tmp_path_factory.mktemp("away"), "6g")
    try:
        second.start()
        yield second
    finally:
        second.stop()


def images(away: SecondEngine) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in json.loads(away.run("images", "--json"))["images"]}


def test_a_file_that_is_there_is_not_replaced_by_itself(course: Course, bundle: Path) -> None:
    before = bundle.stat()
    assert "add --yes" in course.fails("images.save", str(bundle))
    assert bundle.stat() == before
    assert "no folder" in course.fails("images.save", str(bundle.parent / "no" / "x.bundle"))


def test_before_the_bundle_nothing_can_be_had(away: SecondEngine, bundle: Path) -> None:
    done = away.task("doctor", "--json")
    data = json.loads(done.stdout)
    facts = {fact["name"]: fact for fact in data["facts"]}
    assert done.returncode == 1 and not data["ok"] and "Traceback" not in done.stderr
    assert facts["images"]["state"] == "fail" and facts["engine"]["state"] == "ok", facts
    named = json.loads(away.task("doctor", "--json", SILVERLINING_IMAGES_BUNDLE=str(bundle)).stdout)
    assert {one["rung"] for one in named["images"]} == {"bundle"} and named["ok"]


@pytest.mark.parametrize("damage", ("cut", "changed", "foreign", "empty"))
def test_what_is_damaged_or_foreign_is_refused_before_anything_is_loaded(away: SecondEngine, bundle: Path, tmp_path: Path, damage: str) -> None:
    data = bytearray(bundle.read_bytes())
    if damage == "changed":
        data[len(data) // 2] ^= 1
    wrong = {"cut": data[:-1], "changed": data, "foreign": b"PK\3\4 and so on", "empty": b""}[damage]
    path = tmp_path / "wrong.bundle"
    path.write_bytes(wrong)
    done = away.task("images.load", str(path))
    assert done.returncode == 1 and "Traceback" not in done.stderr and ("damaged" in done.stderr or "was not written" in done.stderr), done.stderr
    assert away.shell("docker", "images", "--quiet", "--all").stdout == ""


def test_loaded_on_a_host_without_a_network(away: SecondEngine, bundle: Path, course: Course) -> None:
    assert "would be loaded" in away.run("images.load", str(bundle), "--dry")
    assert away.shell("docker", "images", "--quiet", "--all").stdout == ""
    text = away.run("images.load", str(bundle))
    assert f"{len(IMAGES)} images are here" in text and "MB/s" in text
    here = {one["name"]: one["fingerprint"] for one in course.json("images")["images"]}
    assert {name: one["fingerprint"] for name, one in images(away).items() if one["present"]} == here
    assert "nothing to do" in away.run("images.load", str(bundle))


def test_the_setting_gives_what_is_missing(away: SecondEngine, bundle: Path) -> None:
    gone = images(away)["upstream/nginx"]["reference"]
    away.shell("docker", "rmi", gone)
    assert not images(away)["upstream/nginx"]["present"]
    text = away.run("step01-nginx", SILVERLINING_IMAGES_BUNDLE=str(bundle))
    assert "1/6" in text and "bundle all.bundle (bundle)" in text and images(away)["upstream/nginx"]["reference"] == gone


def test_the_whole_course_without_a_network(away: SecondEngine) -> None:
    before = {name: one["digest"] for name, one in images(away).items()}
    for step in steps.NAMES:
        if step == "step09-compose":
            # How Compose takes over what stands is test_compose's matter, and takes a minute.
            away.run("teardown", "--yes")
        text = away.run(step, "--yes")
        acts = len(steps.load(step).LESSON.acts)
        assert f"{acts}/{acts}" in text and "✗" not in text, text
        status = json.loads(away.run("status", "--json"))
        assert (status["step"], status["exact"]) == (step, True), status["differences"]
    assert {name: one["digest"] for name, one in images(away).items()} == before, "nothing was built or fetched"
    done = away.task("doctor", "--json")
    data = json.loads(done.stdout)
    assert done.returncode == 0 and data["ok"], done.stderr
    assert {one["rung"] for one in data["images"]} == {"present"}
    by = {fact["name"]: fact["by"] for fact in data["facts"]}
    assert by["iptables"] == by["disk"] == "a helper container"
