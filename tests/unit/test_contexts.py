"""Build contexts: what is in them, what the fingerprint stands for, and what a mistake in a template is told."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from silverlining.host.contexts import ContextError, Contexts, host_files, pack, proxies
from silverlining.model.images import IMAGES, Image, Variant
from silverlining.model.settings import BuildSettings, ImageSettings
from silverlining.model.stack import template_variables

from .builders import ROOT, settings

CATALOGUE = {
    image.name: image
    for image in (
        Image("base", official="base:1", suite="trixie"),
        Image("lib", "builds/lib-image", (("BASE", "base"),), (("conf/lib.conf.j2", "lib.conf"), ("code", "code")), "lib:1"),
        Image("top", "builds/top", (("BASE", "lib"),), variants=(Variant("binary", "Dockerfile.binary", needs="top"), Variant("own", "Dockerfile"))),
    )
}
FILES = {
    "builds/lib-image/Dockerfile": "ARG BASE\nFROM ${BASE}\n",
    "builds/top/Dockerfile": "ARG BASE\nFROM ${BASE}\n",
    "conf/lib.conf.j2": "# library\nport {{ lib.port }}\n{% include 'part.j2' %}\n",
    "conf/part.j2": "level {{ lib.level }}\n",
    "code/main.py": "print(1)\n",
    "code/inner/other.py": "",
    "code/tests.py": "assert True\n",
    "code/tests/test_more.py": "assert True\n",
    "code/__pycache__/main.pyc": "x",
    "code/agent_test.go": "package main\n",
}
VARIABLES = {"lib": {"port": 80, "level": "info"}}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for path, text in FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def made(
    root: Path,
    variables: Mapping[str, Any] = VARIABLES,
    references: dict[str, str] | None = None,
    binary: str = "",
    catalogue: Mapping[str, Image] = CATALOGUE,
) -> Contexts:
    return Contexts(root, variables, ImageSettings("", references or {}, binary, "", ""), catalogue)


def prints(root: Path, **changes: Any) -> dict[str, str]:
    contexts = made(root, **changes)
    return {name: contexts[name].fingerprint for name in CATALOGUE}


def test_a_context_has_the_folder_the_rendered_templates_and_listed_folders_without_tests(root: Path) -> None:
    files = made(root)["lib"].files
    assert sorted(files) == ["Dockerfile", "code/inner/other.py", "code/main.py", "lib.conf"]
    assert files["lib.conf"].data == b"# library\nport 80\nlevel info\n\n"


def test_the_fingerprint_is_short_and_says_the_same_twice(root: Path) -> None:
    first = prints(root)
    assert first == prints(root)
    assert all(re.fullmatch(r"[0-9a-f]{12}", value) for value in first.values())
    assert len(set(first.values())) == 3


@pytest.mark.parametrize(
    ("path", "changed"),
    [
        ("builds/top/Dockerfile", {"top"}),
        ("builds/lib-image/Dockerfile", {"lib", "top"}),
        ("conf/part.j2", {"lib", "top"}),
        ("code/main.py", {"lib", "top"}),
        ("code/tests.py", set()),
        ("code/tests/test_more.py", set()),
        ("code/agent_test.go", set()),
    ],
)
def test_an_edit_changes_exactly_the_images_that_use_the_file(root: Path, path: str, changed: set[str]) -> None:
    before = prints(root)
    with (root / path).open("a") as file:
        file.write("# edited\n")
    after = prints(root)
    assert {name for name in before if before[name] != after[name]} == changed


def test_a_variable_an_executable_bit_and_a_pinned_reference_count(root: Path) -> None:
    before = prints(root)
    assert prints(root, variables={"lib": {"port": 81, "level": "info"}})["lib"] != before["lib"]
    assert prints(root, variables={**VARIABLES, "other": 1}) == before
    assert prints(root, references={"base": "mine:1"})["top"] != before["top"]
    newer = {**CATALOGUE, "lib": Image("lib", "builds/lib-image", (("BASE", "base"),), CATALOGUE["lib"].files, "lib:2")}
    assert made(root, catalogue=newer)["top"].fingerprint != before["top"]
    (root / "code/main.py").chmod(0o755)
    assert prints(root)["lib"] != before["lib"]


def test_other_modes_than_the_executable_bit_do_not_count(root: Path) -> None:
    before = prints(root)
    (root / "code/main.py").chmod(0o600)
    assert prints(root) == before


def test_a_reference_of_the_settings_needs_no_context(root: Path) -> None:
    (root / "builds/lib-image/Dockerfile").unlink()
    (root / "builds/lib-image").rmdir()
    contexts = made(root, references={"lib": "mine:1"})
    assert contexts["lib"].files == {}
    assert contexts["top"].fingerprint


def test_a_binary_that_the_user_names_is_in_the_context_and_counts(root: Path, tmp_path: Path) -> None:
    binary = tmp_path / "some-binary"
    binary.write_bytes(b"one")
    first = made(root, binary=str(binary))["top"]
    assert first.files["top"].data == b"one"
    assert first.files["top"].mode == 0o755
    binary.write_bytes(b"two")
    assert made(root, binary=str(binary))["top"].fingerprint != first.fingerprint
    binary.unlink()
    with pytest.raises(ContextError, match=r"images\.confd_binary: .*some-binary: No such file"):
        made(root, binary=str(binary))["top"]


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"lib": {"level": 1}}, "conf/lib.conf.j2, line 2: there is no variable lib.port"),
        ({"lib": {"port": 1}}, "conf/part.j2, line 1: there is no variable lib.level"),
        ({}, "conf/lib.conf.j2, line 2: there is no variable lib"),
    ],
)
def test_a_missing_variable_is_named_with_template_and_line(root: Path, variables: dict[str, Any], message: str) -> None:
    with pytest.raises(ContextError) as caught:
        made(root, variables)["lib"]
    assert caught.value.what == message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("one\n{{ lib.port\n", r"conf/lib.conf.j2, line \d: .*"),
        ("{% include 'gone.j2' %}\n", r"conf/lib.conf.j2: there is no template gone.j2"),
    ],
)
def test_a_broken_template_is_named(root: Path, text: str, message: str) -> None:
    (root / "conf/lib.conf.j2").write_text(text)
    with pytest.raises(ContextError) as caught:
        made(root)["lib"]
    assert re.match(message, caught.value.what)


def test_a_missing_file_and_a_missing_folder_are_named(root: Path) -> None:
    catalogue = {"one": Image("one", "builds/none"), "two": Image("two", "builds/top", files=(("conf/none", "none"),))}
    with pytest.raises(ContextError, match="image one: the folder builds/none is missing"):
        made(root, catalogue=catalogue)["one"]
    with pytest.raises(ContextError, match="image two: conf/none can't be read: No such file"):
        made(root, catalogue=catalogue)["two"]


def test_host_files_hold_what_settings_and_environment_say(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text("CERT")
    environ = {"REQUESTS_CA_BUNDLE": str(bundle), "SSL_CERT_FILE": "/none", "GOPROXY": "http://go proxy", "PIP_INDEX_URL": "http://pip"}
    files = host_files(BuildSettings("", "", "", ""), environ)
    assert {path: file.data for path, file in files.items()} == {
        "host/ca.crt": b"CERT",
        "host/sources.list": b"",
        "host/pip.conf": b"[global]\nindex-url = http://pip\n",
        "host/env": b"export GOPROXY='http://go proxy'\n",
    }
    files = host_files(BuildSettings("http://mirror/debian", "", "http://own", str(bundle)), {"PIP_INDEX_URL": "http://pip"})
    assert files["host/sources.list"].data == b"deb http://mirror/debian @SUITE@ main\ndeb http://mirror/debian @SUITE@-updates main\n"
    assert files["host/pip.conf"].data == b"[global]\nindex-url = http://own\n"
    assert host_files(BuildSettings("http://mirror", "deb x y z", "", ""), {})["host/sources.list"].data == b"deb x y z\n"
    assert all(file.data == b"" for file in host_files(BuildSettings("", "", "", ""), {}).values())


def test_a_ca_bundle_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ContextError, match=r"build.ca_bundle: /none/ca.pem: No such file"):
        host_files(BuildSettings("", "", "", "/none/ca.pem"), {})


def test_proxies_come_in_either_case() -> None:
    assert proxies({"http_proxy": "a", "HTTPS_PROXY": "b", "PATH": "/"}) == {"HTTP_PROXY": "a", "HTTPS_PROXY": "b"}


def test_the_tar_is_the_same_for_the_same_files(root: Path) -> None:
    files = made(root)["lib"].files
    first, second = pack(files), pack(dict(sorted(files.items(), reverse=True)))
    assert first.getvalue() == second.getvalue()
    with tarfile.open(fileobj=first) as tar:
        assert {(m.uid, m.gid, m.mtime) for m in tar.getmembers()} == {(0, 0, 0)}
        assert [m.name for m in tar.getmembers()] == sorted(files)


PROJECT = Path(__file__).parents[2]


@pytest.mark.parametrize("image", [image for image in IMAGES.values() if image.context], ids=lambda image: image.name)
def test_every_dockerfile_finds_what_it_copies_and_uses_what_it_is_given(image: Image) -> None:
    # A render that depends on no variable is enough: only names are looked at here.
    folder = PROJECT / image.context
    inside = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} | {target for _, target in image.files}
    inside |= {variant.needs for variant in image.variants if variant.needs} | {"host/ca.crt"}
    texts = [(folder / variant.dockerfile).read_text() for variant in image.variants]
    copied = [
        word
        for text in texts
        for line in re.findall(r"^COPY (?!--from)(.*)$", text.replace("\\\n", ""), re.MULTILINE)
        for word in re.sub(r"--\S+ ", "", line).split()[:-1]
    ]
    for pattern in copied:
        expression = re.escape(pattern.rstrip("/")).replace(r"\*", "[^/]*")
        assert any(re.match(rf"{expression}(/|$)", path) for path in inside), f"{image.name}: nothing in its context is called {pattern}"
    for source, target in image.files:
        assert (PROJECT / source).exists(), f"{image.name}: {source}"
        words = [re.escape(word.rstrip("/")).replace(r"\*", "[^/]*") for word in copied]
        assert any(re.match(rf"{word}(/|$)", target) for word in words), f"{image.name}: {target} is copied by no Dockerfile"
    given = {argument for argument, _ in image.bases} | {argument for variant in image.variants for argument, _ in variant.args}
    asked = {name for text in texts for name in re.findall(r"^ARG (\w+)$", text, re.MULTILINE)}
    assert asked == given, image.name


@pytest.mark.parametrize(
    ("given", "changed"),
    (({"counts_ping_app": 5}, {"haproxy"}), ({"counts_sentinel": 5}, {"sentinel"}), ({"counts_redis_slave": 5}, set()), ({"haproxy_check": 2}, None)),
)
def test_a_count_makes_only_those_images_anew_that_hold_it(given: dict[str, object], changed: set[str] | None) -> None:
    """HAProxy with confd gets its servers from etcd: another number of them is none of its business; its times are."""

    def all_prints(**more: object) -> dict[str, str]:
        contexts = made(ROOT, template_variables(settings(**more)), catalogue=IMAGES)
        return {name: contexts[name].fingerprint for name in IMAGES}

    before, after = all_prints(), all_prints(**given)
    assert {name for name in IMAGES if before[name] != after[name]} == ({"haproxy", "haproxy-confd"} if changed is None else changed)
