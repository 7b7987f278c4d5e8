"""The launchers in a copy of the checkout, with tiny wheels in place of the real packages, so that no network is needed."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from silverlining import venv as launcher

ROOT = Path(__file__).parents[2]
PROGRAM = 'import os, sys\n\n\ndef main():\n    print(os.path.basename(sys.argv[0]), *sys.argv[1:], os.getcwd(), sep="|")\n'


def wheel(folder: Path, name: str, version: str) -> None:
    """A wheel of a program that says how it was called."""
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as file:
        file.writestr(f"{name}_made.py", PROGRAM)
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/entry_points.txt", f"[console_scripts]\n{name} = {name}_made:main\n")
        file.writestr(f"{info}/RECORD", "")


class Checkout:
    """A copy of the launchers whose path has a space, and the packages that it may install."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a check out"
        self.elsewhere = folder / "elsewhere"
        self.wheels = folder / "wheels"
        for made in (self.root / "silverlining", self.elsewhere, self.wheels):
            made.mkdir(parents=True)
        for name in ("invoke", "fab", "silverlining/launch.sh", "silverlining/venv.py"):
            shutil.copy(ROOT / name, self.root / name)
        for name, version in (("invoke", "1"), ("invoke", "2"), ("fab", "1")):
            wheel(self.wheels, name, version)
        self.require("invoke==1", "fab==1")

    def require(self, *lines: str) -> None:
        """Writes requirements.txt."""
        (self.root / "requirements.txt").write_text("\n".join(lines) + "\n")

    def start(self, *command: str | Path, path: str = "") -> subprocess.Popen[str]:
        """Starts a command from another folder, with no index but our wheels."""
        environment = {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.wheels), "PATH": path or os.environ["PATH"]}
        return subprocess.Popen(
            command, cwd=self.elsewhere, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(self, *command: str | Path, path: str = "") -> tuple[int, str, str]:
        """Exit code, output, error output."""
        process = self.start(*command, path=path)
        out, error = process.communicate(timeout=120)
        return process.returncode, out.strip(), error.strip()

    def installed(self, name: str) -> list[str]:
        """The versions of a package in .venv."""
        return sorted(path.name.split("-")[1].split(".")[0] for path in self.root.glob(f".venv/lib/*/site-packages/{name}-*.dist-info"))


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Checkout, list[tuple[int, str, str]]]:
    """A copy in which three launchers were started at once, and what each said."""
    copy = Checkout(tmp_path_factory.mktemp("first"))
    running = [copy.start(copy.root / name, "step 01", "--dry") for name in ("invoke", "fab", "invoke")]
    said = [process.communicate(timeout=180) for process in running]
    return copy, [(process.returncode, out.strip(), error.strip()) for process, (out, error) in zip(running, said, strict=True)]


@pytest.fixture
def checkout(first: tuple[Checkout, object], tmp_path: Path) -> Checkout:
    """A copy of one's own, whose .venv is made already."""
    fresh = Checkout(tmp_path)
    shutil.copytree(first[0].root / ".venv", fresh.root / ".venv", symlinks=True)
    return fresh


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_syntax(shell: str) -> None:
    """Each script is understood by the shells that there are."""
    for name in ("invoke", "fab", "silverlining/launch.sh"):
        subprocess.run([shell, "-n", ROOT / name], check=True)
    assert (ROOT / "invoke").stat().st_mode & stat.S_IXUSR and (ROOT / "fab").stat().st_mode & stat.S_IXUSR


def test_first_use_by_several_at_once(first: tuple[Checkout, list[tuple[int, str, str]]]) -> None:
    """One makes .venv and says so in one line, the others wait for it, and all run with their arguments, in the person's folder."""
    copy, ended = first
    called = f"--search-root|{copy.root}|step 01|--dry|{copy.elsewhere}"
    assert [(code, out) for code, out, _error in ended] == [(0, f"{name}|{called}") for name in ("invoke", "fab", "invoke")], ended
    errors = [error for _code, _out, error in ended]
    assert sum("first use: making .venv" in error for error in errors) == 1
    assert sum("waiting for it" in error for error in errors) == 2
    assert all(error.count("\n") == 0 for error in errors)


def test_afterwards(checkout: Checkout) -> None:
    """It says nothing more; a link to a link works; a change of requirements.txt is noticed; the checkout may be moved."""
    link, second = checkout.elsewhere / "my-fab", checkout.elsewhere / "again"
    link.symlink_to(checkout.root / "fab")
    second.symlink_to("my-fab")
    assert checkout.run(second, "-H", "web1") == (0, f"fab|--search-root|{checkout.root}|-H|web1|{checkout.elsewhere}", "")

    checkout.require("invoke==2", "fab==1")
    code, _out, error = checkout.run(checkout.root / "invoke")
    assert code == 0 and "requirements.txt has changed" in error
    assert checkout.installed("invoke") == ["2"]

    moved = checkout.root.rename(checkout.root.with_name("moved away"))
    assert checkout.run(moved / "invoke") == (0, f"invoke|--search-root|{moved}|{checkout.elsewhere}", "")


