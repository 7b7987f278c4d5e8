"""`bench` from end to end on a small scale: each figure beside its peer's, the calls to the engine, the requests, and nothing that stays."""

from __future__ import annotations

import io

import pytest
from docker import APIClient
from invoke import Context

from silverlining.console.voice import Voice
from silverlining.host import compose
from silverlining.ops.bench import bench, calls, throughput
from silverlining.ops.desk import Desk
from silverlining.ops.settings import read_settings

from .course import LABEL, own_stack

FEW, MANY = 2, 5
TIMED = ("deploy-all from nothing", "deploy-all without changes", "teardown", "invoke --list")


def test_every_figure_stands_beside_its_peers(engine: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """One turn. The number of calls must not grow with that of the containers: here as between 10 and 50, which `bench` itself compares."""
    monkeypatch.setattr(calls, "COUNTS", (FEW, MANY))
    monkeypatch.setattr(throughput, "SECONDS", 2)
    # The peer is the Compose that serves step09: building the newest one takes a minute.
    monkeypatch.setattr(compose, "newest", compose.find)
    said = io.StringIO()
    with own_stack(engine, "sl-bench", 8830, 78) as course:
        desk = Desk(Context(), read_settings({}, environ=course.settings), Voice(said), yes=True)
        found = bench(desk, "1", cold=False)
        names = {name for entry in engine.containers(all=True) for name in entry["Names"] if "sl-bench" in name}
        volumes = [v["Name"] for v in engine.volumes()["Volumes"] or [] if "sl-bench" in (v["Labels"] or {}).get(LABEL, "")]
    assert not names and not volumes
    assert tuple(found["figures"]) == TIMED and not found["enough"]
    for name, figure in found["figures"].items():
        assert figure["ours"] > 0 and figure["ratio"] == pytest.approx(figure["ours"] / figure["peer"], rel=0.05), (name, figure)
    few, many = found["engine_calls"].values()
    assert few == many < 25, found["engine_calls"]
    ours, article = found["throughput"].values()
    assert min(ours["requests_per_second"], article["requests_per_second"]) > 0 == ours["failed"], found["throughput"]
    assert all(name in said.getvalue() for name in (*TIMED, f"Compose {found['compose']}")), said.getvalue()
