"""The data of a backup back into the stack. On a host where Redis doesn't stand, the backup's step is brought up first.

The running master copies the restored data as a replica does, from a Redis that has opened it, and is master again a moment later. So roles,
Sentinels and containers stay as they are, and the replicas follow. A hit in that moment waits and is then counted on the restored data.
"""

from __future__ import annotations

import re
import tempfile
import time
from pathlib import Path
from typing import IO, Any

import steps

from ..host import etcd_keys, redis_copy
from ..host.exec import demand, execute, pause
from ..host.helpers import run_helper
from ..host.redis_facts import REPLICATION, redis_fields
from ..host.sealed import Sealed
from ..model.errors import FileRefused, Unhealthy
from ..model.observed import Observed
from ..model.stack import Stack
from ..model.text import _
from ..model.topology import Topology
from .backup import ETCD, data_there, etcd_stands, is_app, open_backup, refuse_silent_etcd
from .converge import await_serving, fetch_images
from .desk import Desk
from .lock import lock
from .position import find


def restore(desk: Desk, file: str) -> None:
    """Checks the file and what stands, asks where data would be lost, then restores. Raises SilverliningError; until then nothing has changed."""
    sealed = open_backup(Path(file).expanduser())
    facts, voice = sealed.facts, desk.voice
    voice.title(
        _("Backup of {made}: the counter at {counter}, from {step}").format(made=facts["made"], counter=facts["redis"]["counter"], step=facts["step"])
    )
    seen = desk.observe()
    standing = any(c.service.startswith("redis-") for c in seen.containers)
    topology = _topology(desk, seen, facts["step"], standing)
    with_etcd = facts["etcd"] is not None
    if standing:
        _refuse_unwell(seen, with_etcd)
    _refuse_newer(desk, facts, topology, seen)
    if there := data_there(desk, seen, with_etcd):
        voice.note(_("there now: {data}. `invoke backup FILE` keeps it").format(data=there))
        if not desk.dry:
            desk.confirm(_("restoring replaces the data that is there"))
    if not standing:
        voice.note(_("Redis doesn't stand here: {step} is brought up first").format(step=topology.step))
        from .run import bring_about

        bring_about(desk, topology)
    if desk.dry:
        voice.note(_("the data would be replaced by the backup's; nothing was changed"))
        return
    seen = desk.observe()
    stack = find(desk, seen)[1]
    with lock(desk, stack.tools) as held:
        seen = desk.observe()
        _refuse_unwell(seen, with_etcd)
        held.check()
        _restore(desk, sealed, stack, seen)
        await_serving(desk, stack)
        number = redis_copy.counter(desk.host.client, seen.master)
        held.count({"counter": number})
    voice.ok(_("the counter is at {number}: the next hit is {next}").format(number=number, next=number + 1))


def _topology(desk: Desk, seen: Observed, step: str, standing: bool) -> Topology:
    """What will stand when the data comes: what stands now, or else the backup's step."""
    name = find(desk, seen)[0].step if standing else step
    if name not in steps.NAMES:
        raise FileRefused(_("the backup is from {step}, which this version of the course doesn't have").format(step=step), _("bring a step up first"))
    topology: Topology = steps.load(name).TOPOLOGY
    return topology


def _refuse_unwell(seen: Observed, with_etcd: bool) -> None:
    nodes = [c.name for c in seen.containers if c.service.startswith("redis-")]
    silent = [name for name in nodes if name not in seen.redis]
    if silent or not seen.master:
        raise Unhealthy(
            _("Redis is not whole: {names}").format(names=", ".join(silent) or _("no node is master")),
            _("`invoke deploy-all` (or the step's task) mends it"),
        )
    if with_etcd:
        refuse_silent_etcd(seen)


def _refuse_newer(desk: Desk, facts: Any, topology: Topology, seen: Observed) -> None:
    """Raises FileRefused where the backup was made by a newer Redis or etcd than stands here, or would."""
    here = _versions(desk, topology, seen, facts["etcd"] is not None)
    for program, name in (("redis", "Redis"), ("etcd", "etcd")):
        theirs, ours = (facts[program] or {}).get("version", ""), here.get(program)
        if theirs and ours is not None and not _number(ours):
            raise FileRefused(
                _("the backup was made by {name} {theirs}; which one stands here can't be told").format(name=name, theirs=theirs),
                _("`invoke images` shows which image it is from"),
            )
        if ours and _number(theirs) > _number(ours):
            raise FileRefused(
                _("the backup was made by {name} {theirs}; {ours} stands here, which may not read it").format(name=name, theirs=theirs, ours=ours),
                _("bring up an image of at least {version} first (setting images.references)").format(version=".".join(map(str, _number(theirs)))),
            )


