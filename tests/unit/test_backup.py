"""Backups: etcd's keys as a list, the payload, and what is refused before anything changes."""

from __future__ import annotations

import io
import json
from base64 import b64decode, b64encode
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

import steps
from silverlining.host import etcd_keys, redis_copy
from silverlining.host.host import Reply
from silverlining.host.sealed import Writer, open_sealed
from silverlining.model.errors import FileRefused, Unhealthy
from silverlining.model.observed import Observed, RedisNode, SeenContainer
from silverlining.ops import backup, restore

STEP08 = steps.load("step08-netdata").TOPOLOGY
PAIRS = {b"/app/servers/app1": b"10.0.0.31:8000", b"/n/\xff\x00": b"\x00\xfe", "/grüße".encode(): b"ja\n", b"/empty": b""}


class Etcd:
    """A host whose etcd answers by its JSON gateway, a thousand keys at a time."""

    def __init__(self, pairs: dict[bytes, bytes], leased: tuple[bytes, ...] = ()) -> None:
        self.pairs, self.leased = dict(pairs), leased
        self.asked: list[dict[str, Any]] = []
        self.status = 200

    def get(self, port: int, path: str) -> Reply:
        return Reply(200, '{"etcdserver":"3.5.16","etcdcluster":"3.5.0"}', {})

    def post(self, port: int, path: str, body: str) -> Reply:
        question = json.loads(body)
        self.asked.append(question)
        answer = self.range(question) if path.endswith("range") else self.txn(question)
        return Reply(self.status, json.dumps(answer), {})

    def range(self, question: dict[str, Any]) -> dict[str, Any]:
        keys = sorted(key for key in self.pairs if key >= b64decode(question["key"]))
        page = keys[: question["limit"]]
        found = [
            {"key": b64encode(key).decode(), "lease": "7" if key in self.leased else "0"}
            | ({"value": b64encode(self.pairs[key]).decode()} if self.pairs[key] else {})
            for key in page
        ]
        return {"header": {"revision": "42"}, "kvs": found, "more": len(keys) > len(page)}

    def txn(self, question: dict[str, Any]) -> dict[str, Any]:
        assert len(question["success"]) <= 128
        for operation in question["success"]:
            if put := operation.get("request_put"):
                self.pairs[b64decode(put["key"])] = b64decode(put["value"])
            else:
                del self.pairs[b64decode(operation["request_delete_range"]["key"])]
        return {"succeeded": True}


def test_keys_survive_any_bytes() -> None:
    assert etcd_keys.unpack(etcd_keys.pack(PAIRS)) == PAIRS
    assert b"10.0.0.31:8000" in etcd_keys.pack(PAIRS), "text stays readable"


def test_all_keys_at_one_revision_without_those_that_have_a_lease() -> None:
    many = {b"/k/%05d" % n: b"%d" % n for n in range(2500)}
    etcd = Etcd(many, leased=(b"/k/00007",))
    assert etcd_keys.read(etcd, 2379) == {key: value for key, value in many.items() if key != b"/k/00007"}  # type: ignore[arg-type]
    assert [question["revision"] for question in etcd.asked] == [0, 42, 42]


def test_keys_become_those_of_the_backup_and_the_apps_stay_registered() -> None:
    here = {b"/app/servers/app1": b"10.9.9.31:8000", b"/mine": b"old", b"/late": b"1"} | {b"/x/%d" % n: b"" for n in range(300)}
    etcd = Etcd(here)
    wanted = {b"/app/servers/app1": b"10.0.0.31:8000", b"/app/servers/app7": b"10.0.0.37:8000", b"/mine": b"new", b"/app/servers/old": b"h:1"}
    desk = SimpleNamespace(host=etcd, settings=SimpleNamespace(ports=SimpleNamespace(etcd=2379)))
    assert restore._restore_keys(desk, wanted) == 303  # type: ignore[arg-type]
    assert etcd.pairs == {b"/app/servers/app1": b"10.9.9.31:8000", b"/mine": b"new", b"/app/servers/old": b"h:1"}
    assert restore._restore_keys(desk, wanted) == 0  # type: ignore[arg-type]


