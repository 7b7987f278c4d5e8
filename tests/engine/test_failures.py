"""What bad input gets: one clear message with the next command, exit code 1, no traceback, and a host on which nothing has changed."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from docker import APIClient
from docker.errors import NotFound
from docker.types import IPAMConfig, IPAMPool

from .course import ROOT, Course, copy_checkout, until
from .tiny import IMAGE, make_image

FABRIC = [sys.executable, "-m", "fabric"]
WEB, APP = 8201, 8202


@pytest.fixture(scope="module")
def course(engine: APIClient) -> Iterator[Course]:
    """A stack of our own: ports 8201 to 8205."""
    one = Course(engine, "sl-fail", 8200, 20)
    one.clean()
    make_image(engine)
    yield one
    one.clean()


def refused(course: Course, *words: str, says: tuple[str, ...], **more: str) -> str:
    """A task that must end as people are told, and change nothing: the message on standard error, one mark, one hint that begins a line."""
    before = course.snapshot()
    done = course.invoke(*words, **more)
    assert done.returncode == 1, done.stdout[-3000:] + done.stderr
    message = done.stderr
    assert "Traceback" not in done.stdout + message
    assert message.startswith("\n✗ ") and message.count("✗") == 1, message
    assert len(re.findall(r"^  → \S", message, re.MULTILINE)) == message.count("→") == 1, message
    for word in says:
        assert word in message, f"{word!r} is not in {message}"
    assert course.snapshot() == before
    return message


# ---- the engine


def test_no_socket(course: Course, tmp_path: Path) -> None:
    refused(course, "status", says=("no.sock", "DOCKER_HOST"), DOCKER_HOST=f"unix://{tmp_path}/no.sock")


def test_nothing_listens(course: Course, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "left.sock"))
    refused(course, "deploy-all", says=("nothing listens", "left.sock"), DOCKER_HOST=f"unix://{tmp_path}/left.sock")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    refused(course, "step01-nginx", says=("nothing listens", str(port)), DOCKER_HOST=f"tcp://127.0.0.1:{port}")


def test_another_engine_is_not_started_in_place_of_the_one_that_is_meant(course: Course, tmp_path: Path) -> None:
    refused(course, "step00-install", says=("no.sock", "name another one"), DOCKER_HOST=f"unix://{tmp_path}/no.sock")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_no_permission_on_the_socket(course: Course) -> None:
    # Somebody who may read whatever there is (Python may stand in root's home), but not write to the socket.
    other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    done = subprocess.run(
        [*other, sys.executable, "-m", "invoke", "status"],
        cwd=ROOT,
        env=course.environment(HOME="/nonexistent"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "no permission" in done.stderr and "docker.sock" in done.stderr and "usermod -aG docker" in done.stderr


# ---- what others hold


@contextmanager
def stranger(course: Course, name: str, port: int = 0) -> Iterator[None]:
    """A container that isn't ours."""
    config = course.client.create_host_config(port_bindings={80: ("127.0.0.1", port)} if port else {})
    made = course.client.create_container(IMAGE, ["cat"], name=name, stdin_open=True, ports=[80] if port else [], host_config=config)
    try:
        if port:
            course.client.start(made["Id"])
        yield
        assert course.client.inspect_container(name)["Id"] == made["Id"]
    finally:
        with suppress(NotFound):
            course.client.remove_container(made["Id"], force=True)


def test_a_port_that_a_program_holds(course: Course) -> None:
    with socket.create_server(("127.0.0.1", WEB)):
        refused(course, "step01-nginx", says=(f"port {WEB}", "taken by", f"pid {os.getpid()}", "--set ports.web="))
    course.run("step01-nginx")
    course.run("teardown", "--yes")


def test_a_port_that_only_the_engine_finds_taken(course: Course, tmp_path: Path) -> None:
    """Where `ss` is missing: the error names the port and the setting, and the next run goes on."""
    for program in ("sh", "bash"):
        (tmp_path / program).symlink_to(f"/bin/{program}")
    with socket.create_server(("127.0.0.1", WEB)):
        text = course.fails("step01-nginx", PATH=str(tmp_path))
        assert f"port {WEB} is taken" in text and "--set ports.web=" in text
    course.run("step01-nginx")
    course.must_be_at("step01-nginx")
    course.run("teardown", "--yes")


