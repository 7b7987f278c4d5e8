"""The course from end to end on a real engine: forwards, in jumps, backwards with the master moved, and taken away, beside objects of others."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from docker import APIClient
from docker.errors import ImageNotFound

from steps import NAMES

from .course import Course, Run, until
from .decoys import Decoys

SEED = int(os.environ.get("WALK_SEED") or random.randrange(10_000))
COUNTING = NAMES[3:]


@pytest.fixture(scope="module", autouse=True)
def decoys(engine: APIClient, course: Course) -> Iterator[Decoys]:
    """Objects of others, there from the beginning."""
    some = Decoys(engine, course.stack)
    yield some
    some.remove()


@pytest.fixture(scope="module")
def goes_on(course: Course) -> Callable[[], int]:
    """Hits once: the number must be above all that were answered before, whatever happened between."""
    last = 0

    def hit() -> int:
        nonlocal last
        number = course.hit()
        assert number > last, f"the counter fell from {last} to {number}"
        last = number
        return number

    return hit


def go(course: Course, step: str, goes_on: Callable[[], int], *flags: str) -> str:
    """Takes the host to a step and looks whether it is there."""
    text = course.run(step, "--yes", *flags)
    course.must_stand(step)
    if step in COUNTING:
        goes_on()
    if course.ids():
        must_close(course, text)
    return text


def must_close(course: Course, text: str) -> None:
    """A step's output ends with the picture of what stands and the address to open."""
    _, _, end = text.rpartition("What stands now")
    for name in course.ids().keys() - {course.name("secrets")}:
        service, _, index = name.removeprefix(f"{course.stack}-").rpartition("-")
        assert f"│ {service} {index} " in end, end
    address, port = course.entry
    assert end.rstrip().endswith(f"open http://{'localhost' if address == '127.0.0.1' else address}:{port}/"), end


@pytest.mark.parametrize("step", NAMES)
def test_each_step_once_and_again(course: Course, decoys: Decoys, goes_on: Callable[[], int], step: str, tmp_path: Path) -> None:
    """A step is played with its proofs; the second run finds nothing to do; a dry run to elsewhere changes nothing.

    What a proof leaves that was killed while something was down, the next run puts right.
    """
    text = go(course, step, goes_on, "--play")
    assert "1/" in text and "✓" in text
    course.must_stand_still(step)
    before = course.snapshot()
    elsewhere = random.Random(f"{SEED}{step}").choice([name for name in NAMES if name != step])
    ours, invokes = course.run(elsewhere, "--dry"), course.run("--dry", elsewhere)
    assert course.snapshot() == before, f"--dry {elsewhere} (seed {SEED})"
    assert ours == invokes
    for proof in CUTS.get(step, {}):
        cut(course, step, proof, tmp_path / f"{proof}.log")
        if proof == "commit":
            # Another image takes the name; the first one, without a name now, is teardown's.
            with lesson_of(course, step, proof):
                course.run(step, "--play")
        # It ends with the checks of the step, all good.
        course.run(step, "--yes")
        assert step != "step07-etcd-confd" or servers(course) == {"app1", "app2", "app3"}
        if step in COUNTING:
            goes_on()
    decoys.must_be_untouched()


# ---- lessons that are killed


def stands(state: str, service: str = "") -> Callable[[Course], bool]:
    """Whether a container (of this service) is in this state."""

    def seen(course: Course) -> bool:
        return any(entry["State"] == state and service in ("", entry["Labels"]["io.silverlining.service"]) for entry in course.mine())

    return seen


def servers(course: Course) -> set[str]:
    """The names under /app/servers in etcd, asked at its port: a program in its container would come too late."""
    prefix = b"/app/servers"
    body = {"key": b64encode(prefix + b"/").decode(), "range_end": b64encode(prefix + b"0").decode(), "keys_only": True}
    link = http.client.HTTPConnection("127.0.0.1", course.ports["etcd"], timeout=10)
    try:
        link.request("POST", "/v3/kv/range", json.dumps(body))
        found = json.loads(link.getresponse().read()).get("kvs", [])
    finally:
        link.close()
    return {b64decode(pair["key"]).decode().rpartition("/")[2] for pair in found}


