"""What a lesson's proofs and checks may say, as hashes: a recording that was made with other words is stale."""

from __future__ import annotations

import ast
import hashlib
import inspect
import textwrap
from collections.abc import Callable

from ..model.lesson import Lesson
from .checks import CHECKS
from .proofs import find


def texts_of(lesson: Lesson) -> dict[str, str]:
    """For each proof and check of a lesson, by name, a hash of the texts in its function: of its words and its commands, not of how it works."""
    functions = {proof.name: find(proof.name) for act in lesson.acts for proof in act.proofs}
    return {name: _hash(function) for name, function in functions.items()} | {
        check.name: _hash(CHECKS[check.name]) for act in lesson.acts for check in act.checks
    }


def _hash(function: Callable[..., object]) -> str:
    made = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(made, ast.FunctionDef)
    texts = {node.value for node in ast.walk(made) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    texts.discard(ast.get_docstring(made, clean=False) or "")
    return hashlib.sha256("\0".join(sorted(texts)).encode()).hexdigest()[:12]