def test_a_port_that_a_container_holds(course: Course) -> None:
    with stranger(course, "try-fail-port", WEB):
        refused(course, "step01-nginx", says=(f"port {WEB}", "container try-fail-port", "--set ports.web="))


def test_a_container_with_our_name(course: Course) -> None:
    with stranger(course, "sl-fail-nginx-1"):
        refused(course, "step01-nginx", says=("container called sl-fail-nginx-1", "setting stack"))


def test_a_container_with_the_name_of_our_lock(course: Course) -> None:
    with stranger(course, "sl-fail-lock"):
        refused(course, "step01-nginx", says=("sl-fail-lock", "not ours"))


def test_a_network_with_our_name(course: Course) -> None:
    course.client.create_network("sl-fail", ipam=IPAMConfig(pool_configs=[IPAMPool(subnet="10.99.120.0/28")]))
    try:
        refused(course, "step01-nginx", says=("network called sl-fail", "setting stack"))
    finally:
        course.client.remove_network("sl-fail")


def test_a_volume_with_our_name(course: Course) -> None:
    course.client.create_volume("sl-fail-secrets")
    try:
        refused(course, "step03-redis", says=("volume called sl-fail-secrets", "setting stack"))
    finally:
        course.client.remove_volume("sl-fail-secrets")


def test_a_subnet_that_is_taken(course: Course) -> None:
    course.client.create_network("try-fail-net", ipam=IPAMConfig(pool_configs=[IPAMPool(subnet="10.99.20.64/28")]))
    try:
        refused(course, "step01-nginx", says=("10.99.20.0/24 is taken", "10.99.20.64/28", "network.subnet"))
        assert "10.99.20.0/24 is taken" in course.run("status"), "what only looks tells it and goes on"
    finally:
        course.client.remove_network("try-fail-net")


# ---- images


def test_an_image_that_its_registry_does_not_give(course: Course) -> None:
    refused(course, "step01-nginx", says=("images.references", "no image nginx", "upstream/nginx"), SILVERLINING_IMAGES_REFERENCES="nginx=x:1")
    names = "upstream/nginx=127.0.0.1:1/sl-fail-none:1"
    refused(
        course,
        "step01-nginx",
        says=("image upstream/nginx", "named 127.0.0.1:1/sl-fail-none:1", "images.references"),
        SILVERLINING_IMAGES_REFERENCES=names,
    )


def test_an_image_that_cannot_be_had_on_any_rung(course: Course, tmp_path: Path) -> None:
    copy = Course(course.client, "sl-fail", 8200, 20, copy_checkout(tmp_path / "copy"))
    dockerfile = copy.checkout / "builds/upstream/nginx/Dockerfile"
    dockerfile.write_text(dockerfile.read_text() + "RUN echo here it breaks && exit 3\n")
    # A registry that nobody runs, on a machine that reaches the official one as well.
    catalogue = copy.checkout / "silverlining/model/images.py"
    catalogue.write_text(catalogue.read_text().replace('"nginx:1.26"', '"127.0.0.1:1/nginx:1.26"'))
    mirror = {"SILVERLINING_IMAGES_MIRROR": "127.0.0.1:1/library"}
    text = refused(copy, "step01-nginx", says=("image upstream/nginx", "  mirror ", "  official ", "failing step", "here it breaks"), **mirror)
    assert text.index("  mirror ") < text.index("  official ") < text.index("failing step")


def test_a_template_with_an_unknown_variable(course: Course, tmp_path: Path) -> None:
    copy = Course(course.client, "sl-fail", 8200, 20, copy_checkout(tmp_path / "copy"))
    template = copy.checkout / "conf/haproxy.cfg.j2"
    template.write_text("# {{ haproxy.maxcon }}\n" + template.read_text())
    refused(copy, "deploy-all", says=("conf/haproxy.cfg.j2, line 1", "haproxy.maxcon", "docs/silverlining.example.yaml"))


# ---- words that don't fit


def test_an_unknown_step(course: Course) -> None:
    refused(course, "check", "--step", "nope", says=("nope", "step05-sentinel"))
    refused(course, "step99", says=("step99", "invoke --list"))