def test_half_made(checkout: Checkout) -> None:
    """A package that can't be had is an error, and what is half made is finished by the next run."""
    checkout.require("invoke==3")
    code, out, error = checkout.run(checkout.root / "invoke")
    assert (code, out) == (1, "") and "could not be installed" in error and "Traceback" not in error
    checkout.require("invoke==1", "fab==1")
    assert checkout.run(checkout.root / "invoke")[0] == 0


def fake_pythons(folder: Path, newest: str = "") -> str:
    """A PATH on which python3 is too old, and `newest`, if given, is the Python of this test."""
    tools = folder / f"bin {newest}"
    tools.mkdir()
    for tool in ("sh", "dirname", "readlink", "cmp"):
        (tools / tool).symlink_to(shutil.which(tool) or tool)
    old = tools / "python3"
    old.write_text('#!/bin/sh\nif [ "$1" = --version ]; then echo Python 3.8.18; else exit 1; fi\n')
    old.chmod(0o755)
    if newest:
        (tools / newest).symlink_to(os.path.realpath(sys.executable))
    return str(tools)


def test_python_went_away_and_what_is_left_is_too_old(checkout: Checkout, tmp_path: Path) -> None:
    """It says so and what to do; a newer Python of another name is taken."""
    python = checkout.root / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nowhere/python3")
    code, out, error = checkout.run(checkout.root / "invoke", path=fake_pythons(tmp_path))
    assert (code, out) == (1, "") and "3.10 or later is needed; the python3 here is Python 3.8.18" in error and "apt install" in error
    code, _out, error = checkout.run(checkout.root / "invoke", path=fake_pythons(tmp_path, "python3.11"))
    assert code == 0 and "first use" in error


class Calls:
    """Doubles what venv.make calls: which tools there are, who we are, and what succeeds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tools: str, root: bool = False, fails: str = "nothing") -> None:
        self.made: list[str] = []
        self.fails = fails
        monkeypatch.setattr(launcher.importlib.util, "find_spec", lambda name: None)
        monkeypatch.setattr(launcher.shutil, "which", lambda tool: tool if tool in tools.split() else None)
        monkeypatch.setattr(launcher.os, "geteuid", lambda: 0 if root else 1000)
        monkeypatch.setattr(launcher, "call", self.call)

    def call(self, *command: object, quiet: bool = False) -> bool:
        """Notes it."""
        self.made.append(" ".join(map(str, command)))
        return self.fails not in self.made[-1]


def test_without_ensurepip(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """As root, by sudo, by virtualenv, by uv, and at last by the person."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    apt = "env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120"
    venv = Path("/x/.venv")

    calls = Calls(monkeypatch, "apt-get", root=True)
    launcher.make(venv)
    installed = [f"{apt} update", f"{apt} install --no-install-recommends --yes {version}-venv", f"{sys.executable} -m venv --clear /x/.venv"]
    assert calls.made == installed
    assert f"installing {version}-venv with apt-get" in capsys.readouterr().err

    calls = Calls(monkeypatch, "apt-get sudo")
    launcher.make(venv)
    assert calls.made == ["sudo -n true", *(f"sudo -n {line}" for line in installed[:2]), installed[2]]

    calls = Calls(monkeypatch, "apt-get sudo virtualenv uv", fails="sudo -n true")
    launcher.make(venv)
    assert calls.made == ["sudo -n true", f"virtualenv --quiet --clear --python {sys.executable} /x/.venv"]

    calls = Calls(monkeypatch, "uv")
    launcher.make(venv)
    assert calls.made == [f"uv venv --quiet --clear --seed --python {sys.executable} /x/.venv"]

    Calls(monkeypatch, "")
    with pytest.raises(launcher.Stuck, match=f"sudo apt install {version}-venv"):
        launcher.make(venv)
    Calls(monkeypatch, "uv", fails="uv venv")
    with pytest.raises(launcher.Stuck, match="no environment could be made"):
        launcher.make(venv)


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """It is an error for people."""
    (tmp_path / "requirements.txt").write_text("invoke==1\n")

    def refuse(root: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(launcher, "prepare", refuse)
    assert launcher.main(tmp_path) == 1
    assert "can't be made: Permission denied" in capsys.readouterr().err