def test_an_etcd_that_does_not_answer() -> None:
    etcd = Etcd({})
    etcd.status = 503
    with pytest.raises(Unhealthy, match="etcd on port 2379 does not answer: 503"):
        etcd_keys.read(etcd, 2379)  # type: ignore[arg-type]


def written(path: Path, rdb: bytes, keys: bytes, **facts: Any) -> Path:
    with Writer(path, backup.KIND, facts, 0o600) as writer:
        for data in backup._tar(io.BytesIO(rdb), len(rdb), keys):
            writer.write(data)
        writer.seal(facts)
    return path


@pytest.mark.parametrize("size", (9, 512, 3_000_000))
def test_the_payload_comes_back_whole(tmp_path: Path, size: int) -> None:
    rdb, keys = (b"REDIS0012" * (size // 9 + 1))[:size], etcd_keys.pack(PAIRS)
    sealed = backup.open_backup(written(tmp_path / "b", rdb, keys))
    assert {name: file.read() for name, file in redis_copy.read_all(sealed.payload())} == {"redis.rdb": rdb, "etcd.json": keys}
    path = written(tmp_path / "c", rdb, b"")
    assert [name for name, _file in redis_copy.read_all(open_sealed(path, "backup").payload())] == ["redis.rdb"]


def test_a_broken_backup_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "b", b"REDIS0012", b"")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(FileRefused, match="damaged"):
        backup.open_backup(path)


@pytest.mark.parametrize(
    ("theirs", "ours", "refused"),
    (
        ({"redis": "8.2.0", "etcd": "3.5.16"}, {"redis": "8.0.2", "etcd": "3.5.16"}, "newer|made by Redis 8.2.0"),
        ({"redis": "8.0.2", "etcd": "3.6.1"}, {"redis": "8.0.2", "etcd": "3.5.16"}, "made by etcd 3.6.1"),
        ({"redis": "10.0.0", "etcd": "3.5.16"}, {"redis": "8.0.2"}, "made by Redis 10.0.0"),
        ({"redis": "8.0.9", "etcd": "3.5.99"}, {"redis": "8.0.2", "etcd": "3.5.16"}, ""),
        ({"redis": "7.0.1", "etcd": "3.6.1"}, {"redis": "8.0.2"}, ""),
        ({"redis": "8.0.2"}, {"redis": ""}, "which one stands here can't be told"),
        ({"redis": "8.0.2"}, {}, ""),  # a dry run that hasn't got the image
    ),
)
def test_a_newer_redis_or_etcd_is_refused(monkeypatch: pytest.MonkeyPatch, theirs: dict[str, str], ours: dict[str, str], refused: str) -> None:
    monkeypatch.setattr(restore, "_versions", lambda *words: ours)
    facts = {name: {"version": theirs[name]} if name in theirs else None for name in ("redis", "etcd")}
    if not refused:
        restore._refuse_newer(None, facts, STEP08, None)  # type: ignore[arg-type]
        return
    with pytest.raises(FileRefused, match=refused):
        restore._refuse_newer(None, facts, STEP08, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("masters", "taken", "trouble"),
    [
        (["a", "a"], ["a"], ""),
        (["a", "b", "b"], ["a", "b"], ""),
        (["a", "", "a"], ["a"], ""),
        (["a", "", ""], ["a"], "answers no more"),
        (["a", "b", "a", "b"], ["a", "b", "a"], "has changed, or"),
    ],
)
def test_a_master_that_is_none_any_more_is_not_backed_up(monkeypatch: pytest.MonkeyPatch, masters: list[str], taken: list[str], trouble: str) -> None:
    """A failover in between: what was copied may be of a node that was a replica by then, so it is taken anew from the master."""
    asked, file = [], io.BytesIO()
    hosts = [SimpleNamespace(master=name) for name in masters]

    def take(_client: Any, master: str, rdb: io.BytesIO) -> None:
        asked.append(master)
        rdb.write(master.encode())

    monkeypatch.setattr(redis_copy, "take", take)
    coming: Any = iter(hosts[1:])
    desk: Any = SimpleNamespace(host=SimpleNamespace(client=None), observe=lambda: next(coming))
    if trouble:
        with pytest.raises(Unhealthy, match=trouble):
            backup._take(desk, cast(Any, hosts[0]), file)
    else:
        assert backup._take(desk, cast(Any, hosts[0]), file).master == taken[-1] and file.getvalue() == taken[-1].encode()
    assert asked == taken


def standing(*services: str, keys: dict[str, str] | None = None, master: bool = True, volumes: tuple[str, ...] = ()) -> Observed:
    containers = tuple(SeenContainer("id", f"s-{name}-1", name, 1, "", "", "running", "healthy", "10.0.0.9", "image") for name in services)
    redis = {"s-redis-master-1": RedisNode("master")} if master and "redis-master" in services else {}
    return Observed("s", containers, keys=keys, redis=redis, volumes=frozenset(volumes))


ASLEEP = ("s-redis-master-1", "s-etcd-1", "s-secrets")
TEAMS = {b"/app/servers/app1": b"10.0.0.31:8000", b"/teams/own": b"1"}


@pytest.mark.parametrize(
    ("seen", "redis_keys", "pairs", "with_etcd", "words"),
    (
        (standing("redis-master"), 0, {}, True, ""),
        (standing("redis-master"), 3, {}, True, "the counter at 7, 3 keys"),
        (standing("redis-master", "etcd", keys={}), 0, TEAMS, True, "1 key of etcd"),
        (standing("redis-master", "etcd", keys={}), 0, TEAMS, False, ""),
        (standing("redis-master", "etcd", keys={}), 2, TEAMS, True, "the counter at 7, 2 keys; 1 key of etcd"),
        (standing("redis-master", "etcd", keys={}, volumes=ASLEEP), 0, {}, True, ""),
        (standing(volumes=ASLEEP), 0, {}, False, "the volumes s-redis-master-1"),
        (standing(volumes=ASLEEP), 0, {}, True, "the volumes s-etcd-1, s-redis-master-1"),
        (standing(volumes=("s-secrets",)), 0, {}, True, ""),
    ),
)
def test_what_a_restore_would_replace(
    monkeypatch: pytest.MonkeyPatch, seen: Observed, redis_keys: int, pairs: dict[bytes, bytes], with_etcd: bool, words: str
) -> None:
    monkeypatch.setattr(redis_copy, "keys", lambda _client, _name: redis_keys)
    monkeypatch.setattr(redis_copy, "counter", lambda _client, _name: 7)
    host = Etcd(pairs)
    host.client = None  # type: ignore[attr-defined]
    desk = SimpleNamespace(host=host, settings=SimpleNamespace(ports=SimpleNamespace(etcd=2379)))
    assert backup.data_there(desk, seen, with_etcd) == words  # type: ignore[arg-type]


def test_an_etcd_that_stands_and_is_silent_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    silent, well, none = standing("redis-master", "etcd"), standing("redis-master", "etcd", keys={}), standing("redis-master")
    desk = SimpleNamespace(observe=lambda: silent, settings=None)
    with pytest.raises(Unhealthy, match="etcd does not answer"):
        backup.backup(desk, str(tmp_path / "b"))  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
    with pytest.raises(Unhealthy, match="etcd does not answer"):
        restore._refuse_unwell(silent, with_etcd=True)
    for seen, with_etcd in ((silent, False), (well, True), (none, True)):
        restore._refuse_unwell(seen, with_etcd)
