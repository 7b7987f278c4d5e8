"""Requests a second through HAProxy, with our settings and with the article's."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import steps

from ...console.voice import Voice
from ...host.helpers import run_helper
from ...model.errors import Unhealthy
from ...model.text import _
from ..converge import converge
from ..desk import Desk
from ..settings import read_settings
from .turns import Us, flags_of

THREADS, CONNECTIONS, SECONDS = 2, 24, 8
IMAGE = "wrk"


def article(processors: int) -> dict[str, str]:
    """What the article sets where ours is set otherwise: two gunicorn workers a processor and one, in every container; four HAProxy
    processes, which are threads since HAProxy 2.5, and a check every 2 s."""
    return {"app.workers": str(2 * processors + 1), "haproxy.threads": "4", "haproxy.check": "2"}


@dataclass(frozen=True)
class Load:
    """What wrk saw: requests a second, the 99th percentile of the latency in milliseconds, and answers that were none or not 2xx."""

    rate: float
    p99: float
    failed: int


def read(text: str) -> Load:
    """The figures in wrk's report. Raises Unhealthy if there are none."""
    rate, p99 = re.search(r"Requests/sec:\s+([\d.]+)", text), re.search(r"99%\s+([\d.]+)(us|ms|s)\b", text)
    if not rate or not p99:
        raise Unhealthy(_("wrk gave no figures: {text}").format(text=text[-400:]))
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    others = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    failed = sum(map(int, errors.groups())) if errors else 0
    scale = {"us": 0.001, "ms": 1, "s": 1000}[p99[2]]
    return Load(float(rate[1]), float(p99[1]) * scale, failed + (int(others[1]) if others else 0))


def measure(ours: Desk, runs: int, tell: Callable[[str], object]) -> dict[str, dict[str, float]]:
    """Medians of `runs` turns with either's settings. The two take turns, and `tell` hears which. Raises what a converge raises."""
    image = ours.store.resolve((IMAGE,))[IMAGE].reference
    processors = int(ours.host.client.info()["NCPU"])
    flags = {_("ours"): {}, _("the article's settings"): article(processors)}
    seen: dict[str, list[Load]] = {name: [] for name in flags}
    try:
        for turn in range(runs):
            for name, own in flags.items():
                tell(_("turn {number} of {runs}: {name}").format(number=turn + 1, runs=runs, name=name))
                seen[name].append(_turn_of(ours, image, own))
    finally:
        Us(ours).clear()
    return {name: _figures(loads) for name, loads in seen.items()}


def _turn_of(ours: Desk, image: str, own: dict[str, str]) -> Load:
    settings = read_settings({**flags_of(ours), "health.interval": "10", **own}, environ={})
    desk = Desk(ours.host.context, settings, Voice(quiet=True), yes=True)
    converge(desk, steps.load(steps.LAST).TOPOLOGY)
    command = ["wrk", f"-t{THREADS}", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--latency", "http://haproxy:6301/"]
    return read(run_helper(desk.host.client, settings.stack, image, command, network=settings.stack))


def _figures(loads: list[Load]) -> dict[str, Any]:
    return {
        "requests_per_second": round(statistics.median(load.rate for load in loads)),
        "p99_ms": round(statistics.median(load.p99 for load in loads), 1),
        "failed": sum(load.failed for load in loads),
    }
