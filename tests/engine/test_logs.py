"""`logs`, `shell` and `open` on what stands: order of time, what comes live, readers who go, terminals."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from datetime import datetime, timezone

import pytest
from docker import APIClient

from .course import Course, own_stack, until
from .load import get
from .test_failures import Terminal


@pytest.fixture(scope="module")
def course(engine: APIClient) -> Iterator[Course]:
    """A stack of our own at the last step: ports 8501 to 8505."""
    with own_stack(engine, "sl-scale", 8500, 33) as one:
        one.run("deploy-all", "--yes")
        yield one


def mark(course: Course, word: str) -> None:
    """A request that HAProxy notes with this word in it; it doesn't count."""
    status, text = get(course.ports["web"], f"/healthz?{word}")
    assert status == 200, text


def piped(course: Course, words: str, after: str) -> tuple[str, int, str]:
    """`invoke WORDS | AFTER` in a shell: the output, invoke's own exit code and its errors."""
    line = f'"{sys.executable}" -m invoke {words} | {after}; echo "${{PIPESTATUS[0]}}"'
    done = subprocess.run(
        ["bash", "-c", line], cwd=course.checkout, env=course.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    out, _newline, code = done.stdout.strip().rpartition("\n")
    return out, int(code), done.stderr


def test_all_containers_side_by_side_in_order_of_time(course: Course) -> None:
    for number in range(5):
        course.hit()
        mark(course, f"turn-{number}")
    until(lambda: "turn-4" in course.run("logs", "--service", "haproxy"), "the engine has written the log")
    text = course.run("logs", "--timestamps", "--since", "10m")
    lines = [line.split(" | ", 1) for line in text.splitlines()]
    assert all(len(line) == 2 for line in lines)
    stamps = [words.split(" ", 1)[0] for _name, words in lines]
    assert stamps == sorted(stamps) and all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", stamp) for stamp in stamps)
    names = {name.strip() for name, _words in lines}
    assert {"haproxy-1", "ping-app-1", "redis-master-1", "sentinel-3", "etcd-1"} <= names <= {n.removeprefix("sl-scale-") for n in course.ids()}
    turns = [int(found) for found in re.findall(r"turn-(\d)", text)]
    assert [turn for turn in turns if turn in range(5)] == sorted(turns)
    few = course.run("logs", "--service", "haproxy,sentinel", "--tail", "2").splitlines()
    assert {line.rsplit("-", 1)[0] for line in (words.split(" ")[0] for words in few)} == {"haproxy", "sentinel"} and len(few) <= 8


def test_since(course: Course) -> None:
    mark(course, "early")
    until(lambda: "early" in course.run("logs", "--service", "haproxy"), "the engine has written the log")
    now = datetime.now(timezone.utc).isoformat()
    mark(course, "late")
    text = until(lambda: text if "late" in (text := course.run("logs", "--service", "haproxy", "--since", now)) else "", "the later line is there")
    assert "early" not in text


@pytest.mark.parametrize(
    ("words", "says"),
    (
        (("--service", "nginx"), "nginx does not stand now"),
        (("--service", "haprxy"), "did you mean haproxy?"),
        (("--since", "soon"), "no time that has passed"),
        (("--since", "-5m"), "no time that has passed"),
        (("--tail", "few"), "no number of lines"),
    ),
)
def test_what_is_refused(course: Course, words: tuple[str, ...], says: str) -> None:
    assert says in course.fails("logs", *words)


def test_a_reader_who_has_had_enough_is_no_error(course: Course) -> None:
    out, code, errors = piped(course, "logs --tail all", "head -n 1")
    assert (code, errors) == (0, "") and out.count("\n") == 0 and " | " in out
    # Nothing more is written by these, and still the end is noticed.
    out, code, errors = piped(course, "logs --follow --service redis-master --tail 1", "head -n 1")
    assert (code, errors) == (0, "") and out.startswith("redis-master-1 | ")


class Follow:
    """`invoke logs --follow`, read line by line."""

    def __init__(self, course: Course, *words: str) -> None:
        command = [sys.executable, "-m", "invoke", "logs", "--follow", *words]
        self.process = subprocess.Popen(
            command, cwd=course.checkout, env=course.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert self.process.stdout
        os.set_blocking(self.process.stdout.fileno(), False)
        self.text = ""

    def until(self, word: str, seconds: float = 30, after: str = "") -> None:
        """Reads until the word is there, behind another one."""
        assert self.process.stdout
        out = self.process.stdout

        def there() -> bool:
            self.text += (out.read() or b"").decode()
            return word in self.text.partition(after or "\0")[2 if after else 0]

        until(there, f"{word!r} in {self.text[-2000:]}", seconds)

    def end(self) -> tuple[int, str]:
        """Ctrl-C: exit code and errors."""
        self.process.send_signal(signal.SIGINT)
        _out, errors = self.process.communicate(timeout=15)
        return self.process.returncode, errors.decode()


def test_what_comes_is_followed_with_containers_that_come_and_go(course: Course) -> None:
    follow = Follow(course, "--service", "haproxy,ping-app", "--tail", "3")
    try:
        mark(course, "before")
        follow.until("before")
        began = time.monotonic()
        mark(course, "live")
        follow.until("live")
        print(f"a request was on the screen after {time.monotonic() - began:.2f} s")
        course.run("scale", "ping-app=4")
        follow.until("ping-app-4 | started")
        course.client.restart(course.name("ping-app", 4))
        follow.until("ping-app-4 | ended with exit code")
        follow.until("ping-app-4 | started", after="ended with exit code")
        mark(course, "after")
        follow.until("after")
    finally:
        code, errors = follow.end()
    assert (code, errors) == (0, "")
    lines = follow.text.splitlines()
    assert len([line for line in lines if "ping-app-4" in line and line.endswith("| started")]) == 2
    assert len([line for line in lines if "ping-app-4" in line and "ended with exit code" in line]) == 1
    assert len([line for line in lines if "?live " in line]) == 1, "a line is shown twice"
    assert not [line for line in lines if line.startswith(("redis", "sentinel"))]


def test_a_terminal_of_60_columns(course: Course) -> None:
    terminal = Terminal(course, "logs", "--tail", "5")
    fcntl.ioctl(terminal.main, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    assert terminal.end() == 0
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in terminal.text.splitlines()]
    assert len(lines) > 20 and max(map(len, lines)) <= 60
    assert terminal.text.count("\x1b[") >= 2 * len(lines), "no colours on a terminal"


def test_a_shell_on_a_terminal(course: Course) -> None:
    terminal = Terminal(course, "shell", "ping-app", "--index", "2", NO_COLOR="1")
    terminal.read(lambda text: "$ " in text.partition("docker exec")[2].partition("\n")[2])
    os.write(terminal.main, b"hostname; tty; exit 7\n")
    assert terminal.end() == 7
    assert "sl-scale-ping-app-2" in terminal.text.partition("exit 7")[2] and "/dev/pts/" in terminal.text


def test_where_a_shell_is_refused(course: Course) -> None:
    assert "needs a terminal" in course.fails("shell", "ping-app")
    assert "1, 2, 3" in course.fails("shell", "ping-app", "--index", "9")
    assert "no such service" in course.fails("shell", "ping")
    name = course.name("netdata")
    course.client.pause(name)
    try:
        terminal = Terminal(course, "shell", "netdata")
        assert terminal.end() == 1 and "is paused" in terminal.text and "Traceback" not in terminal.text
    finally:
        course.client.unpause(name)


def test_addresses(course: Course) -> None:
    for name, path in (("haproxy", "/healthz"), ("statistics", ""), ("netdata", ""), ("etcd", "")):
        url = course.run("open", name).strip()
        found = re.fullmatch(r"http://(?:localhost|127\.0\.0\.1):(\d+)(/\S*)", url)
        assert found, url
        status, text = get(int(found[1]), path or found[2])
        assert status == 200, f"{url}: {status} {text[:200]}"
    assert course.json("open", "ping-app") == {"service": "ping-app", "url": f"http://localhost:{course.ports['web']}/", "browser": False}
    assert "private network" in course.fails("open", "redis-master")
    assert "does not stand" in course.fails("open", "django")