def _number(version: str) -> tuple[int, ...]:
    """Major and minor: what decides whether data can be read."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


def _versions(desk: Desk, topology: Topology, seen: Observed, etcd: bool) -> dict[str, str]:
    """The versions of Redis and etcd, asked from what runs, or from the images that would."""
    client, found = desk.host.client, {}
    if seen.master:
        found["redis"] = redis_copy.version(client, seen.master)
    if any(c.service == "etcd" and c.running for c in seen.containers):
        found["etcd"] = etcd_keys.version(desk.host, desk.settings.ports.etcd)
    wanted = [name for name in ("redis", "etcd") if name not in found and (name == "redis" or (etcd and topology.has("etcd")))]
    if not wanted or (desk.dry and any(one.rung != "present" for one in desk.store.plan_for(wanted).values())):
        return found
    for name, ref in fetch_images(desk, tuple(wanted)).items():
        program = {"redis": "redis-server", "etcd": "etcd"}[name]
        text = run_helper(client, desk.settings.stack, ref.reference, [program, "--version"])
        number = re.search(r"(?:v=|Version: )(\d[\d.]*)", text)
        found[name] = number[1] if number else ""
    return found


def _restore(desk: Desk, sealed: Sealed, stack: Stack, seen: Observed) -> None:
    facts, etcd = sealed.facts, None
    with tempfile.TemporaryFile() as rdb, desk.voice.progress(slow=True) as board:
        size = 0
        for name, member in redis_copy.read_all(sealed.payload()):
            if name == redis_copy.NAME:
                while data := member.read(1 << 20):
                    size += rdb.write(data)
            elif name == ETCD:
                etcd = etcd_keys.unpack(member.read())
        title = _("Redis: the counter to {counter}").format(counter=facts["redis"]["counter"])
        board.update(title, _("opening the data"))
        _swap(desk, stack, seen, rdb, size, lambda words: board.update(title, words))
        board.done(title)
        if etcd is None:
            return
        if not etcd_stands(seen):
            desk.voice.note(_("etcd's {count} keys stay in the backup: {step} has no etcd").format(count=len(etcd), step=stack.topology.step))
            return
        title = _("etcd's keys")
        board.update(title, _("comparing"))
        count = _restore_keys(desk, etcd)
        board.done(title, _("{count} changed").format(count=count))


def _restore_keys(desk: Desk, wanted: dict[bytes, bytes]) -> int:
    """Makes etcd's keys those of the backup; the apps stay registered as they stand here, where they have other addresses. Gives the changes."""
    port = desk.settings.ports.etcd
    there = etcd_keys.read(desk.host, port)
    puts = {key: value for key, value in wanted.items() if not is_app(key) and there.get(key) != value}
    deletes = [key for key in there if not is_app(key) and key not in wanted]
    etcd_keys.write(desk.host, port, puts, deletes)
    return len(puts) + len(deletes)


def _swap(desk: Desk, stack: Stack, seen: Observed, rdb: IO[bytes], size: int, report: Any) -> None:
    """The master takes the data over from a Redis that has opened it, and its replicas from the master."""
    client, master, deadline = desk.host.client, seen.master, float(desk.settings.deadline)
    image = client.inspect_container(master)["Config"]["Image"]
    with redis_copy.opened(client, stack.name, image, rdb, size, deadline, stack.network.name) as copy:
        counter = copy.counter()
        end = time.monotonic() + deadline
        try:
            report(_("{master} takes it over").format(master=master))
            demand(client, master, "redis-ask", "replicaof", copy.address, "6379")
            _await(lambda: _linked(client, master, copy.address), end, _("{master} does not take the data over").format(master=master))
            if (there := redis_copy.counter(client, master)) != counter:
                raise Unhealthy(_("{master} has the counter at {there}, not at {counter}").format(master=master, there=there, counter=counter))
        finally:
            # It is master again, whatever went wrong. Sentinels would doubt it only after some twenty seconds.
            demand(client, master, "redis-ask", "replicaof", "no", "one")
    report(_("writing it to disk"))
    _await(lambda: _on_disk(client, master), end, _("{master} does not write its data to disk").format(master=master))
    report(_("the replicas follow"))
    address = next(c.address for c in seen.containers if c.name == master)
    for node in seen.redis:
        if node != master:
            words = _("{node} does not follow {master}").format(node=node, master=master)
            _await(lambda node=node: _linked(client, node, address) and redis_copy.counter(client, node) >= counter, end, words)


def _await(true: Any, end: float, what: str) -> None:
    while not true():
        if not pause(0.05, end):
            raise Unhealthy(what, _("invoke status, then `invoke deploy-all`; then run the same command again"))


def _linked(client: Any, node: str, address: str) -> bool:
    facts = redis_fields(execute(client, node, REPLICATION).text)
    return (facts.get("master_host"), facts.get("master_link_status"), facts.get("master_sync_in_progress")) == (address, "up", "0")


def _on_disk(client: Any, node: str) -> bool:
    """The append-only file holds the new data: until it has been rewritten, a crash would bring the old data back."""
    facts = redis_fields(execute(client, node, ("redis-ask", "info", "persistence")).text)
    words = ("loading", "aof_rewrite_in_progress", "aof_rewrite_scheduled", "aof_enabled", "aof_last_bgrewrite_status")
    return tuple(facts.get(word) for word in words) == ("0", "0", "0", "1", "ok")
