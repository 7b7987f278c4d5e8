"""The lessons: every placeholder can be filled, every check and proof is there, every text can be translated."""

from __future__ import annotations

import ast
import shlex
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest

import steps
from silverlining.model.entry import url_of
from silverlining.model.errors import SilverliningError
from silverlining.model.lesson import Act, Lesson
from silverlining.ops import checks, compose, proofs
from silverlining.ops.lesson import fill, placeholders, play_act

from .builders import ROOT, stack

ACTS = [(step, number, act) for step in steps.NAMES for number, act in enumerate(steps.load(step).LESSON.acts, 1)]
IDS = [f"{step}-{number}" for step, number, _act in ACTS]
FILES = sorted((ROOT / "steps").glob("step*.py"))


def words(step: str) -> dict[str, str]:
    host = SimpleNamespace(placed=lambda path: path.name)
    scene: Any = SimpleNamespace(
        stack=replace(stack(step), topology=steps.load(step).TOPOLOGY),
        desk=SimpleNamespace(host=host, store=None, dry=False),
    )
    with patch.object(compose.program, "find", return_value=SimpleNamespace(prefix=lambda file: "docker compose -f compose.yaml")):
        return placeholders(scene)


def fills(text: str, given: dict[str, str]) -> None:
    filled = fill(text, given)
    assert not any("{" + name + "}" in filled for name in given), filled


@pytest.mark.parametrize("step", steps.NAMES)
def test_what_there_is_to_think_about(step: str) -> None:
    """Each step has questions with answers, and says where it leaves the article."""
    lesson: Lesson = steps.load(step).LESSON
    given = words(step)
    assert 3 <= len(lesson.questions) <= 4 and lesson.since
    for one in lesson.questions:
        assert one.question.endswith("?") and one.answer.endswith((".", "…"))
        fills(one.question, given)
        fills(one.answer, given)
    for change in lesson.since:
        assert change.then and change.now and change.why


@pytest.mark.parametrize(("step", "number", "act"), ACTS, ids=IDS)
def test_every_placeholder_can_be_filled(step: str, number: int, act: Act) -> None:
    given = words(step)
    for text in (act.text, act.look, *act.commands):
        fills(text, given)
    for command in act.commands:
        assert all(shlex.split(fill(command, given)))


@pytest.mark.parametrize(("step", "number", "act"), ACTS, ids=IDS)
def test_checks_and_proofs_are_there(step: str, number: int, act: Act) -> None:
    made = stack(step)
    for check in act.checks:
        assert check.name in checks.CHECKS
    for proof in act.proofs:
        assert proof.name in proofs.HOMES
        home = ROOT / "silverlining" / "ops" / "proofs" / f"{proofs.HOMES[proof.name]}.py"
        if home.exists():  # some land later
            assert callable(proofs.find(proof.name))
    for about in (*act.checks, *act.proofs):
        assert not about.service or made.topology.has(about.service)


def test_no_check_or_proof_is_unused() -> None:
    assert {proof.name for _step, _n, act in ACTS for proof in act.proofs} == set(proofs.HOMES)
    assert {check.name for _step, _n, act in ACTS for check in act.checks} == set(checks.CHECKS)


@pytest.mark.parametrize("step", steps.NAMES)
def test_a_lesson_teaches_and_checks(step: str) -> None:
    lesson: Lesson = steps.load(step).LESSON
    assert lesson.title and lesson.summary and lesson.acts
    assert lesson.checks and len(set(lesson.checks)) == len(lesson.checks)
    for act in lesson.acts:
        assert act.title and act.text and (act.commands or act.proofs)


@pytest.mark.parametrize("step", steps.NAMES)
def test_what_stands_is_checked(step: str) -> None:
    """A service of the topology that no check looks at could break unseen."""
    made, names = steps.load(step).TOPOLOGY, {check.name for check in steps.load(step).LESSON.checks}
    looked_at = {"redis-slave": "redis", "sentinel": "sentinels", "ping-app": "apps", "etcd": "registry", "haproxy": "haproxy", "lvs": "lvs"}
    wanted = {check for service, check in {**looked_at, "netdata": "netdata"}.items() if made.has(service)}
    assert wanted | ({"containers", "serves"} if made.services else {"engine"}) <= names


def test_every_summary_can_be_translated() -> None:
    tree = ast.parse((ROOT / "steps" / "__init__.py").read_text())
    (table,) = [node.value for node in ast.walk(tree) if isinstance(node, ast.Assign) and "SUMMARIES" in ast.unparse(node.targets[0])]
    assert isinstance(table, ast.Dict) and len(table.values) == len(steps.NAMES)
    assert all(isinstance(value, ast.Call) and ast.unparse(value.func) == "_" for value in table.values)


