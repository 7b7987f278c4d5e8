"""The counter and etcd's keys into one file, while hits go on. The file holds no credentials: those stay in the secrets volume.

Redis' part is an RDB, a snapshot of one moment that the master makes in a fork. etcd's part is the list of its keys at one revision and not
its database: keys can be given to a running etcd of another host, whose members and whose apps have other addresses.
"""

from __future__ import annotations

import os
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from ..host import etcd_keys, redis_copy
from ..host.sealed import Sealed, Writer, open_sealed, refuse_target
from ..model.amounts import size
from ..model.errors import Unhealthy
from ..model.observed import Observed
from ..model.plan_apps import APP_KEY
from ..model.text import _, _n
from .bundles import confirm_overwrite
from .desk import Desk
from .position import find

KIND = "backup"
ETCD = "etcd.json"
TRIES = 3


def backup(desk: Desk, file: str) -> None:
    """Writes the backup. Raises SilverliningError; then no file is left behind."""
    path = Path(file).expanduser()
    refuse_target(path)
    seen = desk.observe()
    if not seen.master:
        raise Unhealthy(
            _("no Redis master answers: there is nothing to back up"),
            _("invoke status; `invoke deploy-all` mends what stands") if seen.containers else _("the data begins with step03-redis"),
        )
    with_etcd = etcd_stands(seen)
    refuse_silent_etcd(seen)
    confirm_overwrite(desk, path)
    position, stack = find(desk, seen)
    port = desk.settings.ports.etcd
    if desk.dry:
        what = _("the data of {master} and etcd's keys") if with_etcd else _("the data of {master}")
        desk.voice.note(_("{what} would be written to {path}").format(what=what.format(master=seen.master), path=path))
        return
    client = desk.host.client
    with tempfile.TemporaryFile() as rdb:
        seen = _take(desk, seen, rdb)
        length = os.fstat(rdb.fileno()).st_size
        # A backup that nobody has opened is none: this also tells which number the snapshot has, while the master counts on.
        image = stack.of("redis-master")[0].image.reference
        with redis_copy.opened(client, stack.name, image, rdb, length, float(desk.settings.deadline)) as copy:
            redis = {"version": redis_copy.version(client, seen.master), "keys": copy.keys(), "counter": copy.counter()}
        facts: dict[str, Any] = {
            "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "stack": stack.name,
            "step": position.step,
            "redis": redis,
            "etcd": None,
        }
        keys = b""
        if with_etcd:
            pairs = etcd_keys.read(desk.host, port)
            keys = etcd_keys.pack(pairs)
            facts["etcd"] = {"version": etcd_keys.version(desk.host, port), "keys": len(pairs)}
        with Writer(path, KIND, facts, 0o600) as writer:
            for data in _tar(rdb, length, keys):
                writer.write(data)
            writer.seal(facts)
    words = _("{path}: the counter at {counter}, {keys} keys of Redis {redis}").format(
        path=path, counter=redis["counter"], keys=redis["keys"], redis=redis["version"]
    )
    if facts["etcd"]:
        words += _(", {keys} keys of etcd {version}").format(**facts["etcd"])
    desk.voice.ok(f"{words}; {size(path.stat().st_size)}")


def _take(desk: Desk, seen: Observed, rdb: IO[bytes]) -> Observed:
    """Takes the master's data, and gives the host as it stood then. Raises Unhealthy where the role moves each time."""
    changed = Unhealthy(
        _("the Redis master has changed, or answers no more, since its data was copied"),
        _("run the same command again when `invoke status` is quiet"),
    )
    for _again in range(TRIES):
        assert seen.master
        trouble: Unhealthy | None = None
        try:
            redis_copy.take(desk.host.client, seen.master, rdb)
        except Unhealthy as error:
            trouble = error
        after = desk.observe()
        if not after.master:  # it may only have been slow to answer
            after = desk.observe()
        if after.master == seen.master and not trouble:
            return after
        if after.master in ("", seen.master):
            raise trouble or changed
        # What it had was that of a node which is, or was about to be, a replica.
        rdb.seek(0)
        rdb.truncate()
        seen = after
    raise changed


def _tar(rdb: IO[bytes], length: int, keys: bytes) -> Iterator[bytes]:
    rdb.seek(0)
    yield _header(redis_copy.NAME, length)
    while data := rdb.read(1 << 20):
        yield data
    yield b"\0" * (-length % tarfile.BLOCKSIZE)
    if keys:
        yield _header(ETCD, len(keys)) + keys + b"\0" * (-len(keys) % tarfile.BLOCKSIZE)
    yield b"\0" * (2 * tarfile.BLOCKSIZE)


def _header(name: str, length: int) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = length, 0o600, int(time.time())
    return entry.tobuf(tarfile.GNU_FORMAT)


def open_backup(path: Path) -> Sealed:
    """A backup, checked to its last byte. Raises FileRefused."""
    sealed = open_sealed(path, KIND)
    sealed.check()
    return sealed


def etcd_stands(seen: Observed) -> bool:
    """Whether etcd is part of what stands, running or not."""
    return any(c.service == "etcd" for c in seen.containers)


def refuse_silent_etcd(seen: Observed) -> None:
    """Its keys can't be read, or given, while it is stopped or paused. Raises Unhealthy."""
    if etcd_stands(seen) and seen.keys is None:
        raise Unhealthy(_("etcd does not answer: its keys belong to the backup"), _("`invoke deploy-all` (or the step's task) mends it"))


def is_app(key: bytes) -> bool:
    """Whether a key registers an app: the apps have other addresses on another host, and stay registered as they stand there."""
    return bool(APP_KEY.match(key.decode(errors="replace")))


def data_there(desk: Desk, seen: Observed, with_etcd: bool) -> str:
    """What data the stack has now that a backup would replace, in words; "" if none. `with_etcd`: the backup has etcd's keys."""
    found = []
    asleep = [name for name in seen.volumes if "-redis-" in name or (with_etcd and "-etcd-" in name)]
    if seen.master:
        client = desk.host.client
        if count := redis_copy.keys(client, seen.master):
            found.append(_("the counter at {counter}, {keys} keys").format(counter=redis_copy.counter(client, seen.master), keys=count))
        asleep = [name for name in asleep if "-redis-" not in name]
    if with_etcd and etcd_stands(seen):
        if count := sum(not is_app(key) for key in etcd_keys.read(desk.host, desk.settings.ports.etcd)):
            found.append(_n("{count} key of etcd", "{count} keys of etcd", count))
        asleep = [name for name in asleep if "-etcd-" not in name]
    if asleep:
        found.append(_("the volumes {names}").format(names=", ".join(sorted(asleep))))
    return "; ".join(found)
