"""Several hosts in one call of fab, with tasks that need no host: order, failures, limit, interrupts, JSON, and what is no host's name."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest

from silverlining.model.errors import SilverliningError
from silverlining.ops.hosts import names

from .builders import ROOT

FABFILE = f'''
import json as js, os, signal, subprocess, sys, threading, time
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from invoke import Exit, task
from silverlining.ops.entry import tidy_invoke

tidy_invoke(list)
HERE = Path(__file__).parent


def await_file(*names):
    while not all((HERE / name).exists() for name in names):
        time.sleep(0.01)


@task(iterable=["set"])
def say(c, set=None, fail=""):
    print("hello from", c.host)
    print("and a word aside", file=sys.stderr)
    print("no end of line", end="")
    if c.host in fail.split("+"):
        raise Exit(f"\\n✗ it broke on {{c.host}}\\n  → mend it", code=1)


@task
def facts(c):
    print(repr(sys.stdin.read()), sys.stdout.isatty(), sys.stderr.isatty(), c.config.sudo.password)
    try:
        open("/dev/tty").close()
        print("a terminal")
    except OSError:
        print("no terminal")


@task
def meet(c, others):
    """Ends when all the others are there, too."""
    (HERE / c.host).touch()
    await_file(*others.split("+"))


@task(iterable=["set"])
def count(c, set=None):
    """How many were there at the same time at most."""
    mark = HERE / f"now-{{c.host}}"
    mark.touch()
    time.sleep(0.3)
    print("together:", len(list(HERE.glob("now-*"))))
    mark.unlink()


@task(iterable=["set"])
def stay(c, set=None):
    try:
        (HERE / f"there-{{c.host}}").touch()
        threading.Event().wait()
    except KeyboardInterrupt:
        time.sleep(0.2)
        (HERE / f"back-{{c.host}}").touch()
        print("put back")
        raise Exit("\\n✗ interrupted\\n  → again", code=1)


@task
def bug(c):
    raise ZeroDivisionError("bad\\nnews")


@task
def die(c):
    if c.host == "b":
        os.kill(os.getpid(), signal.SIGKILL)


@task
def leave(c):
    """A program that the child has started keeps the output open."""
    subprocess.Popen(["sh", "-c", "until [ -e end ]; do sleep 0.05; done"])
    print("left one")


@task
def data(c, json=False):
    if c.host == "bad":
        raise Exit("\\n✗ no data\\n  → look", code=1)
    print(js.dumps({{"host": c.host}}, indent=2) if json else c.host)
    if c.host == "ill":
        raise Exit("\\n✗ it is ill", code=1)
'''


class Project:
    """A folder with a fabfile, and fab in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "fabric.yaml").write_text((ROOT / "fabric.yaml").read_text())
        (folder / "fabfile.py").write_text(FABFILE)
        self.environment = {**os.environ, "HOME": str(folder), "PYTHONPATH": str(ROOT)}
        for name in ("NO_COLOR", "PYTHONUNBUFFERED"):
            self.environment.pop(name, None)

    def line(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "fabric", *words]

    def fab(self, *words: str, code: int = 0, shell: str = "") -> tuple[str, str]:
        """What fab says, output and errors; `shell` stands behind the command."""
        line = ["bash", "-c", f'"$@" {shell}', "fab", *self.line(*words)]
        done = subprocess.run(
            line, cwd=self.folder, env=self.environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout, done.stderr

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(self.line(*words), cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def terminal(self, *words: str, **more: str) -> pexpect.spawn:
        command, *rest = self.line(*words)
        return pexpect.spawn(command, rest, cwd=str(self.folder), env=self.environment | more, timeout=60, encoding="utf-8", dimensions=(24, 80))

    def has(self, name: str) -> bool:
        return (self.folder / name).exists()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def lines_of(host: str, text: str) -> list[str]:
    return [line.partition("| ")[2] for line in text.splitlines() if line.partition("|")[0].strip() == host]


def table(text: str) -> dict[str, str]:
    """Result by host."""
    rows = text.partition("\nHosts\n")[2].splitlines()
    assert rows[0].split() == ["host", "seconds", "result"]
    return {row.split()[0]: " ".join(row.split()[2:]) for row in rows[1:]}


# ---- names


def test_names() -> None:
    assert names("b, a,b,ann@a:22") == ["b", "a", "ann@a:22"]
    assert names("fe80::1,[x]") == ["fe80::1", "[x]"]


@pytest.mark.parametrize("text", ("a,,b", "a,", ",", " ", "ann@", "a:", "a:x", "a:0", "a:70000", ":22", "a b", "ann@b@"))
def test_what_is_no_name(text: str) -> None:
    with pytest.raises(SilverliningError, match="-H ") as caught:
        names(text)
    assert "for example -H" in caught.value.hint


@pytest.mark.parametrize("host", ("a,,b", "a:x"))
def test_a_wrong_name_is_one_message(project: Project, host: str) -> None:
    out, err = project.fab("-H", host, "say", code=1)
    assert not out and err.startswith("\n✗ -H ") and "Traceback" not in err


def test_what_stands_behind_two_dashes_is_refused(project: Project) -> None:
    _out, err = project.fab("-H", "a", "say", "--", "uptime", code=1)
    assert "after --" in err


# ---- one host, and none


def test_one_host_is_as_fabric_does_it(project: Project) -> None:
    out, err = project.fab("-H", "a,a", "say")
    assert (out, err) == ("hello from a\nno end of line", "and a word aside\n")


def test_fab_without_a_host_still_refuses() -> None:
    done = subprocess.run([sys.executable, "-m", "fabric", "status"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "name one with -H HOST" in done.stderr


# ---- several


def test_each_line_stands_behind_its_hosts_name(project: Project) -> None:
    out, err = project.fab("-H", "a,ann@bee:2222", "say")
    assert lines_of("a", out) == ["hello from a", "no end of line"] and lines_of("a", err) == ["and a word aside"]
    assert lines_of("ann@bee:2222", out)[0] == "hello from bee"
    assert {line.index("|") for line in out.partition("\nHosts\n")[0].splitlines() if line} == {len("ann@bee:2222 ")}
    assert table(out) == {"a": "done", "ann@bee:2222": "done"}


def test_a_failure_stops_that_hosts_tasks_and_no_other_host(project: Project) -> None:
    out, err = project.fab("-H", "a,b,c", "say", "--fail", "b", "facts", code=1)
    assert table(out) == {"a": "done", "b": "failed: it broke on b", "c": "done"}
    assert len(lines_of("b", out)) == 2 and len(lines_of("a", out)) == 3 == len(lines_of("c", out))
    assert lines_of("b", err)[-2:] == ["✗ it broke on b", "  → mend it"]


def test_a_child_has_no_terminal_and_keeps_what_was_asked_for_before(project: Project) -> None:
    child = project.terminal("--prompt-for-sudo-password", "-H", "a,b", "facts")
    child.expect("sudo.password")
    child.sendline("secret")
    child.expect(pexpect.EOF)
    assert child.before.count("'' False False secret") == 2 and child.before.count("no terminal") == 2


def test_hosts_are_worked_on_at_the_same_time(project: Project) -> None:
    out, _err = project.fab("-H", "a,b,c,d", "meet", "a+b+c+d")
    assert set(table(out).values()) == {"done"}


@pytest.mark.parametrize(("given", "most"), ((("--set", "ssh.hosts_at_once=2"), 2), ((), 4)))
def test_not_more_at_once_than_the_setting_says(project: Project, given: tuple[str, ...], most: int) -> None:
    out, _err = project.fab("-H", "a,b,c,d,e", "count", *given)
    seen = [int(line.split()[-1]) for line in out.splitlines() if "together:" in line]
    assert len(seen) == 5 and 2 <= max(seen) <= most


def test_a_wrong_setting_is_one_message(project: Project) -> None:
    _out, err = project.fab("-H", "a,b", "say", "--set", "ssh.hosts_at_once=0", code=1)
    assert "ssh.hosts_at_once: must be more than 0" in err and "Traceback" not in err


def test_a_bug_keeps_its_traceback(project: Project) -> None:
    out, err = project.fab("-H", "a,b", "bug", code=1)
    assert table(out) == dict.fromkeys("ab", "failed: ZeroDivisionError: bad")
    assert err.count("Traceback") == 2


def test_a_child_that_is_killed(project: Project) -> None:
    out, _err = project.fab("-H", "a,b", "die", code=1)
    assert table(out) == {"a": "done", "b": "failed: ended by SIGKILL"}


def test_what_a_child_leaves_behind_is_not_awaited(project: Project) -> None:
    try:
        process = project.start("-H", "a,b", "leave")
        assert process.wait(30) == 0
        assert process.stdout and table(process.stdout.read()) == {"a": "done", "b": "done"}
    finally:
        (project.folder / "end").touch()


@pytest.mark.parametrize("end", ("| head -1", ">&-", "<&-", "2>&-"))
def test_a_closed_pipe_is_no_error(project: Project, end: str) -> None:
    out, err = project.fab("-H", "a,b", "say", shell=end)
    assert "Traceback" not in out + err and "rror" not in err


# ---- interrupts


@pytest.mark.parametrize("number", (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
def test_a_signal_ends_every_child_and_awaits_it(project: Project, number: int) -> None:
    process = project.start("-H", "a,b,c", "stay", "--set", "ssh.hosts_at_once=2")
    until(lambda: project.has("there-a") and project.has("there-b"))
    process.send_signal(number)
    out, _err = process.communicate(timeout=30)
    assert process.returncode == 1 and project.has("back-a") and project.has("back-b") and not project.has("there-c")
    assert table(out) == {"a": "interrupted", "b": "interrupted", "c": "not begun"}
    assert "put back" in lines_of("a", out) and "put back" in lines_of("b", out) and "Traceback" not in out


def test_ctrl_c_reaches_each_child_once(project: Project) -> None:
    child = project.terminal("-H", "a,b", "stay")
    until(lambda: project.has("there-a") and project.has("there-b"))
    child.sendintr()
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 1 and child.before.count("put back") == 2 and child.before.count("✗ interrupted") == 2
    assert "Traceback" not in child.before


def test_children_end_with_a_parent_that_is_killed(project: Project) -> None:
    process = project.start("-H", "a,b", "stay")
    until(lambda: project.has("there-a") and project.has("there-b"))
    process.kill()
    process.wait()
    until(lambda: project.has("back-a") and project.has("back-b"))


# ---- colour


def test_colours_are_for_terminals_and_can_be_refused(project: Project) -> None:
    for more, colour in (({}, True), ({"NO_COLOR": "1"}, False)):
        child = project.terminal("-H", "a,b", "say", **more)
        child.expect(pexpect.EOF)
        assert ("\x1b[" in child.before) is colour and "hello from b" in child.before
    assert "\x1b" not in "".join(project.fab("-H", "a,b", "say"))


# ---- JSON


def test_json_is_one_object_by_host(project: Project) -> None:
    out, err = project.fab("-H", "a,bad,ill", "data", "--json", code=1)
    assert json.loads(out) == {"a": {"host": "a"}, "bad": {"error": "no data"}, "ill": {"host": "ill"}}
    assert list(json.loads(out)) == ["a", "bad", "ill"]
    assert table(err) == {"a": "done", "bad": "failed: no data", "ill": "failed: it is ill"}
    assert "✗ no data" in lines_of("bad", err)


def test_json_of_several_tasks_is_a_list(project: Project) -> None:
    out, _err = project.fab("-H", "a,b", "data", "--json", "data", "--json")
    assert json.loads(out) == {host: [{"host": host}] * 2 for host in "ab"}


def test_json_beside_text_is_lines(project: Project) -> None:
    out, _err = project.fab("-H", "a,b", "data", "--json", "data")
    assert lines_of("a", out) == ["{", '  "host": "a"', "}", "a"]