def calls(tree: ast.AST, *names: str) -> list[ast.Call]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names]


@pytest.mark.parametrize("file", FILES, ids=[f.stem for f in FILES])
def test_every_text_of_a_step_can_be_translated(file: Any) -> None:
    texts = []
    for call in calls(ast.parse(file.read_text()), "Act", "Lesson", "Question", "Change"):
        named = {k.arg: k.value for k in call.keywords}
        positions = {"Act": (0, 1, 3), "Lesson": (0,), "Question": (0, 1), "Change": (0, 1, 2)}[call.func.id]  # type: ignore[attr-defined]
        texts += [call.args[i] for i in positions if i < len(call.args)] + [named[n] for n in ("title", "text", "look") if n in named]
    assert texts
    for text in texts:
        assert isinstance(text, ast.Call) and text.func.id == "_", f"line {text.lineno}: not wrapped in _()"  # type: ignore[attr-defined]
        assert isinstance(text.args[0], ast.Constant), f"line {text.lineno}: not a plain text"


ERRORS = ("SilverliningError", "SettingsError", "Conflict", "EngineError", "Unhealthy", "Busy")
SOURCES = sorted((ROOT / "silverlining").rglob("*.py"))


@pytest.mark.parametrize("file", SOURCES, ids=[str(f.relative_to(ROOT)) for f in SOURCES])
def test_errors_for_people_can_be_translated(file: Any) -> None:
    for call in calls(ast.parse(file.read_text()), *ERRORS):
        if call.args:
            bare = isinstance(call.args[0], ast.Constant) and " " in str(call.args[0].value)
            assert not bare, f"line {call.lineno}: {ast.unparse(call.args[0])} is not wrapped in _()"
    for call in calls(ast.parse(file.read_text()), "_"):
        assert not isinstance(call.args[0], ast.JoinedStr), f"line {call.lineno}: an f-string can't be translated"


def test_a_name_that_is_not_known_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        fill("{nginks}", words("step01-nginx"))


def test_the_words() -> None:
    given = words("step08-netdata")
    assert (given["redis_master"], given["ping_app_2"], given["address_etcd"]) == ("silver-redis-master-1", "silver-ping-app-2", "10.0.7.6")
    assert (given["url"], given["port_stats"], given["image_app"]) == ("http://localhost/", "8404", "silverlining/app:old")


@pytest.mark.parametrize(
    ("step", "url"),
    (
        ("step00-install", ""),
        ("step01-nginx", "http://localhost/"),
        ("step04-image", "http://localhost:8080/"),
        ("step06-lvs", "http://10.0.7.9:8000/"),
    ),
)
def test_the_address_to_open(step: str, url: str) -> None:
    assert url_of(stack(step)) == url


@pytest.mark.parametrize(
    ("command", "code", "remote", "what", "hint"),
    (
        ("docker version", 127, "", "need the program docker on this machine", "docker-cli"),
        ("docker version", 127, "web1", "need the program docker on web1", "docker-cli"),
        ("jq .", 127, "", "need the program jq on this machine", "install jq there"),
        ("cat a.yaml | docker compose -f - ps", 127, "", "need the program docker on this machine", "docker-cli"),
        ("docker ps", 1, "", "`docker ps` failed with exit code 1", "invoke status"),
        ("docker exec app ip", 127, "", "`docker exec app ip` failed with exit code 127", "invoke status"),
    ),
)
def test_a_command_that_fails_or_is_not_there(command: str, code: int, remote: str, what: str, hint: str) -> None:
    silent = SimpleNamespace(text=str, command=str, output=str)
    words = "sh: 1: jq: not found" if command.startswith("jq") else "bash: line 1: docker: command not found\n"
    if "exec" in command or code == 1:
        words = 'OCI runtime exec failed: exec: "ip": executable file not found in $PATH: unknown'
    answer = SimpleNamespace(ok=False, exited=code, stdout="", stderr=words)
    host = SimpleNamespace(remote=bool(remote), name=remote or "localhost", shell=lambda _: answer)
    with pytest.raises(SilverliningError) as caught:
        play_act(SimpleNamespace(voice=silent, host=host), Act("An act", "", (command,)), {})  # type: ignore[arg-type]
    assert what in caught.value.what and hint in caught.value.hint
