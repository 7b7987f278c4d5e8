"""Checks: each only reads, tries again until its deadline, and says what it expected, what it saw and what to try."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ..host.exec import execute
from ..model.entry import address_of, entry_of
from ..model.errors import EngineError
from ..model.lesson import Check
from ..model.text import _, _n
from .position import as_defined
from .scene import Scene


@dataclass(frozen=True)
class Result:
    """What a check found. `hint` is what to try when `ok` is false."""

    name: str
    ok: bool
    expected: str
    seen: str
    hint: str = ""


DEADLINE = 15.0
BEAT = 0.3
SIDE_BY_SIDE = 24
AN_ENGINE = _("a Docker engine that answers")
Function = Callable[[Scene], Result]


def run(scene: Scene, check: Check, deadline: float = DEADLINE) -> Result:
    """Asks until the answer is good or `deadline` seconds are over. Never raises for a state that is wrong."""
    end = time.monotonic() + deadline
    while True:
        result = CHECKS[check.name](scene)
        if result.ok or time.monotonic() > end:
            return result
        time.sleep(BEAT)
        scene.observe(again=True)


def run_all(scene: Scene, wanted: Iterable[Check]) -> list[Result]:
    """All in turn. They share one deadline: what needs a moment to settle needs it once, however many checks look at it."""
    end = time.monotonic() + min(DEADLINE, scene.desk.settings.deadline)
    return [run(scene, check, end - time.monotonic()) for check in wanted]


def _again(scene: Scene, words: str) -> str:
    """What to try: the task that brings about what stands, and nothing further on."""
    return f"invoke {scene.stack.topology.step} {words}"


def engine(scene: Scene) -> Result:
    """The engine answers."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        seen, ok = f"{scene.client.version()['Version']} ({scene.host.engine.endpoint})", True
    except EngineError as error:
        return Result("engine", False, AN_ENGINE, error.what, error.hint)
    except (DockerException, RequestException) as error:
        seen, ok = str(error), False
    return Result("engine", ok, AN_ENGINE, seen, "" if ok else _("docker info; invoke step00-install"))


def containers(scene: Scene) -> Result:
    """Every container stands as defined, runs and is healthy."""
    defined = as_defined(scene.stack, scene.observe())
    wrong = []
    for c in scene.stack.containers:
        old = scene.observe().container(c.name)
        if old is None:
            wrong.append(_("{name} is missing").format(name=c.name))
        elif c.name not in defined:
            wrong.append(_("{name} is defined otherwise").format(name=c.name))
        elif not old.running:
            wrong.append(f"{c.name}: {old.state}")
        elif not old.on_network:
            wrong.append(_("{name} is not on its network").format(name=c.name))
        elif c.health and old.health != "healthy":
            # Docker asks only once an interval: its "starting" is settled, and its "unhealthy" explained, by asking now.
            answer = execute(scene.client, c.name, ("sh", "-c", c.health.command))
            if not answer.ok or old.health == "unhealthy":
                wrong.append(f"{c.name}: {old.health} ({answer.gist})")
    expected = _n("{count} container running and healthy", "{count} containers running and healthy", len(scene.stack.containers))
    hint = _("run the step's task again: it mends what differs; docker logs NAME says why")
    return Result("containers", not wrong, expected, "; ".join(wrong) or expected, hint)


def serves(scene: Scene) -> Result:
    """The entry answers."""
    entry = entry_of(scene.stack)
    if entry is None:
        return Result("serves", False, _("an address that serves"), _("this step has none"))
    address, port, path = entry
    reply = scene.host.get(port, path, address)
    url = address_of(entry, path, scene.host.name)
    seen = f"{reply.status} {reply.text.strip()[:120]}" if reply.status != 200 else "200"
    return Result(
        "serves", reply.status == 200, _("200 from {url}").format(url=url), seen, _("invoke status; docker logs of the container that serves")
    )


def redis(scene: Scene) -> Result:
    """One master, and as many replicas as there must be, each with its link up."""
    seen = scene.observe()
    wanted = len(scene.stack.of("redis-slave"))
    expected = _("one master, {count} replicas with their link up").format(count=wanted)
    masters = sorted(name for name, node in seen.redis.items() if node.role == "master")
    address = next((c.address for c in seen.containers if c.name == seen.master), "")
    linked = [n for n, node in seen.redis.items() if node.role == "slave" and node.link_up and node.master == address]
    ok = len(masters) == 1 and len(linked) == wanted
    detail = ", ".join(
        f"{name} {_('master') if node.role == 'master' else _('replica') if node.link_up else _('replica, link down')}"
        for name, node in sorted(seen.redis.items())
    )
    return Result("redis", ok, expected, detail or _("no Redis answers"), _again(scene, _("attaches replicas again; redis-ask info replication")))


