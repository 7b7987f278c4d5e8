"""Compose takes a stack over, from our own containers or from its own earlier ones: Redis first, then apps, then HAProxy, serving all the while.

What serves stays until its successor does. The Redis master never stops: its role moves away before, and back afterwards. Each wave
finds out by itself what it has to do, so that a run that was cut off is gone on with by the next one. The waves follow the file's
depends_on: `up --no-deps` would do as well, but Compose 2.26 makes such a container anew at the next plain `up`.
"""

from __future__ import annotations

from ..model import actions as do
from ..model.commands import ask_sentinel, docker
from ..model.plan_redis import ANCHOR
from ..model.service import SECRETS
from ..model.stack import server_key
from .compose_hands import APP, PROXY, Hands

DATA = ("etcd", "redis-slave", "sentinel", "netdata")


class Swap(Hands):
    """The whole way, told in waves."""

    def run(self, dry: bool = False) -> None:
        """Goes the whole way. With `dry` it only shows the commands. Raises SilverliningError."""
        self.dry = dry
        for c in self.seen.containers:
            if c.state == "paused" and self.show(docker("unpause", c.name)):
                self.client.unpause(c.id)
        self.thin_out()
        if self.ours or self.stale or self.broken:
            self.master()
            self.data()
            self.apps()
            self.proxy()
        self.compose("up", "-d")
        self.ready(self.stack.containers)
        self.mend()
        self.register()

    def changes(self, *services: str) -> list[str]:
        """Those of the services that have to change."""
        touched = self.stale | self.broken | {c.service for c in self.ours}
        standing = {c.service for c in self.seen.containers}
        return [s for s in services if s in touched or s not in standing]

    def master(self) -> None:
        """redis-master is a replica while it is exchanged: the master never stops. It comes first, since the others depend on it."""
        if not self.changes(ANCHOR):
            return
        anchor = self.stack.of(ANCHOR)[0]
        sentinel = next(iter(self.seen.sentinels), "")
        leaves = bool(sentinel) and self.seen.master == anchor.name and len(self.seen.redis) > 1
        if leaves and self.show(ask_sentinel(sentinel, "sentinel", "failover", "master")):
            self.applier.apply(do.MoveMaster(anchor.name, "", sentinel), self.quiet)
        self.clear([ANCHOR])
        self.compose("up", "-d", ANCHOR)
        self.ready((anchor,))
        self.settle_role()

    def data(self) -> None:
        """etcd, the replicas and the Sentinels. HAProxy keeps its list without etcd, and an app its connection without Sentinels."""
        todo = self.changes(*DATA)
        if todo:
            if {"redis-slave", "sentinel"} & set(todo):
                self.settle_role()
            self.clear(todo)
            self.compose("up", "-d", *todo)
            self.ready(c for c in self.stack.containers if c.service in todo)
            self.mend()

    def apps(self) -> None:
        """While Compose makes its app containers, guests serve: our own under another name, or one more of the new kind."""
        if not self.changes(APP):
            return
        guests = [self.step_aside(c) for c in self.ours if c.service == APP]
        if not guests and self.serving(APP) and self.serving(PROXY):
            guests = [self.invite()]
        self.clear([APP], ours=False)
        self.compose("up", "-d", APP)
        self.ready(self.stack.of(APP))
        self.register()
        self.discard(guests)

    def proxy(self) -> None:
        """Compose has made its container before ours stops; new connections wait from then on until the new one has its servers."""
        if not self.changes(PROXY):
            return
        proxy = self.stack.of(PROXY)[0]
        old = [self.step_aside(c) for c in self.ours if c.service == PROXY]
        if old:
            self.compose("up", "--no-start", PROXY)
        with self.holding(proxy):
            if not old:
                self.compose("up", "-d", PROXY)
            else:
                self.show(docker("stop", *old))
                if self.show(docker("start", proxy.name)):
                    for one in old:
                        self.client.stop(one)
                    self.client.start(proxy.name)
            self.ready((proxy,))
            if not self.dry:
                self.applier.await_servers(proxy.name, self.quiet)
        self.discard(old)

    def thin_out(self) -> None:
        """Where there are too many, Compose takes the highest numbers away: not the master, and no server that HAProxy still uses."""
        extra = [c for c in self.seen.containers if c.compose and c.service != SECRETS and c.index > len(self.stack.of(c.service))]
        if any(c.service == "redis-slave" for c in extra):
            self.settle_role()
        etcd, haproxy = self.stack.of("etcd")[0].name, self.stack.of(PROXY)[0].name
        for c in extra:
            key = server_key(c.index)
            if c.service == APP and key in (self.seen.keys or {}) and self.show(docker("exec", etcd, "etcdctl", "del", key)):
                self.applier.apply(do.DeleteKey(etcd, haproxy, key), self.quiet)
