"""Brings a host to a topology: images, observation, plan, changes side by side, and the wait until it serves."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from ..host.clock import engine_time
from ..host.exec import STOP
from ..model.actions import Action, Plan
from ..model.audit import tally
from ..model.brief import brief
from ..model.commands import commands, line, title
from ..model.entry import address_of, entry_of
from ..model.errors import SilverliningError, Unhealthy
from ..model.logs import NANO
from ..model.observed import Observed
from ..model.plan import plan as make_plan
from ..model.plan import port_flag, withdrawn
from ..model.scale import lasting, undone
from ..model.stack import ImageRef, Stack
from ..model.text import _, _n
from ..model.topology import Topology
from .apply import Applier
from .desk import Desk
from .faults import explain
from .lock import lock, refuse_held

SIDE_BY_SIDE = 24
ROUNDS = 3
# Seconds that a container which comes or goes may hold a port without showing it.
SETTLING = 5.0


@dataclass(frozen=True)
class Outcome:
    """What a converge found and did. `seen` is the state before it, `now` the one after it (the same where nothing was changed)."""

    stack: Stack
    seen: Observed
    plan: Plan
    dry: bool = False
    after: Observed | None = None

    @property
    def now(self) -> Observed:
        """The state that was left."""
        return self.after or self.seen


def converge(desk: Desk, topology: Topology) -> Outcome:
    """Makes `topology` stand. Shows the plan as docker commands; with --dry that is all. Raises SilverliningError."""
    if desk.dry:
        outcome = preview(desk, topology)
        missing = missing_images(desk, topology)
        show_missing(desk, missing)
        say_undone(desk, outcome.stack, outcome.seen)
        show_plan(desk, outcome.plan)
        if not outcome.plan and not missing:
            say_unchanged(desk)
        return Outcome(outcome.stack, outcome.seen, outcome.plan, dry=True)
    first = preview(desk, topology)
    say_undone(desk, first.stack, first.seen)
    refuse_taken_ports(desk, first)
    missing = missing_images(desk, topology)
    if not first.plan and not missing:
        await_serving(desk, first.stack)
        return first
    shown = _confirm(desk, first)
    if missing:
        refuse_held(desk)
    images = get_images(desk, topology)
    with lock(desk, images["tools"]) as held:
        outcome = _plan(desk, topology, images)
        settled = outcome
        for _round in range(ROUNDS):
            if settled.plan != shown:
                show_plan(desk, settled.plan)
            perform(desk, settled.plan, Applier(desk.host.client, settled.stack, held.check), lambda action: held.count(tally([action])))
            # What slept in a volume (keys in etcd, say) is only seen once its service runs.
            settled = _plan(desk, topology, images)
            if not settled.plan:
                break
        await_serving(desk, outcome.stack)
    prune(desk, first.seen)
    return replace(outcome, after=settled.seen)


def say_unchanged(desk: Desk) -> None:
    """Where there is nothing to do, a run says so, a dry one too."""
    desk.voice.note(_("nothing to do: everything stands as it should"))


def preview(desk: Desk, topology: Topology) -> Outcome:
    """What bringing about a topology would do, without doing or showing anything."""
    return _plan(desk, topology, desk.planned_images(topology))


def _plan(desk: Desk, topology: Topology, images: dict[str, ImageRef]) -> Outcome:
    seen = desk.observe()
    stack = desk.stack(topology, images, seen)
    spares = desk.spares(images, seen) if seen.sleeping else {}
    return Outcome(stack, seen, make_plan(stack, seen, spares))


def missing_images(desk: Desk, topology: Topology) -> list[str]:
    """The names of the images that are not on the host yet."""
    names = desk.image_names(topology)
    found = desk.store.plan_for(names)
    return [name for name in names if found[name].rung != "present"]


def show_missing(desk: Desk, names: list[str]) -> None:
    """For a dry run: the images that would be got."""
    for name in names:
        desk.voice.note(_("image {name} would be fetched or built first").format(name=name))


def get_images(desk: Desk, topology: Topology) -> dict[str, ImageRef]:
    """Gets the images of a topology by the first rung that works, showing where each is."""
    return fetch_images(desk, desk.image_names(topology))


def fetch_images(desk: Desk, names: tuple[str, ...]) -> dict[str, ImageRef]:
    """Gets these images by the first rung that works, showing where each is."""
    desk.store.forget()
    found = desk.store.plan_for(names)
    if all(found[name].rung == "present" for name in names):
        return desk.refs(found, names)
    desk.voice.title(_("Images"))
    with desk.voice.progress(slow=True) as board:

        def show(progress: Any) -> None:
            large = {"bundle": _("bundle {name}"), "streamed": _("{name} from this machine")}.get(progress.rung)
            name = (large or _("image {name}")).format(name=progress.image)
            if progress.state == "done":
                board.done(name, progress.rung if progress.rung != "streamed" else f"{progress.rung}: {progress.step}")
            elif progress.state == "failed" and progress.rung == "streamed":
                board.dropped(name)
                desk.voice.note(_("nothing from this machine's engine: {why}").format(why=progress.step))
            elif large:
                board.amount(name, progress.step)
            else:
                board.update(name, f"{progress.rung}: {progress.step}")

        desk.board_update = show  # type: ignore[method-assign]
        found = desk.store.resolve(names)
    return desk.refs(found, names)


def _confirm(desk: Desk, outcome: Outcome) -> Plan | None:
    """Asks before something that serves is taken away. Gives the plan if it has been shown for that. Raises SilverliningError."""
    gone = withdrawn(outcome.plan, outcome.stack)
    if not gone or desk.yes:
        return None
    show_plan(desk, outcome.plan)
    desk.confirm(_("this takes away what serves now: {names}").format(names=", ".join(gone)))
    return outcome.plan


def say_undone(desk: Desk, stack: Stack, seen: Observed) -> None:
    """Says which counts that `scale` has set a plan sets back to the settings'; a `scale` is no such plan."""
    if desk.scaling:
        return
    for name, now, then in undone(stack, seen):
        file, flag = lasting({name: now})
        words = _("{name} {now} → {then}: undoes `scale`; set {file} in silverlining.yaml, or {flag}, to keep it")
        desk.voice.note(words.format(name=name, now=now, then=then, file=file, flag=flag))