def sentinels(scene: Scene) -> Result:
    """Every Sentinel names the node that is master, and knows exactly what stands."""
    seen = scene.observe()
    all_of_them = scene.stack.of("sentinel")
    others, replicas = len(all_of_them) - 1, len(scene.stack.of("redis-slave"))
    address = next((c.address for c in seen.containers if c.name == seen.master), "?")
    wrong = []
    for sentinel in all_of_them:
        view = seen.sentinels.get(sentinel.name)
        if view is None:
            wrong.append(_("{name} does not answer").format(name=sentinel.name))
        elif (view.master, view.sentinels, view.replicas, view.flags) != (address, others, replicas, "master"):
            wrong.append(f"{sentinel.name}: {view.master}, {view.sentinels} others, {view.replicas} replicas, {view.flags}")
    expected = _("{count} Sentinels agree on {address}, each knows {others} others and {replicas} replicas").format(
        count=len(all_of_them), address=address, others=others, replicas=replicas
    )
    return Result("sentinels", not wrong, expected, "; ".join(wrong) or expected, _again(scene, _("lets them look anew; docker logs of a Sentinel")))


def apps(scene: Scene) -> Result:
    """Every app container can count."""
    names = [c.name for c in scene.stack.of("ping-app")]
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        answers = dict(zip(names, pool.map(lambda name: execute(scene.client, name, ("app-health",)), names), strict=True))
    wrong = [f"{name}: {answer.text}" for name, answer in answers.items() if not answer.ok]
    expected = _n("{count} app container that can count", "{count} app containers that can count", len(answers))
    return Result(
        "apps", not wrong, expected, "; ".join(wrong) or expected, _("docker logs of that container; invoke check says whether Redis is well")
    )


def _by_port(scene: Scene, setting: str, path: str) -> list[str]:
    """What is wrong with a port that only the host's loopback has: over SSH it is asked through the connection."""
    if not (scene.host.remote or scene.host.engine.local):
        return []  # An engine on another machine, without a way to that machine's loopback.
    port = getattr(scene.desk.settings.ports, setting)
    reply = scene.host.get(port, path)
    words = reply.text.strip()[:120] if reply.status == 0 else str(reply.status)
    return [] if reply.status == 200 else [_("port {port} of the host's loopback: {words}").format(port=port, words=words)]


def haproxy(scene: Scene) -> Result:
    """HAProxy has a server for each app container, all are up, and its statistics are there."""
    wanted = {f"app{c.index}": "UP" for c in scene.stack.of("ping-app")}
    answer = execute(scene.client, scene.first("haproxy").name, ("haproxyctl", "show", "stat"))
    if not answer.ok:
        return Result("haproxy", False, _("HAProxy's statistics"), answer.text, f"docker logs {scene.first('haproxy').name}")
    states = scene.servers()
    wrong = _by_port(scene, "stats", "/stats")
    ok = all(states.get(server) == state for server, state in wanted.items()) and not wrong
    seen = [*(f"{s} {state}" for s, state in sorted(states.items())), *wrong]
    return Result("haproxy", ok, ", ".join(f"{s} UP" for s in wanted), ", ".join(seen), _again(scene, _("mends it")))


def registry(scene: Scene) -> Result:
    """etcd answers on its port and has the key of each app container, and HAProxy's own health check (confd with it) is content."""
    wanted, seen = scene.stack.servers(), scene.observe()
    expected = _("{count} keys under /app/servers, confd running").format(count=len(wanted))
    if seen.keys is None:
        return Result("registry", False, expected, _("etcd does not answer"), _again(scene, _("mends it; docker logs of etcd")))
    wrong = [_("{key} is {seen}").format(key=key, seen=seen.keys.get(key) or _("missing")) for key in wanted if seen.keys.get(key) != wanted[key]]
    if seen.proxy_fault:
        wrong.append(seen.proxy_fault)
    wrong += _by_port(scene, "etcd", "/health")
    return Result("registry", not wrong, expected, "; ".join(wrong) or expected, _again(scene, _("registers everything again")))


def lvs(scene: Scene) -> Result:
    """The director has all real servers, alive."""
    reals = [c.address for c in scene.stack.of("ping-app")]
    expected = _("{count} real servers alive").format(count=len(reals))
    answer = execute(scene.client, scene.first("lvs").name, ("lvs-health",))
    # The director serves with one; here all must be in.
    ok = answer.ok and f" {len(reals)} of {len(reals)} " in f" {answer.text}"
    return Result("lvs", ok, expected, answer.text.removeprefix("lvs: ") or expected, f"docker exec {scene.first('lvs').name} lvs-status")


def netdata(scene: Scene) -> Result:
    """netdata answers on its port and has charts of containers."""
    answer = execute(scene.client, scene.first("netdata").name, ("netdata-health", "--names"))
    wrong = _by_port(scene, "netdata", "/api/v1/info")
    return Result(
        "netdata",
        answer.ok and not wrong,
        _("charts of the host and of containers"),
        "; ".join([answer.text.removeprefix("netdata: ") or _("they are there"), *wrong]),
        _("docker logs of netdata"),
    )


CHECKS: dict[str, Function] = {
    function.__name__: function for function in (engine, containers, serves, redis, sentinels, apps, haproxy, registry, lvs, netdata)
}
