"""What bench makes of what it measured, and the names under which it builds every image anew."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest

from silverlining.console.voice import Voice
from silverlining.model.errors import SilverliningError, Unhealthy
from silverlining.model.images import IMAGES, closure
from silverlining.model.stack import template_variables
from silverlining.ops.bench import _tell_figures, _tell_throughput, bench
from silverlining.ops.bench.cold import PREFIX, renamed
from silverlining.ops.bench.throughput import Load, article, read
from silverlining.ops.bench.turns import figure

from .builders import settings

REPORT = """Running 8s test @ http://haproxy:6301/
  2 threads and 24 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    18.71ms    9.93ms 110.70ms   80.05%
    Req/Sec   651.97    141.03     0.98k    69.57%
  Latency Distribution
     50%   16.98ms
     75%   22.85ms
     90%   30.61ms
     99%   {p99}
  10392 requests in 8.01s, 2.33MB read
{errors}Requests/sec:   1297.68
Transfer/sec:    297.93KB
"""


@pytest.mark.parametrize(
    ("p99", "errors", "load"),
    [
        ("55.21ms", "", Load(1297.68, 55.21, 0)),
        ("1.50s", "  Socket errors: connect 1, read 2, write 3, timeout 4\n", Load(1297.68, 1500.0, 10)),
        ("800.00us", "  Socket errors: connect 0, read 0, write 0, timeout 1\n  Non-2xx or 3xx responses: 7\n", Load(1297.68, 0.8, 8)),
    ],
)
def test_wrks_report_is_read(p99: str, errors: str, load: Load) -> None:
    assert read(REPORT.format(p99=p99, errors=errors)) == load


def test_a_report_without_figures_is_an_error_that_quotes_it() -> None:
    with pytest.raises(Unhealthy) as caught:
        read("unable to connect to haproxy:6301 Connection refused\n")
    assert "Connection refused" in caught.value.what


def test_every_image_has_another_name_and_stands_on_renamed_ones_only() -> None:
    catalogue = renamed(IMAGES)
    assert [name.removeprefix(PREFIX) for name in catalogue] == list(IMAGES)
    assert all(name == image.name for name, image in catalogue.items())
    assert {parent for image in catalogue.values() for parent in image.parents} <= catalogue.keys()
    assert {image.repository for image in catalogue.values()}.isdisjoint({image.repository for image in IMAGES.values()})
    assert len(closure(list(catalogue), catalogue=catalogue)) == len(IMAGES)


def test_a_figure_is_the_median_and_its_ratio_to_the_peers() -> None:
    assert figure([3.0, 1.0, 2.0], [4.0, 9.0, 4.0]) == {"ours": 2.0, "peer": 4.0, "ratio": 0.5}


@pytest.mark.parametrize(
    ("runs", "medians", "warning"),
    (
        (1, "edian of 1 run", "1 run is too few for a figure: a median to rely on takes at least 5"),
        (4, "edians of 4 runs", "4 runs are too few for a figure: a median to rely on takes at least 5"),
        (5, "edians of 5 runs", ""),
    ),
)
def test_too_few_runs_are_said_to_be_so_below_each_table_of_medians(runs: int, medians: str, warning: str) -> None:
    desk: Any = SimpleNamespace(voice=Voice(io.StringIO()))
    figures = {"teardown": figure([1.0] * runs, [2.0] * runs)}
    _tell_figures(desk, {"runs": runs, "compose": "2.30", "figures": figures})
    _tell_throughput(desk, {"ours": {"requests_per_second": 900, "p99_ms": 55.2, "failed": 0}}, runs)
    said = desk.voice.stream.getvalue()
    assert said.count(medians) == 2
    assert said.count("too few") == (2 if warning else 0) and warning in said


def test_the_articles_settings_are_settings_and_none_is_ours() -> None:
    peers = {key.replace(".", "_"): value for key, value in article(3).items()}
    made, ours = template_variables(settings(**peers)), template_variables(settings())
    assert made["haproxy"] == {**ours["haproxy"], "threads": 4, "check_ms": 2000} and made["app"]["workers"] == 7
    assert ours["haproxy"]["threads"] != 4 and ours["haproxy"]["check_ms"] != 2000 and ours["app"]["workers"] != 7


@pytest.mark.parametrize("runs", ["x", "0", "-1", "1.5", "", "101"])
def test_runs_is_a_number(runs: str) -> None:
    nobody: Any = None
    with pytest.raises(SilverliningError, match="--runs"):
        bench(nobody, runs, cold=False)
