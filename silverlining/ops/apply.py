"""Does what an action says, through the engine's API: the counterpart of model/commands.py."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..host import code
from ..host.exec import Answer, demand, execute, pause
from ..host.helpers import run_helper
from ..host.redis_facts import REPLICATION, redis_fields
from ..model import actions as do
from ..model.commands import FORGET, LOG_OPTIONS
from ..model.errors import Conflict
from ..model.plan import port_flag
from ..model.stack import Container, Stack
from ..model.text import _
from .readiness import Readiness, Report

# Where no app is registered yet, HAProxy has no servers to wait for.
SERVERS_WITHIN = 10
# Looks, in HAProxy's container, until its running configuration has SERVER at ADDRESS ("-": hasn't SERVER), for SECONDS. A look from
# outside is a process that the engine must start each time, and takes from HAProxy the processor that it reloads with.
LOOK, WATCHES_AT_ONCE = 1, 2
AWAIT_SERVER = """
use IO::Socket::UNIX;
my ($server, $address, $seconds) = @ARGV;
alarm $seconds + 3;
for (my $end = time + $seconds; time < $end; select undef, undef, undef, 0.05) {
    my $socket = IO::Socket::UNIX->new(Peer => '/tmp/haproxy/admin.sock') or next;
    $socket->autoflush(1);
    print {$socket} "show servers state webserver\\n";
    my @rows = map { [split] } <$socket>;
    my ($row) = grep { @$_ > 4 && $$_[3] eq $server } @rows;
    exit 0 if @rows && ($address eq '-' ? !$row : $row && $$row[4] eq $address);
}
exit 1;
"""
# Containers that the engine starts at the same time. All at once share its processors, and the one that is waited for gets them last.
STARTS_AT_ONCE = 4


class Applier:
    """Applies actions to one engine. `deadline` is how many seconds anything may take to become healthy, `still_ours` raises when the
    lock was lost.
    """

    def __init__(self, client: Any, stack: Stack, still_ours: Callable[[], None] = lambda: None) -> None:
        self.client = client
        self.stack = stack
        self.still_ours = still_ours
        self.deadline = float(stack.settings.deadline)
        self._starting = threading.BoundedSemaphore(STARTS_AT_ONCE)
        self._watching = threading.BoundedSemaphore(WATCHES_AT_ONCE)
        self.ready = Readiness(client, stack.name, self.deadline)

    def apply(self, action: do.Action, report: Report) -> None:
        """Does one action and awaits that it holds; `report` takes a few words about where it is."""
        self.still_ours()
        match action:
            case do.CreateNetwork(network=network):
                self._create_network(network)
            case do.CreateVolume(volume=volume):
                self.client.create_volume(volume.name, labels=dict(volume.labels))
            case do.RemoveVolume(name=name):
                self._remove_volume(name)
            case do.MakeSecrets(volume=volume, tools=tools):
                command = ["secrets-init", "/secrets"]
                run_helper(self.client, self.stack.name, tools.reference, command, {volume: "/secrets"}, writable=True)
            case do.SeedReplica(volume=volume, image=image, master_address=address):
                command = ["redis-seed", address, "6379"]
                run_helper(self.client, self.stack.name, image.reference, command, {volume: "/data"}, writable=True)
            case do.ForgetMaster(volumes=volumes, tools=tools):
                places = {volume: f"/v/{volume}" for volume in volumes}
                run_helper(self.client, self.stack.name, tools.reference, ["sh", "-c", FORGET], places, writable=True)
            case do.Run(container=c):
                with self._turn(self._starting):
                    self.still_ours()
                    self._start(c, report)
                self.ready.wait(c, report, fresh=True)
            case do.Replace():
                self._replace(action, report)
            case do.Remove(old=old):
                report(_("stopping"))
                self.remove(old.id or old.name)
            case do.Start(container=c):
                self.client.start(c.name)
                self.ready.wait(c, report, fresh=True)
            case do.Unpause(container=c):
                self.client.unpause(c.name)
                self.ready.wait(c, report)
            case do.Mend(container=c):
                self._mend(c, report)
            case _:
                self._converse(action, report)

    def _converse(self, action: do.Action, report: Report) -> None:
        match action:
            case do.MoveMaster(master=master, target=target, sentinel=sentinel):
                from .failover import move_master

                move_master(self.client, self.stack, master, target, sentinel, report)
            case do.AttachReplica(node=node, master_address=address):
                demand(self.client, node, "redis-ask", "replicaof", address, "6379")
                demand(self.client, node, "redis-ask", "config", "rewrite")
                self.await_link(node, address, report)
            case do.ResetSentinels(sentinels=sentinels, replicas=replicas):
                from .failover import reset_sentinels

                reset_sentinels(self.client, sentinels, replicas, self.deadline, report)
            case do.Drain(haproxy=haproxy, server=server):
                demand(self.client, haproxy, "haproxy-drain", server, "10")
            case do.Readmit(haproxy=haproxy, server=server):
                demand(self.client, haproxy, "haproxy-ready", server)
            case do.PutKey(etcd=etcd, key=key, value=value):
                demand(self.client, etcd, "etcdctl", "put", key, value)
                self._await_server(key, value, True, report)
            case do.DeleteKey(etcd=etcd, key=key):
                demand(self.client, etcd, "etcdctl", "del", key)
                self._await_server(key, "", False, report)
            case _:
                raise TypeError(action)

    def _create_network(self, network: Any) -> None:
        from docker.types import IPAMConfig, IPAMPool

        pool = IPAMPool(subnet=network.subnet, iprange=network.ip_range, gateway=network.gateway)
        self.client.create_network(network.name, driver="bridge", ipam=IPAMConfig(pool_configs=[pool]), labels=dict(network.labels))

    def _remove_volume(self, name: str) -> None:
        from docker.errors import NotFound

        with suppress(NotFound):
            self.client.remove_volume(name)

    def run(self, c: Container, report: Report) -> None:
        """Creates and starts a container as commands.run writes it, and awaits its health."""
        self._start(c, report)
        self.ready.wait(c, report, fresh=True)

    @contextmanager
    def _turn(self, among: threading.BoundedSemaphore) -> Iterator[None]:
        """One of few at a time. Raises KeyboardInterrupt when the run is being ended meanwhile."""
        while not among.acquire(timeout=0.1):
            pause(0, float("inf"))
        try:
            pause(0, float("inf"))
            yield
        finally:
            among.release()

    def _start(self, c: Container, report: Report) -> None:
        from docker.errors import APIError

        report(_("starting"))
        self.client.create_container(**creation(self.client, c))
        for copy in c.copies:
            self.client.put_archive(c.name, copy.target, code.packed(Path(copy.source)))
        try:
            self.client.start(c.name)
        except APIError as error:
            words = str(error.explanation)
            if "already allocated" in words or "already in use" in words:
                port = next((outside for _a, outside, _i in c.ports if f":{outside}" in words), 0)
                raise Conflict(
                    _("{name} can't start: port {port} is taken ({words})").format(name=c.name, port=port or "?", words=words.strip()),
                    _("free that port, or choose another: {flag}").format(flag=port_flag(self.stack, port)),
                ) from None
            raise

    def _replace(self, action: do.Replace, report: Report) -> None:
        """The old one goes, the new one comes. While a public port has nobody behind it, new connections to it wait."""
        from .hold import held

        old, c = action.old, action.container
        with held(self.client, action.hold):
            report(_("stopping the old one"))
            self.remove(old.id or old.name)
            self.run(c, report)
            if c.service == "haproxy":
                self.await_servers(c.name, report)

    def await_servers(self, haproxy: str, report: Report) -> None:
        """A new HAProxy that gets its servers from etcd is healthy before it has them: requests that came now would be refused."""
        report(_("waiting for its servers"))
        end = time.monotonic() + min(self.deadline, SERVERS_WITHIN)
        while "app" not in self._ask_servers(haproxy).text and pause(0.05, end):
            pass

    def remove(self, name: str) -> None:
        """Stops a container with its own signal and grace and removes it; its named volumes stay. Gone already is fine."""
        from docker.errors import NotFound

        try:
            if self.client.inspect_container(name)["State"]["Paused"]:
                self.client.unpause(name)
            self.client.stop(name)
            self.client.remove_container(name, force=True, v=True)
        except NotFound:
            pass

    def await_link(self, node: str, address: str, report: Report) -> None:
        """Waits until a Redis node is an attached replica of `address`."""
        report(_("waiting for replication"))
        end = time.monotonic() + self.deadline
        facts: dict[str, str] = {}
        while facts.get("master_host") != address or facts.get("master_link_status") != "up":
            if not pause(0.1, end):
                self.ready.give_up(node, _("no link to its master {address}").format(address=address))
            facts = redis_fields(self.ready.ask(node, *REPLICATION).text)

    def _await_server(self, key: str, value: str, there: bool, report: Report) -> None:
        """Waits until HAProxy's running configuration has (or hasn't) the server that a key names."""
        report(_("waiting for HAProxy"))
        haproxy = self.stack.of("haproxy")[0].name
        wanted = value.partition(":")[0] if there else "-"
        argv = ("perl", "-e", AWAIT_SERVER, key.rsplit("/", 1)[1], wanted, str(LOOK))
        end = time.monotonic() + self.deadline
        while not self._watch(haproxy, argv) and self._haproxy_follows(haproxy):
            if not pause(0.1, end):
                self.ready.give_up(haproxy, _("its configuration does not follow the key {key}").format(key=key))

    def _watch(self, haproxy: str, argv: tuple[str, ...]) -> bool:
        with self._turn(self._watching):
            return execute(self.client, haproxy, argv).ok

    def _ask_servers(self, haproxy: str) -> Answer:
        """The servers of HAProxy's running configuration."""
        return self.ready.ask(haproxy, "haproxyctl", "show", "servers", "state", "webserver")

    def _haproxy_follows(self, haproxy: str) -> bool:
        """False while HAProxy isn't there yet: it reads the keys when it comes."""
        from docker.errors import NotFound

        try:
            return bool(self.client.inspect_container(haproxy)["State"]["Running"])
        except NotFound:
            return False

    def _mend(self, c: Container, report: Report) -> None:
        report(_("mending"))
        if not c.mend and c.health and self.ready.ask(c.name, "sh", "-c", c.health.command).ok:
            return  # Docker's word was old: it asks only once an interval.
        if c.mend and self.ready.ask(c.name, *c.mend).ok:
            self.ready.wait(c, report)
            return
        self.client.restart(c.name)
        self.ready.wait(c, report, fresh=True)


