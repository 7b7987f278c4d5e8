"""Lint of builds/ without an engine: shell scripts parse, Dockerfiles keep to what both builders know and leak nothing of the building host."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILDS = ROOT / "builds"
SHEBANG = "#!/bin/sh"
FILES = sorted(path for path in BUILDS.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
SCRIPTS = [path for path in FILES if path.read_bytes().startswith(SHEBANG.encode() + b"\n")]
SOURCED = [path for path in FILES if path.suffix == ".sh" and path not in SCRIPTS]
DOCKERFILES = [path for path in FILES if path.name.split(".")[0] == "Dockerfile"]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def stages(text: str) -> list[list[str]]:
    """The instructions of each stage, continued lines joined, comments left out; the first list stands before the first FROM."""
    lines = re.sub(r"\\\n", " ", re.sub(r"(?m)^\s*#.*\n", "", text)).splitlines()
    found: list[list[str]] = [[]]
    for line in filter(None, map(str.strip, lines)):
        if line.upper().startswith("FROM "):
            found.append([])
        found[-1].append(line)
    return found


def test_there_is_something_to_lint() -> None:
    assert len(SCRIPTS) > 5 and len(DOCKERFILES) > 5


@pytest.mark.parametrize("path", SCRIPTS + SOURCED, ids=name)
def test_script_parses(path: Path) -> None:
    result = subprocess.run(["sh", "-n", str(path)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("path", SCRIPTS, ids=name)
def test_script_says_what_it_is_for_and_stops_at_errors(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert lines[1].startswith("# "), "the second line says what the script is for"
    assert "set -eu" in lines, "set -eu is missing"


@pytest.mark.parametrize("path", DOCKERFILES, ids=name)
def test_dockerfile_suits_both_builders(path: Path) -> None:
    for line in (line for stage in stages(path.read_text()) for line in stage):
        assert not re.match(r"RUN\s+--", line), f"BuildKit only: {line}"
        assert "<<" not in line, f"a heredoc is BuildKit only: {line}"
        assert not re.match(r"(COPY|ADD)\s.*--(link|chmod|parents|exclude)\b", line), f"BuildKit only: {line}"
        assert not re.match(r"ADD\s+https?://", line), f"a download without a checksum: {line}"


@pytest.mark.parametrize("path", DOCKERFILES, ids=name)
def test_final_stage_holds_nothing_of_the_building_host(path: Path) -> None:
    for line in stages(path.read_text())[-1]:
        assert not re.match(r"(COPY|ADD)\s.*\bhost/", line), f"host/ would stay in the image: {line}"
        assert not re.match(r"RUN\s.*\b(apt-get|apt-delta|pip3? install|curl|wget|go (build|install))\b", line), f"reaches outside: {line}"


@pytest.mark.parametrize("path", DOCKERFILES, ids=name)
def test_arguments_of_from_are_declared(path: Path) -> None:
    """Every ARG that a FROM uses is declared before the first stage: the classic builder takes an unknown one for an empty name."""
    head, *rest = stages(path.read_text())
    declared = {line.split()[1].split("=")[0] for line in head if line.startswith("ARG ")}
    for stage in rest:
        for used in re.findall(r"\$\{?(\w+)", stage[0]):
            assert used in declared, f"{stage[0]}: ARG {used} is not declared before it"