@pytest.mark.parametrize(
    ("given", "words"),
    (
        ("counts.nope=3", ("--set counts.nope", "no such setting")),
        ("ports.wbe=80", ("ports.wbe", "did you mean ports.web?")),
        ("ports.web", ("--set ports.web", "path=value")),
        ("ports.web=eighty", ("ports.web", "whole number", "eighty")),
        ("ports.web=99999", ("ports.web", "65535")),
        ("network.subnet=10.0.0.1/24", ("network.subnet", "10.0.0.1/24")),
        ("stack=Big", ("stack", "Big")),
        ("build.ca_bundle=/no/such.pem", ("build.ca_bundle", "/no/such.pem")),
        ("images.confd_binary=/no/confd", ("/no/confd",)),
        ("docker_host=ftp://x", ("ftp://x", "docker_host")),
    ),
)
def test_a_bad_flag(course: Course, given: str, words: tuple[str, ...]) -> None:
    refused(course, "deploy-all", "--set", given, says=words)


def test_a_bad_variable(course: Course) -> None:
    refused(course, "status", says=("SILVERLINING_DEADLINE", "soon"), SILVERLINING_DEADLINE="soon")
    refused(course, "status", says=("SILVERLINING_PORT_WEB", "SILVERLINING_PORTS_WEB"), SILVERLINING_PORT_WEB="80")


def test_a_bad_file(course: Course, tmp_path: Path) -> None:
    copy = Course(course.client, "sl-fail", 8200, 20, copy_checkout(tmp_path / "copy"))
    file = copy.checkout / "silverlining.yaml"
    for data, words in (
        (b"silverlining: {ports: {wbe: 80}}", ("silverlining.ports.wbe", "did you mean")),
        (b"silverlining:\n  stack: [\n", ("silverlining.yaml, line", "example.yaml")),
        (b"silverlining: {stack: \xff}", ("silverlining.yaml", "UTF-8")),
    ):
        file.write_bytes(data)
        refused(copy, "status", says=words)
    file.unlink()
    file.mkdir()
    refused(copy, "status", says=("silverlining.yaml can't be read", "directory"))


# ---- fab


