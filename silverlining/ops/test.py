"""Runs the project's own tests: style and types, then what needs no engine, then everything on a real engine."""

from __future__ import annotations

import os
import subprocess
import sys

from ..host.host import ROOT
from ..model.errors import SilverliningError
from ..model.text import _
from .desk import Desk

STYLE = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy",),
)


def test(desk: Desk, fast: bool, select: str) -> None:
    """Runs the tests of this machine; `fast` leaves the engine out, `select` is pytest's -k. Raises SilverliningError if one fails."""
    chosen = ("-k", select) if select else ()
    if not select:
        for command in STYLE:
            _run(desk, (sys.executable, "-m", *command))
    if fast:
        _run(desk, (sys.executable, "-m", "pytest", "tests/unit", "-m", "not slow", *chosen), none_is_fine=True)
        return
    from .install import ensure_engine

    ensure_engine(desk)
    # Two at a time: which ones, tests/conftest.py says. Where twenty fail they have one cause, and each waits for what does not come.
    _run(desk, (sys.executable, "-m", "pytest", "tests", "-n", "2", "--durations=60", "--maxfail=20", *chosen))


def _run(desk: Desk, argv: tuple[str, ...], none_is_fine: bool = False) -> None:
    """Runs one command with its output as it comes. pytest's exit code 5 says that it found no test."""
    desk.voice.command(" ".join(argv[2:]))
    if desk.dry:
        return
    # The settings of the person's own stack must not reach the tests, which set their own.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SILVERLINING_") and key != "LAUNCHED_AS"}
    code = subprocess.run(argv, cwd=ROOT, env=environment, check=False).returncode
    if code and not (none_is_fine and code == 5):
        raise SilverliningError(_("`{command}` found mistakes (exit code {code})").format(command=" ".join(argv[2:]), code=code))
