"""Step 09: the stack run by Docker Compose. Reads top to bottom: what differs, who serves as Compose, the file, the way there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from ..host import compose as program
from ..model.actions import Action, Plan
from ..model.audit import difference
from ..model.commands import Argv, docker, line
from ..model.compose import FILE, SCRIPT, counts, register_script, render, settle, specs, stands
from ..model.observed import Observed
from ..model.plan import refuse_conflicts
from ..model.plan_apps import APP_KEY
from ..model.plan_redis import ANCHOR
from ..model.pretend import standing
from ..model.service import SECRETS
from ..model.stack import Stack
from ..model.text import _
from ..model.topology import Topology
from . import converge as by_us
from .apply import Applier
from .compose_redis import role_to_anchor
from .compose_swap import Swap
from .converge import Outcome
from .desk import Desk
from .lock import lock, refuse_held


@dataclass(frozen=True)
class ComposeUp(Action):
    """What was done by Compose: `why` says what differed before."""

    stack: str
    why: tuple[str, ...]

    @property
    def subject(self) -> str:
        return self.stack


def compose_up(desk: Desk, topology: Topology) -> Outcome:
    """Makes the topology stand as Compose's. With --dry only says what it would do. Raises SilverliningError."""
    voice = desk.voice
    stack, seen = _look(desk, topology, desk.planned_images(topology))
    first = seen
    work = differences(stack, seen)
    missing = by_us.missing_images(desk, topology)
    if not work and not missing:
        if desk.dry:
            by_us.say_unchanged(desk)
        else:
            write_files(desk, stack)
            by_us.await_serving(desk, stack)
        return Outcome(stack, seen, Plan(()), dry=desk.dry)
    plan = Plan((ComposeUp(stack.name, work),))
    refuse_conflicts(stack, seen)
    if missing and not desk.dry:
        refuse_held(desk)
    if not _can_begin(stack, seen):
        # Whatever stands, our own planner leads from there to the same services; Compose takes them over one after another.
        before = by_us.converge(desk, _before(topology))
        seen = _pretended(before.stack, seen) if desk.dry else desk.observe()
        stack = settle(stack, seen)
    else:
        by_us.say_undone(desk, stack, seen)
    serving = program.find(desk.host, desk.store, dry=desk.dry)
    voice.note(_("Docker Compose {version}: {source}").format(version=serving.version, source=serving.source))
    if desk.dry:
        by_us.show_missing(desk, missing)
        voice.note(_("{file} and {script} would be written").format(file=FILE, script=SCRIPT))
        _forget_scale(desk, stack, seen)
        Swap(desk, stack, seen, serving).run(dry=True)
        return Outcome(stack, seen, plan, dry=True)
    by_us.refuse_taken_ports(desk, Outcome(stack, seen, plan))
    images = by_us.get_images(desk, topology)
    with lock(desk, images["tools"]) as held:
        stack, seen = _look(desk, topology, images)
        write_files(desk, stack)
        voice.title(_("Changes"))
        _forget_scale(desk, stack, seen)
        Swap(desk, stack, seen, serving, held.check).run()
        stack, after = _look(desk, topology, images)
        held.count(difference(_ids(seen), _ids(after)))
        by_us.await_serving(desk, stack)
    by_us.prune(desk, seen)
    return Outcome(stack, first, plan, after=after)


def _forget_scale(desk: Desk, stack: Stack, seen: Observed) -> None:
    """What `scale` has noted before is none of Compose's; a dry run only shows how it would go."""
    if stack.note in seen.volumes:
        desk.voice.command(line(docker("volume", "rm", stack.note)))
        if not desk.dry:
            desk.host.client.remove_volume(stack.note)


def compose_words(desk: Desk, stack: Stack) -> dict[str, str]:
    """What the lesson's placeholders {compose}, {compose_file}, {register} and {scale} stand for."""
    file = desk.host.placed(program.file_path())
    prefix = program.find(desk.host, desk.store, dry=desk.dry).prefix(file)
    scale = " ".join(f"{name}={count}" for name, count in counts(stack).items())
    # The lesson is played where the person stands, which may be outside of the checkout.
    places = {"compose_file": file, "register": desk.host.placed(program.file_path().with_name(SCRIPT))}
    return {"compose": prefix, "scale": scale, **places}