def committed(course: Course) -> bool:
    """Whether the image that step04's lesson has committed is there. Asked by its name: a list takes an engine 29 longer than the lesson needs it."""
    try:
        return bool(course.client.inspect_image(f"{course.stack}-lesson:committed"))
    except ImageNotFound:
        return False


# Step → its proofs that are killed, and what then stands.
CUTS: dict[str, dict[str, Callable[[Course], bool]]] = {
    "step04-image": {"commit": committed},
    "step05-sentinel": {"failover": stands("paused")},
    "step06-haproxy": {"server-down": stands("exited", "ping-app")},
    "step07-etcd-confd": {
        "key-by-hand": lambda course: "lesson" in servers(course),
        "etcd-gone": stands("exited", "etcd"),
        "last-key": lambda course: not servers(course),
    },
}
ONLY = """
from dataclasses import replace
_one = next(proof for act in LESSON.acts for proof in act.proofs if proof.name == {proof!r})
LESSON = replace(LESSON, acts=(replace(LESSON.acts[0], commands=(), checks=(), proofs=(_one,)),))
"""


@contextmanager
def lesson_of(course: Course, step: str, proof: str) -> Iterator[None]:
    """In the block the step's lesson is this proof alone."""
    module = course.checkout / "steps" / f"{step.replace('-', '_')}.py"
    whole = module.read_text()
    module.write_text(whole + ONLY.format(proof=proof))
    try:
        yield
    finally:
        module.write_text(whole)


def cut(course: Course, step: str, proof: str, log: Path) -> None:
    """The proof is played and killed at its worst moment."""
    there = CUTS[step][proof]
    with lesson_of(course, step, proof):
        run = Run(course, log, step, "--play", "--yes")
        until(lambda: run.process.poll() is not None or there(course), f"the worst moment of {proof}", 60, 0.01)
        text = run.end(signal.SIGKILL)
    assert run.process.returncode == -signal.SIGKILL and "1/1" in text, text
    assert there(course)
    until(lambda: not course.client.containers(all=True, filters={"name": f"{course.stack}-lock"}), "the lock is free", 20)


def test_jumps(course: Course, decoys: Decoys, goes_on: Callable[[], int]) -> None:
    """From any step to any other, in turns with the lesson and without it."""
    print(f"seed {SEED}: WALK_SEED={SEED} repeats it")
    dice = random.Random(SEED)
    route = [course.json("status")["step"]]
    for turn in range(2):
        route.append(dice.choice([name for name in NAMES if name != route[-1]]))
        try:
            go(course, route[-1], goes_on, *(["--quick"] if turn % 2 else []))
        except AssertionError as error:
            raise AssertionError(f"seed {SEED}, {' → '.join(route)}: {error}") from error
        decoys.must_be_untouched()


@pytest.mark.parametrize("start,end", [("step05-sentinel", "step03-redis"), ("step08-netdata", "step05-sentinel")])
def test_backwards_with_the_master_moved(course: Course, decoys: Decoys, goes_on: Callable[[], int], start: str, end: str) -> None:
    """The master is elsewhere than its name says, and the way leads back: the number goes on. The way back from Compose is test_compose's."""
    go(course, start, goes_on, "--quick")
    # An earlier run may have moved it already.
    if course.master() == course.name("redis-master"):
        course.fail_over()
    assert course.master() != course.name("redis-master")
    must_draw_the_master(course, start)
    number = goes_on()
    go(course, end, goes_on, "--quick")
    assert course.count() > number
    course.must_stand_still(end)
    decoys.must_be_untouched()