def creation(client: Any, c: Container) -> dict[str, Any]:
    """The arguments of create_container for `c`: the same facts as commands.run, in the API's words."""
    from docker.types import EndpointConfig, Healthcheck, LogConfig, Mount

    second = 1_000_000_000
    health = c.health
    endpoint = EndpointConfig(client.api_version, aliases=list(c.aliases), links=dict(c.links), ipv4_address=c.address)
    return {
        "image": c.image.reference,
        "command": list(c.command) or None,
        "name": c.name,
        "hostname": c.name,
        "detach": True,
        "user": c.user or None,
        "environment": dict(c.environment),
        "labels": c.labels,
        "ports": [inside for _address, _outside, inside in c.ports],
        "stop_signal": c.stop_signal,
        "stop_timeout": c.stop_grace,
        "healthcheck": Healthcheck(
            test=["CMD-SHELL", health.command],
            interval=c.health_interval * second,
            timeout=health.timeout * second,
            retries=health.retries,
            start_period=health.start_period * second,
        )
        if health
        else None,
        "networking_config": client.create_networking_config({c.network: endpoint}),
        "host_config": client.create_host_config(
            network_mode=c.network,
            links=dict(c.links) or None,
            port_bindings={inside: (address, outside) if address else outside for address, outside, inside in c.ports},
            mounts=[Mount(m.target, m.source or None, type="bind" if m.kind == "bind" else "volume", read_only=m.read_only) for m in c.mounts],
            tmpfs=list(c.tmpfs) or None,
            read_only=c.read_only,
            cap_drop=["ALL"],
            cap_add=sorted(f"CAP_{name}" for name in c.cap_add) or None,
            security_opt=["no-new-privileges"],
            sysctls=dict(c.sysctls) or None,
            mem_limit=c.memory * 1024 * 1024,
            nano_cpus=int(c.cpus * second),
            restart_policy={"Name": c.restart},
            log_config=LogConfig(type="json-file", config=LOG_OPTIONS),
        ),
    }