def show_plan(desk: Desk, plan: Plan) -> None:
    """The plan as the docker commands that it stands for."""
    if not plan:
        return
    desk.voice.title(_n("Plan: {count} change", "Plan: {count} changes", len(plan.actions)))
    if desk.voice.brief:
        show_briefly(desk, plan)
        return
    for action in plan.actions:
        for argv in commands(action):
            desk.voice.command(line(argv))


def show_briefly(desk: Desk, plan: Plan, most: int = 6) -> None:
    """The plan's most telling commands on a line each, and where all of them can be read."""
    lines, more = brief(plan, most, desk.voice.width - 8)
    for text in lines:
        desk.voice.command(text)
    if more:
        desk.voice.note(_("{count} more; `{command}` shows all").format(count=more, command=desk.voice.brief))


def perform(
    desk: Desk,
    plan: Plan,
    applier: Applier,
    did: Callable[[Action], None] = lambda action: None,
) -> None:
    """Does the actions of a plan, side by side where none waits for another. Stops at the first failure and raises it.

    `did` is told of each action that was done.
    """
    if not plan:
        return
    desk.voice.title(_("Changes"))
    waiting: dict[str, Action] = {action.id: action for action in plan.actions}
    running: dict[Future[None], Action] = {}
    failure: BaseException | None = None
    done: set[str] = set()
    ids = frozenset(waiting)
    # What others wait for goes first: the engine starts only so many containers at a time.
    awaited = Counter(need for action in plan.actions for need in action.needs)
    # None waits for a thread: an app becomes healthy by a Redis and Sentinels, which may come behind it.
    with desk.voice.progress() as board, ThreadPoolExecutor(max(SIDE_BY_SIDE, len(waiting))) as pool:

        def work(action: Action) -> None:
            applier.apply(action, lambda words: board.update(title(action), words))

        try:
            while waiting or running:
                if failure is None:
                    for action in sorted((a for a in waiting.values() if not (a.needs & ids - done)), key=lambda a: -awaited[a.id]):
                        board.update(title(action), _("starting"))
                        running[pool.submit(work, waiting.pop(action.id))] = action
                if not running:
                    break
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    action = running.pop(future)
                    if error := future.exception():
                        # What was only stopped because something else has failed is no failure of its own.
                        (board.dropped if failure and isinstance(error, KeyboardInterrupt) else board.failed)(title(action))
                        failure = failure or error
                        STOP.set()
                    else:
                        done.add(action.id)
                        did(action)
                        board.done(title(action))
        except BaseException:
            STOP.set()
            raise
        finally:
            if failure is not None or running:
                wait(running)
            STOP.clear()
    if failure is not None:
        raise (explain(failure) if isinstance(failure, Exception) else None) or failure