def must_draw_the_master(course: Course, step: str) -> None:
    """The picture of what stands shows the Redis that is master now as the end of a request's way."""
    drawn = course.json("picture")
    assert (drawn["live"], drawn["step"], drawn["notes"]) == (True, step, [])
    cells = {cell["name"]: cell for card in drawn["cards"] for cell in card["cells"]}
    assert not any(cell["fault"] for cell in cells.values()) and cells.keys() == course.ids().keys() - {course.name("secrets")}
    assert [name for name, cell in cells.items() if cell["word"] == "master"] == [course.master()]
    assert [edge["target"] for edge in drawn["edges"] if edge["way"]][-1] == "redis-slave"


def test_an_edit_of_the_redis_configuration_with_the_master_moved(course: Course, goes_on: Callable[[], int]) -> None:
    """All Redis nodes are replaced; the role moves before its node stops, and the edit is merged into what the nodes have noted."""
    go(course, "step05-sentinel", goes_on, "--quick")
    if course.master() == course.name("redis-master"):
        course.fail_over()
    goes_on()
    before = course.ids()
    course.edit("conf/redis.conf.j2", "appendonly yes", "appendonly yes\nslowlog-max-len 77")
    go(course, "step05-sentinel", goes_on, "--quick")
    nodes = {course.name("redis-master"), course.name("redis-slave", 1), course.name("redis-slave", 2)}
    assert nodes <= course.changed(before)
    for node in nodes:
        assert course.ask(node, "redis-ask", "config", "get", "slowlog-max-len").split() == ["slowlog-max-len", "77"]
    assert course.sentinel_counts() == {("2", "2")}


def test_counts_after_recreations(course: Course, goes_on: Callable[[], int]) -> None:
    """A Sentinel and a replica are made anew again and again, one of them with the identity in its volume, the other without: no ghosts remain."""
    course.run("deploy-all", "--yes")
    for turn in range(3):
        victims = [course.name("sentinel", turn % 3 + 1), course.name("redis-slave", turn % 2 + 1)]
        if course.master() in victims:
            victims[1] = course.name("redis-master")
        for victim in victims:
            course.client.remove_container(victim, force=True)
        course.client.remove_volume(victims[turn % 2])
        course.run("deploy-all", "--yes")
        until(lambda: course.sentinel_counts() == {("2", "2")}, f"turn {turn}: each Sentinel knows 2 replicas and 2 others", 30)
        goes_on()
    course.must_be_green()


def must_be_gone(course: Course, text: str, volumes: dict[str, str]) -> None:
    """Nothing of ours is left but these volumes, and a second teardown says so; `text` is what the first one said.

    A network may stay where the engine has miscounted its endpoints, which it does now and then: then teardown has said it.
    """
    assert (course.ids(), course.volumes()) == ({}, volumes)
    if stuck := course.networks():
        assert all(f"network {name} stays" in text for name in stuck)
        return
    assert "nothing to do" in course.run("teardown", "--yes", *([] if volumes else ["--volumes"]))


def test_teardown_and_back(course: Course, decoys: Decoys, goes_on: Callable[[], int]) -> None:
    """Volumes stay, and with them the number; with --volumes nothing of ours is left, and all of the others'."""
    course.run("deploy-all", "--yes")
    number = goes_on()
    volumes = course.volumes()
    before = course.snapshot()
    dry = course.run("teardown", "--volumes", "--dry")
    assert course.snapshot() == before and f"docker volume rm {course.name('etcd')}" in dry
    assert "--yes" in course.fails("teardown")
    assert course.snapshot() == before
    must_be_gone(course, course.run("teardown", "--yes"), volumes)
    assert not committed(course), "what a killed lesson has left goes, too"
    course.run("deploy-all", "--yes")
    assert goes_on() == number + 1
    course.must_be_green()
    text = course.run("teardown", "--yes", "--volumes")
    assert str(number + 1) in text, "it says what goes with the volumes"
    must_be_gone(course, text, {})
    decoys.must_be_untouched()
