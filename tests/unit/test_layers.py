"""Imports run one way: tasks → ops → host → model, steps → model; console uses model only. Heavy imports wait for the task that needs them."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .builders import ROOT

HEAVY = ("docker", "fabric", "jinja2")
# Room: the rooms that its modules may import. ops compares a host with the steps, so it reads them.
MAY = {
    "model": {"model"},
    "host": {"host", "model"},
    "console": {"console", "model"},
    "ops": {"ops", "host", "console", "model", "steps"},
    "steps": {"steps", "model"},
}
# fab itself loads it, when there is a task to run.
LATE = {"silverlining/ops/executor.py"}
# The task's way in stands in console but hands over to ops: it belongs above both.
MODULES = sorted([*(ROOT / "silverlining").rglob("*.py"), *(ROOT / "steps").glob("*.py")])
NAMES = [str(m.relative_to(ROOT)) for m in MODULES]
PURE = [n for n in NAMES if n.startswith(("silverlining/model/", "steps/"))]


def room(dotted: str) -> str:
    """The room of a module: silverlining.ops.apply → ops; docker.types → docker."""
    parts = dotted.split(".")
    return (parts[1] if len(parts) > 1 else "") if parts[0] == "silverlining" else parts[0]


def imports(path: Path) -> Iterator[tuple[str, bool, int]]:
    """Yields (dotted name, whether it happens when the module is imported, line)."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]

    def walk(node: ast.AST, early: bool) -> Iterator[tuple[str, bool, int]]:
        for child in ast.iter_child_nodes(node):
            inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef))
            typing_only = isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
            if isinstance(child, ast.Import):
                yield from ((alias.name, early, child.lineno) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                above = ".".join(package[: len(package) - child.level + 1]) if child.level else ""
                base = ".".join(filter(None, (above, child.module)))
                yield from ((f"{base}.{alias.name}" if base == "silverlining" else base, early, child.lineno) for alias in child.names)
            else:
                yield from walk(child, early and not inside and not typing_only)

    yield from walk(ast.parse(path.read_text()), True)


def own_room(path: Path) -> str:
    parts = path.relative_to(ROOT).parts
    return parts[0] if parts[0] == "steps" else parts[1] if len(parts) > 2 else ""


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_imports_run_one_way(path: Path) -> None:
    allowed = MAY.get(own_room(path))
    if allowed is None:
        return
    rooms = set(MAY) | {"tasks", "fabfile", "tests"}
    for dotted, _early, lineno in imports(path):
        assert room(dotted) not in rooms - allowed, f"line {lineno}: {own_room(path)} imports {dotted}"


@pytest.mark.parametrize("name", PURE)
def test_the_model_is_pure(name: str) -> None:
    path = ROOT / name
    banned = {*HEAVY, "invoke", "paramiko", "rich", "requests", "subprocess", "socket", "urllib", "shutil", "tempfile"}
    for dotted, _early, lineno in imports(path):
        assert room(dotted) not in banned, f"line {lineno}: imports {dotted}"
    used = {node.func.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert not used & {"open", "print", "input"}


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_heavy_imports_wait(path: Path) -> None:
    late = str(path.relative_to(ROOT)) in LATE
    for dotted, early, lineno in imports(path):
        assert late or not (early and room(dotted) in HEAVY), f"line {lineno}: imports {dotted} when the module is imported"
        assert dotted.replace(".", "/") + ".py" not in LATE, f"line {lineno}: imports {dotted}, which loads what is heavy"


def test_the_list_of_tasks_loads_nothing_heavy() -> None:
    code = f"import sys, tasks; print(sorted(set(sys.modules) & set({HEAVY!r})))"
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_a_module_opens_with_what_it_is_for(path: Path) -> None:
    words = ast.get_docstring(ast.parse(path.read_text()))
    assert (words and words.splitlines()[0].endswith((".", ":", ";"))) or words.count(".") > 0
