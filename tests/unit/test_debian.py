"""The Debian bases: which tool makes them, how it comes onto the host, and what a failure is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from silverlining.host import debian
from silverlining.host.images import ImageUnavailable

from .image_doubles import Engine, Settings, Shell, project, store


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return project(tmp_path)


def test_mmdebstrap_leaves_no_mirror_of_the_building_host(root: Path) -> None:
    assert debian.mmdebstrap("trixie", "")[-2:] == ["trixie", "-"]
    command = debian.mmdebstrap("trixie", "http://mirror/debian")
    assert command[-3:] == ["trixie", "-", "http://mirror/debian"]
    assert [part for part in command if part.startswith("--customize-hook")] == ['--customize-hook=: > "$1/etc/apt/sources.list"']
    shell, engine = Shell(), Engine()
    store(root, engine, Settings(package_mirror="http://mirror/debian"), shell).resolve(["base"])
    assert shell.ran == [command]
    assert engine.calls[1].startswith("import tar silverlining/base:")


@pytest.mark.parametrize(
    ("shell", "ran"),
    [
        (Shell(["debootstrap"]), ["sh"]),
        (Shell(["apt-get"]), ["apt-get", "mmdebstrap"]),
        (Shell(["apt-get", "sudo"], root=False), ["sudo", "mmdebstrap"]),
        (Shell(["mmdebstrap", "debootstrap"], root=False), ["mmdebstrap"]),
    ],
)
def test_the_tool_is_the_one_that_is_there_or_is_installed(root: Path, shell: Shell, ran: list[str]) -> None:
    store(root, Engine(), shell=shell).resolve(["base"])
    assert [argv[0] for argv in shell.ran] == ran


@pytest.mark.parametrize(
    ("shell", "message"),
    [
        (Shell([]), "neither mmdebstrap nor debootstrap is on the docker host, and it has no apt-get"),
        (Shell(["apt-get"], root=False), "mmdebstrap is not on the docker host, and installing it needs root"),
        (Shell(["apt-get"], answers={"apt-get": (100, "E: no network")}), "mmdebstrap can't be installed: E: no network"),
    ],
)
def test_a_host_without_the_tool_is_told_so(root: Path, shell: Shell, message: str) -> None:
    with pytest.raises(ImageUnavailable) as caught:
        store(root, Engine(), shell=shell).resolve(["base"])
    assert message in str(caught.value)
    assert "apt-get install mmdebstrap" in caught.value.hint


def test_an_error_inside_a_successful_import_is_seen(root: Path) -> None:
    engine = Engine()
    engine.import_image_from_file = lambda *args, **rest: '{"error":"no space left on device"}\n'  # type: ignore[method-assign]
    with pytest.raises(ImageUnavailable, match="can't be imported: no space left on device") as caught:
        store(root, engine).resolve(["base"])
    assert "disk is full" in caught.value.hint