def fab(course: Course, *words: str) -> str:
    done = subprocess.run([*FABRIC, *words], cwd=ROOT, env=course.environment(), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done
    return done.stderr


def test_fab_without_a_host_names_invoke(course: Course) -> None:
    assert "-H HOST" in (text := fab(course, "step01-nginx")) and "invoke" in text
    assert not course.ids()


@pytest.mark.parametrize("task", (("step01-nginx",), ("deploy-all",), ("teardown", "--yes"), ("status", "--json")))
def test_fab_with_a_host_never_works_on_this_machine(course: Course, task: tuple[str, ...]) -> None:
    before = course.snapshot()
    text = fab(course, "-H", "somewhere.invalid", *task)
    assert "somewhere.invalid" in text and "→" in text
    assert course.snapshot() == before


# ---- pipes and terminals


@pytest.mark.parametrize(
    ("words", "unbuffered"),
    (("--list", ""), ("--list", "1"), ("status", ""), ("status --json", "1"), ("check --json", ""), ("--dry step01-nginx", "1")),
)
def test_a_closed_pipe_is_no_error(course: Course, words: str, unbuffered: str) -> None:
    must_end_well(course, words, unbuffered)


def test_what_nobody_reads_is_done_to_its_end(course: Course) -> None:
    """A run that changes something, and its lesson."""
    must_end_well(course, "step01-nginx --yes", "")
    course.must_be_at("step01-nginx")
    must_end_well(course, "walkthrough --no-wait --yes --start step02-django --end step02-django", "1")
    course.must_be_at("step02-django")
    must_end_well(course, "teardown --yes", "")
    assert not course.ids()


def must_end_well(course: Course, words: str, unbuffered: str) -> None:
    """With an output that nobody reads any more."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "invoke", *words.split()]
    environment = course.environment(PYTHONUNBUFFERED=unbuffered)
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=200, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_browser_opens_where_there_is_one(course: Course, tmp_path: Path) -> None:
    """The one that the person has named; without a terminal the address is only printed."""
    browser, opened = tmp_path / "browser", tmp_path / "opened"
    browser.write_text(f'#!/bin/sh\necho "$1" >{opened}.new && mv {opened}.new {opened}\n')
    browser.chmod(0o755)
    course.run("step01-nginx", "--yes", "--quick")
    address = f"http://localhost:{course.ports['web']}/"
    assert address in course.run("open", "nginx", BROWSER=str(browser)) and not opened.exists()
    assert Terminal(course, "open", "nginx", BROWSER=str(browser)).end() == 0
    until(opened.exists, "the browser", 20)
    assert opened.read_text().strip() == address
    course.run("teardown", "--yes")


class Terminal:
    """A task on a terminal of its own."""

    def __init__(self, course: Course, *words: str, **more: str) -> None:
        self.main, other = pty.openpty()
        environment = {**course.environment(TERM="xterm", **more)}
        if not more.get("NO_COLOR"):
            environment.pop("NO_COLOR", None)
        command = [sys.executable, "-m", "invoke", *words]
        self.process = subprocess.Popen(
            command,
            cwd=course.checkout,
            env=environment,
            stdin=other,
            stdout=other,
            stderr=other,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(other)
        self.text = ""

    def read(self, until: Callable[[str], bool] = lambda text: False, seconds: float = 90) -> str:
        """Reads until the text fits or the task has ended."""
        end = time.monotonic() + seconds
        while not until(self.text):
            assert time.monotonic() < end, self.text
            if select.select([self.main], [], [], 0.2)[0]:
                try:
                    data = os.read(self.main, 65536)
                except OSError:
                    break
                self.text += data.decode(errors="replace")
        return self.text

    def end(self) -> int:
        """Reads the rest and gives the exit code."""
        self.read()
        os.close(self.main)
        return self.process.wait(30)


def test_it_asks_on_a_terminal_and_only_there(course: Course) -> None:
    course.run("step03-redis", "--set", "health.interval=1")
    settings = {"SILVERLINING_HEALTH_INTERVAL": "1"}
    refused(course, "step01-nginx", says=("takes away what serves", "django-1", "--yes"), **settings)
    refused(course, "teardown", says=("teardown removes", "--yes"), **settings)
    closed = ["sh", "-c", 'exec "$0" -m invoke teardown <&-', sys.executable]
    done = subprocess.run(closed, cwd=ROOT, env=course.environment(**settings), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1 and "--yes" in done.stderr and "Traceback" not in done.stderr, done.stderr
    before = course.snapshot()
    for task, keys in (("step01-nginx", (b"n\n", b"\x03")), ("teardown", (b"\n", b"\x04"))):
        for key in keys:
            terminal = Terminal(course, task, NO_COLOR="1" if key == b"n\n" else "", **settings)
            terminal.read(lambda text: "[y/N]" in text)
            os.write(terminal.main, key)
            assert terminal.end() == 1
            assert ("interrupted" if key == b"\x03" else "nothing was changed") in terminal.text and "Traceback" not in terminal.text
            assert ("\x1b[" in terminal.text) == (key != b"n\n")
            assert course.snapshot() == before
    terminal = Terminal(course, "teardown", "--volumes", **settings)
    terminal.read(lambda text: "[y/N]" in text)
    os.write(terminal.main, b"y\n")
    assert terminal.end() == 0 and not course.ids() and not course.volumes()


def test_with_json_standard_output_holds_json_only(course: Course) -> None:
    done = course.invoke("check", "--step", "step01-nginx", "--json")
    data = json.loads(done.stdout)
    assert done.returncode == 1 and data["ok"] is False and "checks failed" in done.stderr
    assert all(one["expected"] and one["seen"] and one["hint"] for one in data["checks"] if not one["ok"])
    assert json.loads(course.run("status", "--json"))["containers"] == []
    done = course.invoke("status", "--json", DOCKER_HOST="unix:///no.sock")
    assert (done.returncode, done.stdout) == (1, "") and "no.sock" in done.stderr


# ---- --dry


@pytest.mark.parametrize("words", (("--dry", "step01-nginx"), ("deploy-all", "--dry"), ("teardown", "--dry"), ("step00-install", "--dry")))
def test_a_dry_run_takes_no_lock_and_gets_no_image(course: Course, words: tuple[str, ...]) -> None:
    """The lock's name is taken and the image can't be had: neither is noticed."""
    with stranger(course, "sl-fail-lock"):
        before, since = course.snapshot(), int(time.time())
        text = course.run(*words, SILVERLINING_IMAGES_REFERENCES="upstream/nginx=127.0.0.1:1/sl-fail-none:1")
        until = int(time.time()) + 1
        assert course.snapshot() == before
        assert ("image upstream/nginx would be fetched" in text) == ("step01-nginx" in words)
        filters = {"label": "io.silverlining.stack=sl-fail"}
        events = course.client.events(since=since, until=until, filters=filters, decode=True)
        assert [event for event in events if not event["Action"].startswith(("exec_", "health_status"))] == []