def refuse_taken_ports(desk: Desk, outcome: Outcome) -> None:
    """A port that a program outside Docker holds is found before anything has changed. Raises SilverliningError."""
    from ..host.observe import standing
    from ..host.ports import NAMELESS, PROXY

    seen, end = outcome.seen.containers, time.monotonic() + SETTLING
    while taken := _taken(desk, outcome.stack, {port for c in seen for port in c.ports}):
        name, port, who = taken
        if not who.startswith((PROXY, NAMELESS)) or time.monotonic() > end:
            raise SilverliningError(
                _("port {port}, which {name} needs, is taken by {who}").format(port=port, name=name, who=who),
                _("stop that program, or choose another port: {flag}").format(flag=port_flag(outcome.stack, port)),
            )
        # The engine's own, of a container that is coming or going: what a killed run has asked for goes on.
        time.sleep(0.2)
        desk.host.forget_listeners()
        seen = standing(desk.host.client, desk.settings.stack)


def _taken(desk: Desk, stack: Stack, held: Collection[int]) -> tuple[str, int, str] | None:
    """The first container whose port somebody else has: its name, the port, and who has it."""
    from ..host.ports import holder

    for c in stack.containers:
        for address, outside, _inside in c.ports:
            if outside not in held and (who := holder(desk.host.listeners, address, outside)):
                return c.name, outside, who
    return None


def await_serving(desk: Desk, stack: Stack) -> None:
    """Waits until the entry answers with 200. Raises Unhealthy at the deadline."""
    entry = entry_of(stack)
    if entry is None:
        return
    address, port, path = entry
    where = address_of(entry, path, desk.host.name).removeprefix("http://")
    end = time.monotonic() + float(desk.settings.deadline)
    while (reply := desk.host.get(port, path, address)).status != 200:
        if time.monotonic() > end:
            raise Unhealthy(
                _("http://{where} does not serve: {words}").format(where=where, words=f"{reply.status} {reply.text[:200]}"),
                _("invoke status, then invoke check"),
            )
        time.sleep(0.05)


def prune(desk: Desk, before: Observed) -> None:
    """Removes superseded builds: what the stack's containers used before this run, with what that was built on, and what earlier runs have left.

    What was built for others is not ours to remove; what a container still uses stays.
    """
    from docker.errors import APIError

    client, store = desk.host.client, desk.store
    if not store.earlier():
        return
    replaced: set[str] = set()
    for reference in {c.image for c in before.containers}:
        with suppress(APIError):
            replaced.update(tag for layer in client.history(reference) for tag in layer.get("Tags") or [])
    gone = store.prune(store.superseded(replaced, client.containers(all=True), engine_time(client) / NANO))
    if gone:
        desk.voice.note(_("superseded builds removed: {names}").format(names=", ".join(gone)))
