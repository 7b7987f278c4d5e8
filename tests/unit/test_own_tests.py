"""`invoke test`: what it runs, in which order, and what it sees to before; no test is run here."""

from __future__ import annotations

import io
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from silverlining.console.voice import Voice
from silverlining.host.engine import Unreachable
from silverlining.model.errors import EngineError, SilverliningError
from silverlining.ops.test import test as run_tests

from .builders import ROOT

STYLE = ["ruff check .", "ruff format --check .", "mypy"]
UNITS = "pytest tests/unit -m not slow"
ALL = "pytest tests -n 2 --durations=60 --maxfail=20"


class Runs:
    """Stands in for subprocess.run: what would be run, and the exit codes that it has."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.commands: list[str] = []
        self.codes: dict[str, int] = {}
        self.environments: list[dict[str, str]] = []
        monkeypatch.setattr(subprocess, "run", self.run)

    def run(self, argv: tuple[str, ...], cwd: Any, env: dict[str, str], check: bool) -> Any:
        assert argv[:2] == (sys.executable, "-m") and cwd == ROOT and not check
        self.commands.append(" ".join(argv[2:]))
        self.environments.append(env)
        return SimpleNamespace(returncode=self.codes.get(argv[2], 0))


class Host:
    """A host whose engine is not there until it is brought up; what was done to it is noted among the `commands`."""

    outside = object()

    def __init__(self, commands: list[str], missing: Unreachable | None = None) -> None:
        self.commands, self.missing = commands, missing

    @property
    def engine(self) -> Any:
        self.commands.append("engine?")
        if self.missing:
            raise self.missing
        return SimpleNamespace(version="29", endpoint="unix:///x", origin="here", notes=())


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    return Runs(monkeypatch)


def desk(host: Any = None, dry: bool = False) -> Any:
    """A desk; without a host, whoever asks for an engine finds nobody."""
    return SimpleNamespace(voice=Voice(io.StringIO()), dry=dry, tell_notes=lambda: None, **({"host": host} if host else {}))


def test_fast_runs_what_needs_no_engine_and_asks_for_none(runs: Runs) -> None:
    run_tests(desk(), fast=True, select="")
    assert runs.commands == [*STYLE, UNITS]


def test_fast_with_a_choice_runs_only_that(runs: Runs) -> None:
    runs.codes["pytest"] = 5  # there is none of that name among the unit tests
    run_tests(desk(), fast=True, select="compose")
    assert runs.commands == [f"{UNITS} -k compose"]


def test_everything_is_run_on_the_engine_that_is_there(runs: Runs) -> None:
    run_tests(desk(Host(runs.commands)), fast=False, select="")
    assert runs.commands[:3] == STYLE and set(runs.commands[3:-1]) == {"engine?"} and runs.commands[-1] == ALL


@pytest.mark.parametrize("cause", ("missing", "stopped"))
def test_without_an_engine_one_is_brought_up_first_as_step00_does(cause: str, runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(runs.commands, Unreachable(cause, "no Docker engine is installed here", "invoke step00-install", default=True))

    def carry_out(shell: object, todo: Any, note: Any) -> None:
        assert shell is host.outside and todo.lines() == ["apt-get install docker"]
        runs.commands.append("carry_out")
        host.missing = None

    plan = SimpleNamespace(steps=("one",), lines=lambda: ["apt-get install docker"])
    for name, double in (("look", lambda shell: "facts"), ("plan", lambda facts: plan), ("carry_out", carry_out)):
        monkeypatch.setattr(f"silverlining.host.install.{name}", double)
    run_tests(desk(host), fast=False, select="redis")
    assert runs.commands == ["engine?", "carry_out", "engine?", f"{ALL} -k redis"]


def test_an_engine_that_cannot_be_brought_up_is_told_and_no_test_of_it_runs(runs: Runs) -> None:
    host = Host(runs.commands, Unreachable("denied", "its socket may not be opened", "log in anew", default=True))
    with pytest.raises(EngineError, match="may not be opened"):
        run_tests(desk(host), fast=False, select="")
    assert ALL not in runs.commands


def test_the_first_that_finds_mistakes_ends_it(runs: Runs) -> None:
    runs.codes["mypy"] = 1
    with pytest.raises(SilverliningError, match=r"`mypy` found mistakes \(exit code 1\)"):
        run_tests(desk(), fast=True, select="")
    assert runs.commands == STYLE


def test_no_test_at_all_is_a_mistake_of_the_whole_run_only(runs: Runs) -> None:
    runs.codes["pytest"] = 5
    with pytest.raises(SilverliningError, match="exit code 5"):
        run_tests(desk(Host(runs.commands)), fast=False, select="nothing")


def test_dry_only_says_what_would_be_run(runs: Runs) -> None:
    one = desk(dry=True)
    run_tests(one, fast=True, select="")
    assert not runs.commands and [line.strip(" $") for line in one.voice.stream.getvalue().splitlines()] == [*STYLE, UNITS]


def test_the_settings_of_the_persons_own_stack_do_not_reach_the_tests(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SILVERLINING_STACK", "mine")
    monkeypatch.setenv("LAUNCHED_AS", "./invoke")
    monkeypatch.setenv("DOCKER_HOST", "unix:///run/other.sock")
    run_tests(desk(), fast=True, select="")
    for environment in runs.environments:
        assert not {"SILVERLINING_STACK", "LAUNCHED_AS"} & environment.keys() and environment["DOCKER_HOST"] == "unix:///run/other.sock"
