"""The scripts that make a base on a host over SSH, in this machine's own shell with a docker that only notes what it is asked."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from pathlib import Path

import pytest

from silverlining.host.ssh.runner import IMPORT
from silverlining.host.ssh.shell import GUARD

DOCKER = """#!/bin/sh
echo "docker $*" >>"$LOG"
case $1 in
import) [ "${IMPORTS:-yes}" = yes ] || { cat >/dev/null; echo "no space left on device" >&2; exit 1; }
  echo "got $(cat)" >>"$LOG"; echo sha256:0123 ;;
esac
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What docker was asked."""
    program = tmp_path / "docker"
    program.write_text(DOCKER)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    return tmp_path / "log"


def imported(make: str) -> subprocess.CompletedProcess[str]:
    script = IMPORT.format(make=shlex.join(["sh", "-c", make]), changes='--change \'LABEL "a"="b c"\'', reference="some/base:1")
    return subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=20, check=False)


def test_what_is_made_gets_its_name_when_it_is_whole(log: Path) -> None:
    assert imported("echo exit=7; echo the tar").returncode == 0
    assert log.read_text().splitlines() == [
        'docker import --change LABEL "a"="b c" -',
        "got exit=7",
        "the tar",
        "docker tag sha256:0123 some/base:1",
    ]


def test_what_was_cut_off_gets_none_and_goes(log: Path) -> None:
    """docker itself takes an empty tar for an image."""
    assert imported("echo half; exit 3").returncode == 3
    assert log.read_text().splitlines()[-1] == "docker rmi sha256:0123"
    assert imported("kill -9 $$").returncode == 137
    assert log.read_text().splitlines()[-1] == "docker rmi sha256:0123" and " tag " not in log.read_text()


def test_an_import_that_fails_is_a_failure(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMPORTS", "no")
    done = imported("echo the tar")
    assert done.returncode == 1 and "no space left" in done.stderr and len(log.read_text().splitlines()) == 1


def guarded(*argv: str) -> subprocess.Popen[str]:
    return subprocess.Popen(["sh", "-c", GUARD, "guard", *argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_the_variables_arrive_and_the_password_does_not() -> None:
    """Nor does the program get anything of its guard's input."""
    process = guarded("sh", "-c", 'echo "$A|$B|$(cat)|$(env | grep -c "pass word")"; exit 5')
    assert process.stdin
    process.stdin.write("pass word\n--\nA=x = 'y' $HOME\nB=\n--\nmore\n")
    process.stdin.flush()
    assert process.wait(10) == 5
    assert process.stdout and process.stdout.read() == "x = 'y' $HOME|||0\n"
    process.communicate()


def test_the_program_goes_when_the_connection_does(tmp_path: Path) -> None:
    """With all that it has started, and not before it has put away what it made, though nobody reads what it says of that."""
    script = f"trap 'echo tidying; echo tidying >&2; rm {tmp_path}/made; exit 1' TERM; touch {tmp_path}/made; (sleep 300; true) & wait"
    process = guarded("sh", "-c", script)
    assert process.stdin and process.stdout and process.stderr
    process.stdin.write("--\n--\n")
    process.stdin.flush()
    end = time.monotonic() + 10
    while not (tmp_path / "made").exists():
        assert time.monotonic() < end
    for stream in (process.stdout, process.stderr, process.stdin):
        stream.close()
    assert process.wait(10) == 1 and not (tmp_path / "made").exists()
