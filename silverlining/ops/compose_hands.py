"""The single things that are done while Compose takes a stack over: each shows its command, and does it unless the run is dry."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ..host.compose import Compose, file_path
from ..host.exec import execute, pause
from ..model import actions as do
from ..model.commands import docker, line, nft, remove, run
from ..model.compose import FILE, SCRIPT, settle, specs, stands
from ..model.errors import SilverliningError, Unhealthy
from ..model.hold import Hold
from ..model.observed import Observed, SeenContainer
from ..model.service import SECRETS
from ..model.stack import Container, Stack
from ..model.text import _
from .apply import Applier
from .compose_redis import mend_redis, role_to_anchor
from .desk import Desk
from .hold import held

GUEST = "-leaving"
APP, PROXY = "ping-app", "haproxy"


class Hands:
    """The single things that are done on the way from what was `seen` to what the Compose file says; with `dry` they are only shown.

    `still_ours` raises Busy when the lock was lost.
    """

    def __init__(self, desk: Desk, stack: Stack, seen: Observed, compose: Compose, still_ours: Callable[[], None] = lambda: None) -> None:
        self.desk, self.stack, self.seen = desk, stack, seen
        self.client: Any = desk.host.client
        self.applier = Applier(self.client, stack)
        self.program = compose
        self.dry = False
        self.still_ours = still_ours
        wanted = specs(stack)
        self.ours = [c for c in seen.containers if not c.compose]
        self.stale = {c.service for c in seen.containers if c.compose and c.service != SECRETS and not stands(stack, c, wanted)}
        self.broken = {service for service in wanted if _gap(seen, service)}

    @property
    def prefix(self) -> str:
        """What stands in front of Compose's own words in the host's shell."""
        return self.program.prefix(self.desk.host.placed(file_path()))

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
        """Shows a command; gives whether it is to be done as well. Raises Busy when the lock was lost."""
        if not self.dry:
            self.still_ours()
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
        self._remove(c.id for c in going)
        if broken := [s for s in services if s in self.broken]:
            self.compose("rm", "-s", "-f", "-v", *broken)

    def _remove(self, names: Iterable[str]) -> None:
        if not self.dry:
            with ThreadPoolExecutor(24) as pool:
                list(pool.map(self.applier.remove, names))

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
        names = list(names)
        for argv in [argv for name in names for argv in remove(name)]:
            self.show(argv)
        self._remove(names)

    @contextmanager
    def holding(self, c: Container) -> Iterator[None]:
        """Inside the block new connections to the public port of the container that is exchanged for `c` wait, as far as the host can do that."""
        old = next((one for one in self.seen.containers if one.service == c.service and one.running), None)
        hold = Hold.while_replaced(self.stack, c, old) if old else None
        if not hold:
            yield
            return
        if not self.show(nft(hold, hold.begin)):
            yield
        else:
            with held(self.client, hold):
                yield
        self.show(nft(hold, hold.end))

    def ready(self, containers: Iterable[Container]) -> None:
        """Asks each one's own health check, sooner than Docker does."""
        if not self.dry:
            with ThreadPoolExecutor(24) as pool:
                list(pool.map(lambda c: self.applier.ready.wait(c, self.quiet), list(containers)))

    def settle_role(self) -> None:
        """The master role to redis-master, whose volume has a name."""
        if not self.dry:
            self.look()
            role_to_anchor(self.applier, self.stack, self.seen, self.show, self.quiet)

    def register(self) -> None:
        """Runs the script that stands beside the file, and awaits that HAProxy has the servers."""
        if not self.show(("sh", SCRIPT)):
            return
        script = self.desk.host.placed(file_path().with_name(SCRIPT))
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
