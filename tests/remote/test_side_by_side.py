"""One call of fab for several hosts: a stack on each, beside one that can't be reached."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker import APIClient

from tests.engine.course import Run, until

from .course import RemoteCourse, nothing_here

pytestmark = pytest.mark.timeout(900)
FAILED = "failed: nobody.invalid: no address is known by this name"


@pytest.fixture
def both(shop1: RemoteCourse, shop2: RemoteCourse) -> Iterator[RemoteCourse]:
    """What runs fab on both hosts and on one that doesn't exist. Nothing stands there: what another test has left may be taken for a beginning."""
    for course in (shop1, shop2):
        if course.mine():
            course.clean()
    yield RemoteCourse(shop1.host, "shop1,nobody.invalid,shop2")
    for course in (shop1, shop2):
        course.clean()


def results(text: str) -> dict[str, str]:
    """Result by host, from the table at the end."""
    return {line.split()[0]: " ".join(line.split()[2:]) for line in text.partition("\nHosts\n")[2].splitlines()[1:]}


def must_move(one: RemoteCourse, other: RemoteCourse, file: Path) -> None:
    """A backup of one is restored on the other: the next hit there is one more than the last one here."""
    for _ in range(3):
        number = one.hit()
    one.run("backup", str(file))
    other.run("restore", str(file), "--yes")
    assert other.hit() == number + 1
    other.must_be_green()


def test_ctrl_c_ends_both(both: RemoteCourse, shop1: RemoteCourse, shop2: RemoteCourse, tmp_path: Path) -> None:
    """Both are told, let their lock go and say so; the next run of one goes on from what stands there."""
    run = Run(both, tmp_path / "log", "deploy-all", "--yes")
    until(lambda: (shop1.mine() and shop2.mine()) or run.process.poll() is not None, "both begin", 90)
    run.signal(signal.SIGINT)
    said = run.fails(40)
    assert results(said) == {"shop1": "interrupted", "nobody.invalid": FAILED, "shop2": "interrupted"}, said
    for course in (shop1, shop2):
        until(lambda course=course: not course.host.sessions(), "no connection stands")  # type: ignore[misc]
        assert not course.client.containers(filters={"name": f"{course.stack}-lock"}), "the lock is free"
    shop1.run("step03-redis", "--yes", "--quick")
    shop1.must_be_green()


def test_a_stack_on_each(both: RemoteCourse, shop1: RemoteCourse, shop2: RemoteCourse, local_engine: APIClient, tmp_path: Path) -> None:
    """One that fails stops no other; a check of both is one JSON object; what would have to ask is refused with a hint; nothing happens here.

    What one has counted, the other goes on with: by a backup.
    """
    with nothing_here(local_engine):
        done = both.invoke("deploy-all")
        assert results(done.stdout) == {"shop1": "done", "nobody.invalid": FAILED, "shop2": "done"}, done.stdout + done.stderr
        assert done.returncode == 1 and "Traceback" not in done.stderr
        for course in (shop1, shop2):
            assert course.ids()
        done = both.invoke("check", "--json")
        given = json.loads(done.stdout)
        assert given["shop1"]["ok"] and given["shop2"]["ok"] and set(given["nobody.invalid"]) == {"error"}
        must_move(shop1, shop2, tmp_path / "counter.backup")
        before = [course.ids() for course in (shop1, shop2)]
        done = both.invoke("teardown")
        assert done.returncode == 1 and done.stderr.count("add --yes to go on") == 2
        assert [course.ids() for course in (shop1, shop2)] == before
        done = both.invoke("teardown", "--yes", "--volumes")
        assert results(done.stdout) == {"shop1": "done", "nobody.invalid": FAILED, "shop2": "done"}
        assert not shop1.ids() and not shop2.ids()
