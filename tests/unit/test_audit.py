"""The trail: what may stand in it, what is read from it, and the script that writes it, run by this machine's bash."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from silverlining.host import keeper
from silverlining.host.checkout import commit
from silverlining.model import actions, audit, labels
from silverlining.model.audit import command_of, difference, fragment, person, plain, read, result, tally

from .builders import ROOT

BEGUN = {"stack": "one", "by": "anna@laptop", "as": "deploy", "pid": "7", "command": "fab -H web1 deploy-all", "version": "abc"}


# ---- what may stand in it


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        (["/a/b/fab", "-H", "web1", "deploy-all"], "fab -H web1 deploy-all"),
        (["/venv/invoke/__main__.py", "scale", "a=5"], "invoke scale a=5"),
        (["invoke", "x", "--set", "redis.password=hunter2", "--token=hunter2"], "invoke x --set redis.password=… --token=…"),
        (
            ["invoke", "x", "--set", "build.pip_index=https://ann:hunter2@pypi.example/simple"],
            "invoke x --set build.pip_index=https://…@pypi.example/simple",
        ),
        (["invoke", "x", "--set", "images.mirror=reg:5000"], "invoke x --set images.mirror=reg:5000"),
        ([], ""),
    ],
)
def test_a_command_is_shown_without_what_is_secret(argv: Sequence[str], shown: str) -> None:
    assert command_of(argv) == shown


def test_a_text_stays_on_its_line() -> None:
    assert plain("a\nb\tc\x1b[31m\x00d\u202e\udc80e") == "a b c [31m d e"
    assert len(plain("ä" * 10_000)) == audit.LONGEST and plain("ä" * 10_000).endswith("…")


def test_a_fragment_is_ascii_on_one_line() -> None:
    text = fragment(command='a "b"\n\x00\udc80 ü')
    assert text.isascii() and "\n" not in text and "\0" not in text
    assert json.loads('{"at":"",' + text)["command"] == 'a "b"\n\x00\udc80 ü'


def test_every_kind_of_action_is_counted_or_goes_with_others() -> None:
    kinds = {kind.__name__ for kind in actions.Action.__subclasses__()}
    assert set(audit.KINDS) <= kinds
    aside = {"CreateNetwork", "CreateVolume", "RemoveVolume", "MakeSecrets", "SeedReplica", "ForgetMaster", "Drain", "Readmit", "ComposeUp"}
    assert kinds - set(audit.KINDS) <= aside
    assert tally([actions.MoveMaster("a", "b", "c"), actions.Readmit("h", "s"), actions.MoveMaster("b", "a", "c")]) == {"moved": 2}


def test_differences_are_counted_from_identities() -> None:
    assert difference({"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "9", "d": "4", "e": "5"}) == {"created": 2, "replaced": 1, "removed": 1}
    assert difference({"a": "1"}, {"a": "1"}) == {}


def test_the_trails_volume_is_no_part_of_compose() -> None:
    assert labels.trail("one") == {labels.STACK: "one", labels.AUDIT: "trail"}


# ---- what is read from it


def line(event: str, op: str = "aa", at: str = "2026-07-01T10:00:00Z", **more: object) -> str:
    facts = BEGUN if event == "begin" else {}
    return json.dumps({"at": at, "op": op, "event": event, **facts, **more})


def test_an_operation_is_read_from_its_two_lines() -> None:
    (one,) = read(line("begin") + "\n" + line("done", at="2026-07-01T10:00:05Z", changed={"created": 11, "replaced": 1}) + "\n")
    assert (one.at, one.ended, one.by, one.login, one.command) == (
        "2026-07-01T10:00:00Z",
        "2026-07-01T10:00:05Z",
        "anna@laptop",
        "deploy",
        "fab -H web1 deploy-all",
    )
    assert person(one.by, one.login) == "anna@laptop over SSH as deploy" and person(one.by, "") == "anna@laptop"
    assert result(one) == "done: created 11, replaced 1"


def test_how_it_ended_is_said() -> None:
    def said(*lines: str, running: bool = False) -> str:
        return result(read("\n".join([line("begin"), *lines]))[0], running)

    assert said(line("failed", error="port 80 is taken", changed={"created": 2})) == "failed: created 2: port 80 is taken"
    assert said(line("lost")) == "connection lost"
    assert said(line("interrupted")) == "interrupted"
    assert (said(), said(running=True)) == ("no end known", "running")


def test_damage_costs_no_more_than_its_own_line() -> None:
    text = "\n".join(
        [
            line("done", "gone"),  # its beginning was trimmed away
            line("begin", "aa"),
            line("begin", "cut")[:30],
            "\0\0\0\0" + line("done", "aa"),
            "[]",
            "[" * 100_000,
            "nonsense \x1b[2J",
            line("begin", "bb", at="yesterday", by="\x1b[31mbob\nroot", command=["x"]),
            line("done", "bb", changed=["no"]),
            line("begin", "cc"),
            line("done", "cc", changed={"created": "many", "removed": 1}),
            "",
        ]
    )
    first, second, third = read(text)
    assert (first.op, first.outcome) == ("aa", "done")
    assert (second.at, second.by, second.changed) == ("", "[31mbob root", {})
    assert third.changed == {"removed": 1}


# ---- the script that writes it


class Keeper:
    """The lock's process 1, here: its input is held open until it is closed."""

    def __init__(self, file: Path, silence: int = 0, op: str = "aa", largest: int = keeper.LARGEST) -> None:
        words = keeper.command(op, BEGUN, silence, str(file), largest)
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"})

    def say(self, text: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def hear(self) -> bytes:
        assert self.process.stdout
        return self.process.stdout.readline()

    def end(self) -> None:
        self.process.communicate(timeout=20)


def outcomes(file: Path) -> list[tuple[str, str]]:
    return [(one.op, one.outcome) for one in read(file.read_text())]


def test_it_notes_who_begins_and_what_the_holder_says_last(tmp_path: Path) -> None:
    file = tmp_path / "trail"
    one = Keeper(file)
    one.say("\n")
    assert one.hear() == b"\n"  # a beat is answered
    assert outcomes(file) == [("aa", "")]
    one.say(fragment(op="aa", event="failed", error="50 % \\n 'of' \"it\" $(x) `y`\n", changed={}) + "\n")
    assert one.process.wait(10) == 0
    one.end()
    (seen,) = read(file.read_text())
    assert (seen.outcome, seen.error, seen.by, seen.login) == ("failed", "50 % \\n 'of' \"it\" $(x) `y`", "anna@laptop", "deploy")
    assert abs(time.time() - time.mktime(time.strptime(seen.at, "%Y-%m-%dT%H:%M:%SZ")) + time.timezone) < 60
    assert file.read_text().count("\n") == 2


def test_the_end_of_its_input_is_a_lost_holder(tmp_path: Path) -> None:
    file = tmp_path / "trail"
    one = Keeper(file)
    one.say('"op":"aa","event":"do')  # the connection broke in the middle of the last word
    one.end()
    assert outcomes(file) == [("aa", "lost")]


def test_silence_is_a_lost_holder_where_beats_are_due(tmp_path: Path) -> None:
    silent, loud, local = Keeper(tmp_path / "a", 1), Keeper(tmp_path / "b", 1), Keeper(tmp_path / "c")
    for _beat in range(8):
        loud.say("\n")
        assert loud.hear() == b"\n"
        time.sleep(0.25)
    assert silent.process.wait(5) == 0 and outcomes(tmp_path / "a") == [("aa", "lost")]
    assert loud.process.poll() is None and local.process.poll() is None
    for one in (silent, loud, local):
        one.end()


def test_an_engine_that_stops_is_told_apart(tmp_path: Path) -> None:
    one = Keeper(tmp_path / "trail")
    one.say("\n")
    one.hear()
    one.process.send_signal(signal.SIGTERM)
    one.end()
    assert outcomes(tmp_path / "trail") == [("aa", "stopped")]


def test_a_line_that_was_cut_off_swallows_no_other(tmp_path: Path) -> None:
    file = tmp_path / "trail"
    file.write_text(line("begin", "old") + "\n" + line("done", "old")[:25])
    Keeper(file).end()
    assert outcomes(file) == [("old", ""), ("aa", "lost")]


def test_the_newest_half_stays_when_it_has_grown(tmp_path: Path) -> None:
    file = tmp_path / "trail"
    for number in range(40):
        Keeper(file, op=f"op{number}", largest=4000).end()
        assert file.stat().st_size < 4600
    kept = [op for op, _outcome in outcomes(file)]
    assert kept == [f"op{number}" for number in range(40 - len(kept), 40)] and 5 < len(kept) < 20
    assert all(json.loads(text) for text in file.read_text().splitlines())
    assert [path.name for path in tmp_path.iterdir()] == ["trail"]


def test_a_full_disk_does_not_end_the_lock() -> None:
    one = Keeper(Path("/dev/full"))
    one.say("\n")
    assert one.hear() == b"\n"
    one.say("\n")
    assert one.hear() == b"\n" and one.process.poll() is None
    one.end()


def test_its_container_has_nothing_but_the_trail() -> None:
    words = keeper.command("aa", BEGUN, 30)
    made = keeper.container("one", "image", {"a": "b"}, words)
    host = made["HostConfig"]
    assert (host["CapDrop"], host["ReadonlyRootfs"], host["NetworkMode"], made["StdinOnce"]) == (["ALL"], True, "none", True)
    (mount,) = host["Mounts"]
    assert (mount["Source"], mount["VolumeOptions"]["Labels"]) == ("one-audit", labels.trail("one"))


# ---- the version


def test_the_commit_is_read_without_git(tmp_path: Path) -> None:
    wanted = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    if wanted.returncode == 0:
        assert commit(ROOT) == wanted.stdout.strip()
    assert commit(tmp_path) == ""
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    assert commit(tmp_path) == ""
    (tmp_path / ".git" / "packed-refs").write_text("# pack-refs\n" + "1" * 40 + " refs/heads/other\n" + "2" * 40 + " refs/heads/main\n")
    assert commit(tmp_path) == "2" * 12
    (tmp_path / ".git" / "HEAD").write_text("3" * 40 + "\n")
    assert commit(tmp_path) == "3" * 12
