"""What a run without changes costs on another host: in calls and channels whatever the number of containers, and in time beside the same here."""

from __future__ import annotations

import io
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest
from docker import APIClient
from fabric import Connection

import steps
from silverlining.console.voice import Voice
from silverlining.host.ssh.host import SshHost
from silverlining.ops.bench.calls import LIGHT, Counting
from silverlining.ops.converge import converge
from silverlining.ops.desk import Desk
from silverlining.ops.settings import read_settings
from tests.engine.course import Course, own_stack

from .course import RemoteCourse
from .relay import Relay
from .site import Site

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
RUNS = 5
FEW, MANY = 3, 9
ROUND_TRIP = 0.02  # seconds
# What somebody without us would type, with the configuration that `$1/.ssh` holds; in milliseconds, a turn a line.
PEER = """set -eu
mkdir -m 700 /root/.ssh
cp "$1/.ssh/config" /root/.ssh/config
export DOCKER_HOST="ssh://$2"
up() { docker compose -f /compose.yaml up -d; }
up >&2
for turn in $(seq "$3"); do
    begun=$(date +%s%3N)
    up > /tmp/said 2>&1
    ended=$(date +%s%3N)
    # The container that makes the secrets runs once each time.
    if grep -E 'Creat|Recreat' /tmp/said | grep -v -- -secrets- >&2; then exit 1; fi
    echo $((ended - begun))
done
"""


def desk_of(course: RemoteCourse, count: int) -> Desk:
    """A desk for the host, over a connection of its own."""
    settings = read_settings({**LIGHT, "counts.ping-app": str(count)}, environ=course.settings)
    return Desk(Connection(course.target), settings, Voice(io.StringIO()), yes=True)


def cost(course: RemoteCourse, count: int) -> tuple[int, dict[str, int]]:
    """Engine calls, and channels by kind, of a run without changes with so many app containers."""
    topology = steps.load(steps.LAST).TOPOLOGY
    first = desk_of(course, count)
    converge(first, topology)
    first.host.close()
    desk = desk_of(course, count)
    assert isinstance(desk.host, SshHost)
    calls = Counting(desk.host.client)
    assert not converge(desk, topology).plan
    channels = dict(desk.host.link.opened)
    desk.host.close()
    return calls.number, channels


def test_calls_and_channels_do_not_grow_with_the_containers(shop1: RemoteCourse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls are the same for many; a channel is a call's connection that is kept, so there are never more of them than calls side by side."""
    monkeypatch.setenv("HOME", str(shop1.host.home.path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    shop1.clean()
    (few, channels), (many, more) = cost(shop1, FEW), cost(shop1, MANY)
    print(f"engine calls {few} and {many}, channels {channels} and {more} with {FEW} and {MANY} app containers")
    assert few == many
    assert channels.get("process", 0) == more.get("process", 0) and max(sum(channels.values()), sum(more.values())) <= few
    shop1.clean()


@pytest.fixture
def near(local_engine: APIClient) -> Iterator[Course]:
    """The same stack on this machine's engine."""
    with own_stack(local_engine, "sl-near", 8310, 84) as one:
        yield one


def timed(work: Callable[[], object]) -> float:
    """The seconds that it takes."""
    begun = time.monotonic()
    work()
    return time.monotonic() - begun


def login(alias: str) -> None:
    """Opens a connection and closes it."""
    with Connection(alias) as connection:
        connection.open()


@pytest.mark.alone
def test_a_run_without_changes_beside_the_same_here(shop2: RemoteCourse, near: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most one and a half times the time of the one here and a login; with 20 ms more of round trip as well. In turns, medians."""
    home = shop2.host.home
    monkeypatch.setenv("HOME", str(home.path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    shop2.clean()
    shop2.run("deploy-all", "--yes")
    near.run("deploy-all", "--yes")
    with Relay((shop2.host.address, 22), ROUND_TRIP) as relay:
        home.add("far", relay.address, shop2.host.host_keys(), Port=str(relay.port))
        far = RemoteCourse(shop2.host, "far")
        turns: dict[str, list[float]] = {}
        ways = {
            "here": lambda: near.must_stand_still("deploy-all"),
            "over SSH": lambda: shop2.must_stand_still("deploy-all"),
            "far": lambda: far.must_stand_still("deploy-all"),
            "login": lambda: login(shop2.target),
            "far login": lambda: login("far"),
        }
        for _turn in range(RUNS):
            for name, work in ways.items():
                turns.setdefault(name, []).append(timed(work))
        home.forget("far")
    median = {name: statistics.median(values) for name, values in turns.items()}
    print({name: round(value, 2) for name, value in median.items()})
    assert median["over SSH"] <= 1.5 * median["here"] + median["login"], median
    assert median["far"] <= 1.5 * median["here"] + median["far login"], median
    shop2.clean()


@pytest.mark.alone
def test_a_run_without_changes_beside_compose_over_ssh(shop1: RemoteCourse, site: Site) -> None:
    """On the same host, with the same services: no slower than `DOCKER_HOST=ssh://… docker compose up -d`. Medians."""
    shop1.clean()
    shop1.run("deploy-all", "--yes")
    ours = [timed(lambda: shop1.must_stand_still("deploy-all")) for _turn in range(RUNS)]
    # From nothing: how Compose takes over what stands takes a minute, and is another test's matter.
    shop1.run("teardown", "--yes")
    shop1.run("step09-compose", "--yes", "--quick")
    home, file = shop1.host.home.path, shop1.checkout / "compose.yaml"
    mounts = (f"--volume={home}:{home}:ro", f"--volume={file}:/compose.yaml:ro")
    argv = ("docker", "run", "--rm", "--network=host", *site.label, *mounts, site.images["trixie"])
    peer = subprocess.run([*argv, "sh", "-c", PEER, "peer", str(home), shop1.target, str(RUNS)], capture_output=True, text=True, check=False)
    assert peer.returncode == 0, peer.stdout + peer.stderr
    theirs = [int(line) / 1000 for line in peer.stdout.split()]
    print({"ours": round(statistics.median(ours), 2), "Compose over SSH": round(statistics.median(theirs), 2)})
    assert len(theirs) == RUNS and statistics.median(ours) <= statistics.median(theirs), (ours, theirs)
    shop1.clean()
