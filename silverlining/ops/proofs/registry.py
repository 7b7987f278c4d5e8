"""Proofs about etcd and confd: a key put by hand takes traffic, and no lost etcd or key empties the load balancer."""

from __future__ import annotations

from ...model.stack import LESSON_KEY
from ...model.text import _
from ..scene import Scene, claim

HAND = LESSON_KEY.rpartition("/")[2]


def key_by_hand(scene: Scene, service: str) -> None:
    """A key put by hand becomes a server that takes traffic; deleted, it leaves."""
    etcd, app = scene.first("etcd").name, scene.first("ping-app")
    key, value = LESSON_KEY, f"{app.address}:8000"
    scene.voice.command(f"docker exec {etcd} etcdctl put {key} {value}")
    scene.demand(etcd, "etcdctl", "put", key, value)
    try:
        scene.until(lambda: scene.servers().get(HAND) == "UP", _("the server {name} in HAProxy").format(name=HAND), 20)
        scene.until(lambda: scene.hit().status == 200 and _sessions(scene) > 0, _("a request served by {name}").format(name=HAND), 20)
        scene.voice.ok(_("{name} is in the configuration and takes traffic").format(name=HAND))
    finally:
        scene.voice.command(f"docker exec {etcd} etcdctl del {key}")
        scene.demand(etcd, "etcdctl", "del", key)
    scene.until(lambda: HAND not in scene.servers(), _("{name} gone from HAProxy").format(name=HAND), 20)
    scene.voice.ok(_("{name} is gone").format(name=HAND))


def _sessions(scene: Scene) -> int:
    """How many sessions the server by hand has had."""
    lines = scene.demand(scene.first("haproxy").name, "haproxyctl", "show", "stat").lstrip("# ").splitlines()
    head = lines[0].split(",")
    rows = [dict(zip(head, line.split(","), strict=False)) for line in lines[1:] if line]
    return next((int(row["stot"] or 0) for row in rows if row.get("svname") == HAND), 0)


def etcd_gone(scene: Scene, service: str) -> None:
    """etcd is stopped: the servers stay, hits go on."""
    etcd = scene.first("etcd")
    before = scene.servers()
    scene.voice.command(f"docker stop {etcd.name}")
    scene.client.stop(etcd.name)
    try:
        numbers = [scene.count() for _hit in range(6)]
        claim(set(scene.servers()) == set(before), _("servers left HAProxy: {now}").format(now=scene.servers()))
        scene.voice.ok(_("without etcd: {count} hits answered, servers unchanged").format(count=len(numbers)))
    finally:
        from ..apply import Applier

        scene.voice.command(f"docker start {etcd.name}")
        scene.client.start(etcd.name)
        Applier(scene.client, scene.stack).ready.wait(etcd, lambda words: None)


def last_key(scene: Scene, service: str) -> None:
    """All keys are deleted: the last good list stays in force. Then they are put back."""
    etcd = scene.first("etcd").name
    before = scene.servers()
    scene.voice.command(f"docker exec {etcd} etcdctl del --prefix /app/servers/")
    scene.demand(etcd, "etcdctl", "del", "--prefix", "/app/servers/")
    try:
        scene.until(lambda: _refused(scene), _("confd refusing an empty list, in its log"), 20)
        claim(scene.servers() == before, _("servers changed: {now}").format(now=scene.servers()))
        numbers = [scene.count() for _hit in range(6)]
        scene.voice.ok(_("no key left: {count} hits answered by the last good list").format(count=len(numbers)))
    finally:
        for key, value in scene.stack.servers().items():
            scene.voice.command(f"docker exec {etcd} etcdctl put {key} {value}")
            scene.demand(etcd, "etcdctl", "put", key, value)
    scene.until(lambda: set(scene.servers()) == set(before), _("all servers in HAProxy"), 20)


def _refused(scene: Scene) -> bool:
    log: bytes = scene.client.logs(scene.first("haproxy").name, tail=40)
    return b"no server" in log.lower() or b"without server" in log.lower()
