"""The shells' completion, as README.md and docs/getting-started.md tell it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tasks

from .builders import ROOT

TOLD = [ROOT / "README.md", ROOT / "docs" / "getting-started.md"]
# What each shell's script says to its shell.
DECLARES = {"bash": "complete -F ", "zsh": "compctl -K ", "fish": "complete --command invoke "}


def lines(path: Path) -> dict[str, str]:
    """The line that is told for each shell."""
    text = path.read_text(encoding="utf-8")
    return {
        found[2]: found[1].strip()
        for found in re.finditer(r"^((?:source|invoke) .*--print-completion-script (\w+).*?)(?:  #.*)?$", text, re.MULTILINE)
    }


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A path on which the checkout's `invoke` is, with this Python instead of its .venv."""
    folder = tmp_path_factory.mktemp("path")
    (folder / "invoke").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m invoke --search-root "{ROOT}" "$@"\n')
    (folder / "invoke").chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def said(path: str, *command: str) -> str:
    environment = {**os.environ, "PATH": path}
    return subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.mark.parametrize("page", TOLD, ids=lambda page: page.name)
def test_a_line_is_told_for_each_shell(page: Path) -> None:
    assert lines(page) == {
        "bash": "source <(invoke --print-completion-script bash)",
        "zsh": "source <(invoke --print-completion-script zsh)",
        "fish": "invoke --print-completion-script fish | source",
    }


@pytest.mark.parametrize("shell", DECLARES)
def test_invoke_writes_a_script_for_it(shell: str, path: str) -> None:
    script = said(path, "invoke", "--print-completion-script", shell)
    assert DECLARES[shell] in script and "invoke" in script and "--complete -- " in script


def test_what_the_scripts_ask_gives_tasks_and_flags(path: str) -> None:
    names = said(path, "invoke", "--complete", "--", "invoke").split()
    assert set(tasks.namespace.task_names) <= set(names)
    assert {"--set", "--dry"} <= set(said(path, "invoke", "--complete", "--", "invoke deploy-all -").split())


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash here")
def test_bash_completes_after_that_line(path: str) -> None:
    tab = "COMP_WORDS=(invoke step0); COMP_CWORD=1; _complete_invoke invoke step0 invoke; echo ${COMPREPLY[@]}"
    assert {"step01-nginx", "step08-netdata"} <= set(said(path, "bash", "-c", f"{lines(TOLD[0])['bash']}; {tab}").split())