def compose_leave(desk: Desk, stack: Stack, seen: Observed) -> None:
    """Before Compose's containers go: the master role moves, awaited, to redis-master-1, whose volume has a name and stays.

    The other nodes have anonymous volumes, which go with them. Nothing to do where no container is Compose's.
    """
    master = seen.container(seen.master)
    if master and master.compose and master.service != ANCHOR and any(c.compose and c.service == ANCHOR and c.running for c in seen.containers):
        applier = Applier(desk.host.client, settle(stack, seen))
        role_to_anchor(applier, applier.stack, seen, _shown(desk), lambda words: None)


def write_files(desk: Desk, stack: Stack) -> None:
    """The Compose file and the script that registers the apps, in the project's root. Raises SilverliningError."""
    desk.host.write(program.file_path(), render(stack))
    desk.host.write(program.file_path().with_name(SCRIPT), register_script(stack))


def differences(stack: Stack, seen: Observed) -> tuple[str, ...]:
    """What keeps the host from standing as Compose's file says, in words; empty when it stands. `stack` is settled."""
    wanted, found = specs(stack), []
    names = {c.name for c in stack.containers}
    for c in stack.containers:
        old = seen.container(c.name)
        if old is None:
            found.append(_("{name} is missing").format(name=c.name))
        elif not stands(stack, old, wanted):
            found.append(_("{name} is not as the file says").format(name=c.name))
        elif not old.running or old.health == "unhealthy":
            found.append(f"{c.name}: {old.state} {old.health}".rstrip())
    found += [_("{name} as well").format(name=c.name) for c in seen.containers if c.name not in names and c.service != SECRETS]
    if found:
        return tuple(found)
    keys = {key: value for key, value in (seen.keys or {}).items() if APP_KEY.match(key)}
    if keys != stack.servers():
        found.append(_("the keys in etcd name {seen}").format(seen=", ".join(sorted(keys.values())) or _("nobody")))
    if seen.proxy_fault:
        found.append(f"haproxy: {seen.proxy_fault}")
    return (*found, *_redis_differences(stack, seen))


def _redis_differences(stack: Stack, seen: Observed) -> list[str]:
    master = seen.container(seen.master)
    if master is None:
        return [_("no Redis is master")]
    found = [
        _("{name} does not follow {master}").format(name=name, master=seen.master)
        for name, node in seen.redis.items()
        if name != seen.master and (node.role == "master" or node.master != master.address)
    ]
    right = (master.address, len(stack.of("sentinel")) - 1, len(stack.of("redis-slave")))
    for sentinel in stack.of("sentinel"):
        view = seen.sentinels.get(sentinel.name)
        if view is None or (view.master, view.sentinels, view.replicas) != right:
            found.append(_("{name} does not see what stands").format(name=sentinel.name))
    return found


def _ids(seen: Observed) -> dict[str, str]:
    return {c.name: c.id for c in seen.containers}


def _look(desk: Desk, topology: Topology, images: Any) -> tuple[Stack, Observed]:
    seen = desk.observe()
    return settle(desk.stack(topology, images, seen), seen), seen


def _before(topology: Topology) -> Topology:
    """The same services, run by us."""
    import steps

    before: Topology = steps.load(steps.LAST).TOPOLOGY
    return before


def _can_begin(stack: Stack, seen: Observed) -> bool:
    """Whether Compose can begin at once: from its own containers, from ours of the same names with a live master, or from none at all.

    From none only if redis-master-1 has the newest data, if any volume has: the other nodes' volumes are not those that Compose uses.
    """
    if any(c.compose for c in seen.containers):
        return True
    if seen.containers:
        return (
            {c.name for c in seen.containers} == {c.name for c in stack.containers} and all(c.running for c in seen.containers) and bool(seen.master)
        )
    newest = max(seen.sleeping, key=lambda name: (seen.sleeping[name].role == "master", seen.sleeping[name].offset), default="")
    return newest in ("", stack.of(ANCHOR)[0].name)


def _pretended(stack: Stack, seen: Observed) -> Observed:
    """For a dry run: the host as it would be once our own containers stood."""
    return replace(seen, containers=standing(stack).containers)


def _shown(desk: Desk) -> Callable[[Argv], bool]:
    def show(argv: Argv) -> bool:
        desk.voice.command(line(argv))
        return True

    return show
