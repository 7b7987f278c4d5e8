"""Proofs about Redis: a write is on the replicas, and a failover keeps the number going on."""

from __future__ import annotations

import re
import time
from contextlib import ExitStack, suppress
from itertools import pairwise

from ...model.text import _
from ..scene import Scene, claim


def replicated(scene: Scene, service: str) -> None:
    """A hit's number is read from the master and from each replica."""
    seen = scene.observe(again=True)
    number = str(scene.count())
    for name in sorted(seen.redis, key=lambda n: n != seen.master):

        def copied(node: str = name) -> bool:
            return scene.ask(node, "redis-ask", "get", "count").text == number

        scene.until(copied, _("{number} on {name}").format(number=number, name=name), 5)
        scene.voice.ok(f"{name}: count = {number}")


def behind(scene: Scene, service: str) -> None:
    """While the replicas stand still a hit is answered all the same: what nobody has confirmed would be lost with the master."""
    seen = scene.observe(again=True)
    replicas = sorted(name for name, node in seen.redis.items() if name != seen.master and node.role == "slave")
    claim(seen.master and replicas, _("no Redis master with replicas found"), _("invoke status"))
    with ExitStack() as stopped:
        for name in replicas:
            scene.voice.command(f"docker pause {name}")
            stopped.callback(_go_on, scene, name)
            scene.client.pause(name)
        reply = scene.hit(timeout=30)
        text = reply.text.strip()
        claim(reply.status == 200 and text.isdigit(), _("a hit failed: {status} {text}").format(status=reply.status, text=text[:200]))
        number, missing = int(text), _bytes_behind(scene.demand(seen.master, "redis-ask", "info", "replication"))
        claim(missing > 0, _("the replicas have confirmed everything although they stand still"))
        scene.voice.ok(
            _("answered {number}, and no replica has confirmed it: of {count} bytes the master doesn't know whether they have come").format(
                number=number, count=missing
            )
        )
        scene.voice.ok(_("lost before they come, the master would take {number} with it, and the next one would give it again").format(number=number))
    for name in replicas:

        def caught_up(node: str = name) -> bool:
            there = scene.ask(node, "redis-ask", "get", "count").text
            return there.isdigit() and int(there) >= number  # somebody else may hit meanwhile

        scene.until(caught_up, _("{number} on {name}").format(number=number, name=name), 15)
        scene.voice.ok(_("{name} has {number}").format(name=name, number=number))


def _go_on(scene: Scene, name: str) -> None:
    """Lets a container go on, if it stands still."""
    from docker.errors import APIError

    with suppress(APIError):
        scene.client.unpause(name)
    scene.voice.command(f"docker unpause {name}")


def _bytes_behind(text: str) -> int:
    """How many bytes of its stream the master (its INFO replication) has not heard of from the replica that has most of them."""
    own = re.search(r"master_repl_offset:(\d+)", text)
    known = [int(offset) for offset in re.findall(r"slave\d+:.*?offset=(\d+)", text)]
    return int(own[1]) - max(known) if own and known else 0


def failover(scene: Scene, service: str) -> None:
    """The master is paused; hits go on with another one; unpaused, the old master comes back as its replica."""
    seen = scene.observe(again=True)
    old = seen.master
    claim(old, _("no Redis master found"), _("invoke status"))
    before = scene.count()
    scene.voice.ok(_("{name} is the master, the last number is {number}").format(name=old, number=before))
    scene.voice.command(f"docker pause {old}")
    scene.client.pause(old)
    paused = time.monotonic()
    try:
        answered, reported = _hits_until_new_master(scene, old, paused)
        for number in answered:
            claim(number >= before, _("the number fell from {before} to {number}").format(before=before, number=number))
        new = scene.observe(again=True).master
        _say_what_was_lost(scene, [before, *answered])
        _say_sentinels_words(scene, paused)
    finally:
        scene.voice.command(f"docker unpause {old}")
        scene.client.unpause(old)
    scene.voice.ok(
        _("{answered} hits answered, {reported} reported with 503; the number is {number}, the master {new}").format(
            answered=len(answered), reported=reported, number=answered[-1], new=new
        )
    )
    address = next(c.address for c in scene.observe().containers if c.name == new)

    def follows() -> bool:
        node = scene.observe(again=True).redis.get(old)
        return bool(node and node.role == "slave" and node.master == address and node.link_up)

    scene.until(follows, _("{old} following {new}").format(old=old, new=new), 60, beat=0.5)
    scene.voice.ok(_("{old} is back, as a replica of {new}").format(old=old, new=new))


def _hits_until_new_master(scene: Scene, old: str, since: float) -> tuple[list[int], int]:
    """Hits one after another, until five were answered by another master. Gives the numbers, and how many were reported as failed."""
    answered: list[int] = []
    reported = 0
    while len(answered) < 5:
        claim(time.monotonic() - since < 90, _("no new master after 90 s"), _("invoke status; the Sentinels' logs say why"))
        reply = scene.hit(timeout=30)
        if reply.status == 200 and reply.text.strip().isdigit():
            if not answered:
                scene.voice.ok(_("first answer after {seconds:.1f} s: {number}").format(seconds=time.monotonic() - since, number=reply.text.strip()))
            answered.append(int(reply.text))
        else:
            claim(reply.status in (502, 503, 504), _("a hit got neither an answer nor a report: {text}").format(text=reply.text))
            reported += 1
    return answered, reported


def _say_what_was_lost(scene: Scene, numbers: list[int]) -> None:
    """The numbers one after another, and what asynchronous replication has lost or repeated among them."""
    steps = [after - before for before, after in pairwise(numbers)]
    again, skipped = sum(step < 1 for step in steps), sum(step - 1 for step in steps if step > 1)
    scene.voice.output(" ".join(map(str, numbers)))
    if again:
        scene.voice.ok(_("{count} of them given again: the old master had counted them, and no replica had a copy").format(count=again))
    if skipped:
        scene.voice.ok(_("{count} left out: counted by a try that got no answer, then counted anew").format(count=skipped))
    if not again and not skipped:
        scene.voice.ok(_("each one more than the one before: this time nothing was lost and nothing counted twice"))


def _say_sentinels_words(scene: Scene, since: float) -> None:
    """The lines of a Sentinel's log that tell of the failover."""
    start = int(time.time() - (time.monotonic() - since)) - 1

    def told() -> tuple[str, list[str]] | None:
        for sentinel in scene.stack.of("sentinel"):
            log: bytes = scene.client.logs(sentinel.name, since=start)
            lines = [line for line in log.decode(errors="replace").splitlines() if any(w in line for w in ("+odown", "+vote", "+switch-master"))]
            if any("+switch-master" in line for line in lines):
                return sentinel.name, lines
        return None

    name, lines = scene.until(told, _("+switch-master in a Sentinel's log"), 10)
    scene.voice.command(f"docker logs {name}")
    scene.voice.output("\n".join(lines))
    # The one that has switched: another may hear of it a moment later.
    scene.voice.command(f"docker exec {name} redis-ask -p 26379 info sentinel")
    scene.voice.output(scene.demand(name, "redis-ask", "-p", "26379", "info", "sentinel").splitlines()[-1])
