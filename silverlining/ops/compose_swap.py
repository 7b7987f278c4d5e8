"""Compose takes a stack over, from our own containers or from its own earlier ones: Redis first, then apps, then HAProxy, serving all the while.

What serves stays until its successor does. The Redis master never stops: its role moves away before, and back afterwards. Each wave
finds out by itself what it has to do, so that a run that was cut off is gone on with by the next one. The waves follow the file's
depends_on: `up --no-deps` would do as well, but Compose 2.26 makes such a container anew at the next plain `up`.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from ..host.compose import Compose, file_path
from ..host.exec import execute, pause
from ..model import actions as do
from ..model.commands import ask_sentinel, docker, line, remove, run
from ..model.compose import FILE, SCRIPT, settle, specs, stands
from ..model.errors import SilverliningError, Unhealthy
from ..model.observed import Observed, SeenContainer
from ..model.plan_redis import ANCHOR
from ..model.service import SECRETS
from ..model.stack import Container, Stack
from ..model.text import _
from .apply import Applier
from .compose_redis import mend_redis, role_to_anchor
from .desk import Desk

GUEST = "-leaving"
DATA = ("etcd", "redis-slave", "sentinel", "netdata")
APP, PROXY = "ping-app", "haproxy"


class Swap:
    """One way from what was `seen` to what the Compose file says."""

    def __init__(self, desk: Desk, stack: Stack, seen: Observed, compose: Compose) -> None:
        self.desk, self.stack, self.seen, self.program = desk, stack, seen, compose
        self.client: Any = desk.host.client
        self.applier = Applier(self.client, stack)
        self.prefix = compose.prefix(file_path())
        self.dry = False
        wanted = specs(stack)
        self.ours = [c for c in seen.containers if not c.compose]
        self.stale = {c.service for c in seen.containers if c.compose and c.service != SECRETS and not stands(stack, c, wanted)}
        self.broken = {service for service in wanted if _gap(seen, service)}

    def run(self, dry: bool = False) -> None:
        """Goes the whole way. With `dry` it only shows the commands. Raises SilverliningError."""
        self.dry = dry
        for c in self.seen.containers:
            if c.state == "paused" and self.show(docker("unpause", c.name)):
                self.client.unpause(c.id)
        if self.ours or self.stale or self.broken:
            self.master()
            self.data()
            self.apps()
            self.proxy()
        self.thin_out()
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
        if sentinel and self.seen.master == anchor.name and len(self.seen.redis) > 1:
            if self.show(ask_sentinel(sentinel, "sentinel", "failover", "master")):
                self.applier.apply(do.MoveMaster(anchor.name, "", sentinel), self.quiet)
        self.clear([ANCHOR])
        self.compose("up", "-d", ANCHOR)
        self.ready((anchor,))
        self.settle_role()

    def data(self) -> None:
        """etcd, the replicas and the Sentinels. HAProxy keeps its list without etcd, and an app its connection without Sentinels."""
        todo = self.changes(*DATA)
        if todo:
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
        """The gap is one stop and one start: Compose has made its container before ours stops."""
        if not self.changes(PROXY):
            return
        name = self.stack.of(PROXY)[0].name
        old = [self.step_aside(c) for c in self.ours if c.service == PROXY]
        if old:
            self.compose("up", "--no-start", PROXY)
            self.show(docker("stop", *old))
            if self.show(docker("start", name)):
                for one in old:
                    self.client.stop(one)
                self.client.start(name)
        else:
            self.compose("up", "-d", PROXY)
        self.ready(self.stack.of(PROXY))
        self.discard(old)

    def thin_out(self) -> None:
        """App servers that are too many leave HAProxy before Compose takes them away: it takes the highest numbers."""
        count = len(self.stack.of(APP))
        extra = sorted(c.index for c in self.seen.containers if c.compose and c.service == APP and c.index > count)
        etcd, haproxy = self.stack.of("etcd")[0].name, self.stack.of(PROXY)[0].name
        for index in extra if self.serving("etcd") else ():
            key = f"/app/servers/app{index}"
            if self.show(docker("exec", etcd, "etcdctl", "del", key)):
                self.applier.apply(do.DeleteKey(etcd, haproxy, key), self.quiet)

    # --- the pieces

    def compose(self, *words: str) -> None:
        """One Compose command on the file."""
        argv = ("docker", "compose", "-f", FILE, *words)
        if not self.show(argv):
            return
        seconds = 3 * float(self.desk.settings.deadline)
        result = self.desk.host.shell(f"{self.prefix} {shlex.join(words)}", timeout=seconds)
        if not result.ok:
            said = "\n".join(f"    {text}" for text in (result.stderr or result.stdout).strip().splitlines()[-8:])
            raise SilverliningError(
                _("`{command}` failed with exit code {code}").format(command=line(argv), code=result.exited) + f"\n{said}",
                _("run the same command again: it goes on where this ended"),
            )
        for text in result.stderr.splitlines():
            if "warn" in text.lower():
                self.desk.voice.note(text.strip())

    def show(self, argv: Iterable[str]) -> bool:
        """Shows a command; gives whether it is to be done as well."""
        self.desk.voice.command(line(tuple(argv)))
        return not self.dry

    def quiet(self, words: str) -> None:
        """Progress of single actions is not shown."""

    def look(self) -> None:
        """Looks anew; Compose gave addresses that nobody knew before."""
        self.seen = self.desk.observe()
        self.stack = settle(self.stack, self.seen)
        self.applier = Applier(self.client, self.stack)

    def serving(self, service: str) -> bool:
        """Whether a container of the service ran when it was looked at last."""
        return any(c.running for c in self.seen.containers if c.service == service)

    def clear(self, services: Iterable[str], ours: bool = True) -> None:
        """Makes room: our own containers go, and Compose's where its numbers have gaps (it would count on from the highest)."""
        services = list(services)
        going = [c for c in self.ours if ours and c.service in services]
        for argv in [argv for c in going for argv in remove(c.name)]:
            self.show(argv)
        if going and not self.dry:
            with ThreadPoolExecutor(24) as pool:
                list(pool.map(lambda c: self.applier.remove(c.id), going))
        if broken := [s for s in services if s in self.broken]:
            self.compose("rm", "-s", "-f", "-v", *broken)

    def step_aside(self, c: SeenContainer) -> str:
        """Ours goes on serving under another name, so that Compose can have its own. Only for what keeps no data."""
        name = c.name if c.name.endswith(GUEST) else c.name + GUEST
        if name != c.name and self.show(docker("rename", c.name, name)):
            self.client.rename(c.id, name)
        return name

    def invite(self) -> str:
        """A new app container that serves, alone, while Compose exchanges its own all at once."""
        first = self.stack.of(APP)[0]
        address = self.stack.network.subnet.rsplit(".", 1)[0] + f".{self.stack.topology.service(APP).address}"
        guest = replace(first, name=first.name + GUEST, address=address)
        etcd = self.stack.of("etcd")[0].name
        if self.show(run(guest)):
            self.applier.remove(guest.name)
            self.applier.run(guest, self.quiet)
            self.applier.apply(do.PutKey(etcd, "/app/servers/app1", f"{address}:8000"), self.quiet)
            for c in self.stack.of(APP)[1:]:
                self.applier.apply(do.DeleteKey(etcd, self.stack.of(PROXY)[0].name, f"/app/servers/app{c.index}"), self.quiet)
        return guest.name

    def discard(self, names: Iterable[str]) -> None:
        """Takes away what has served until now."""
        for name in names:
            for argv in remove(name):
                self.show(argv)
            if not self.dry:
                self.applier.remove(name)

    def ready(self, containers: Iterable[Container]) -> None:
        """Asks each one's own health check, sooner than Docker does."""
        if not self.dry:
            with ThreadPoolExecutor(24) as pool:
                list(pool.map(lambda c: self.applier.await_ready(c, self.quiet), list(containers)))

    def settle_role(self) -> None:
        """The master role to redis-master, whose volume has a name."""
        if not self.dry:
            self.look()
            role_to_anchor(self.applier, self.stack, self.seen, self.show, self.quiet)

    def register(self) -> None:
        """Runs the script that stands beside the file, and awaits that HAProxy has the servers."""
        if not self.show(("sh", SCRIPT)):
            return
        script = shlex.quote(str(file_path().with_name(SCRIPT)))
        result = self.desk.host.shell(f"COMPOSE={shlex.quote(self.prefix)} sh {script}", timeout=float(self.desk.settings.deadline))
        if not result.ok:
            raise SilverliningError(_("{script} failed: {words}").format(script=SCRIPT, words=result.stderr.strip()), _("invoke status"))
        self.look()
        proxy = next((c.name for c in self.seen.containers if c.service == PROXY and c.running), "")
        wanted = {f"{key.rsplit('/', 1)[1]} {value.partition(':')[0]}" for key, value in self.stack.servers().items()}
        end = time.monotonic() + self.applier.deadline
        while proxy and wanted != (there := _servers(self.client, proxy)):
            if not pause(0.1, end):
                raise Unhealthy(
                    _("{name} has the servers {there} instead of {wanted}").format(name=proxy, there=there, wanted=wanted), "invoke status"
                )

    def mend(self) -> None:
        """Replicas follow the master, Sentinels know exactly what stands."""
        if self.dry:
            return
        self.look()
        mend_redis(self.applier, self.stack, self.seen, self.show, self.quiet)


def _gap(seen: Observed, service: str) -> bool:
    """Whether Compose's numbers of a service miss one: it counts on from the highest, and never fills a gap."""
    numbers = sorted(c.index for c in seen.containers if c.compose and c.service == service)
    return numbers != list(range(1, len(numbers) + 1))


def _servers(client: Any, proxy: str) -> set[str]:
    """What HAProxy has as servers now: {"app1 10.0.0.31"}."""
    answer = execute(client, proxy, ("haproxyctl", "show", "servers", "state", "webserver"))
    rows = [text.split() for text in answer.text.splitlines()]
    return {f"{row[3]} {row[4]}" for row in rows if len(row) > 4 and row[3].startswith("app")}
