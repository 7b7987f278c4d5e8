"""The way in: each error becomes one message with the next command and exit code 1; what is a bug stays a traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from docker.errors import APIError
from invoke import Config, Context, Exit, ParseError, Result
from invoke.exceptions import CommandTimedOut
from paramiko import ChannelException, SSHException
from requests.exceptions import ConnectionError as Broken
from requests.exceptions import ReadTimeout
from urllib3.exceptions import ProtocolError

import tasks  # importing it makes Invoke's own words ours
from silverlining.host.host import ROOT, Host
from silverlining.host.ssh.link import NoSession
from silverlining.model.errors import Busy, SettingsError, SilverliningError
from silverlining.ops.entry import operation
from silverlining.ops.faults import explain


def ended(error: BaseException | None, c: Any = None, pairs: list[str] | None = None, **more: Any) -> Exit:
    with pytest.raises(Exit) as caught, operation(c or Context(), pairs, **more):
        if error:
            raise error
    return caught.value


@pytest.mark.parametrize(
    ("error", "words"),
    (
        (SilverliningError("it broke", "mend it"), "\n✗ it broke\n  → mend it"),
        (Busy("ann works"), "\n✗ ann works"),
        (KeyboardInterrupt(), "\n✗ interrupted\n  → run the same command again: it goes on from what stands"),
        (BrokenPipeError(32, "Broken pipe"), "\n✗ the connection to the engine broke"),
        (NoSession("sshd on web1 opens no channel for a command"), "\n✗ the docker host opens no further session: sshd on web1"),
        (Broken(ProtocolError("aborted", NoSession("sshd on web1"))), "\n✗ the docker host opens no further session: sshd on web1"),
        (ChannelException(2, "Connect failed"), "\n✗ the docker host opens no further session: ChannelException(2, 'Connect failed')"),
        (SSHException("Channel closed."), "\n✗ the SSH connection broke: Channel closed."),
        (CommandTimedOut(Result(command="docker  version"), 5), "\n✗ `docker version` did not end within 5 s"),
        (APIError("500", explanation="mkdir: No space left on device"), "\n✗ no space left on the docker host"),
    ),
)
def test_an_error_is_one_message_and_exit_code_1(error: BaseException, words: str) -> None:
    exit = ended(error)
    assert exit.code == 1 and exit.message.startswith(words)
    assert exit.message.count("→") <= 1


def test_a_bug_is_not_hidden() -> None:
    """Nor one that comes up while something else is handled."""
    with pytest.raises(ZeroDivisionError), operation(Context(), None):
        raise ZeroDivisionError
    with pytest.raises(KeyError), operation(Context(), None):
        try:
            raise NoSession("sshd")
        except NoSession:
            {}["x"]


def test_sigterm_and_a_lost_terminal_end_a_run_as_ctrl_c_does() -> None:
    for number in (signal.SIGTERM, signal.SIGHUP):
        before = signal.getsignal(number)
        with pytest.raises(Exit, match="interrupted"), operation(Context(), None):
            os.kill(os.getpid(), number)
            signal.pause()
        assert signal.getsignal(number) is before


@pytest.mark.parametrize("pairs", (["nope"], ["ports.web=x"], ["no.such=1"]))
def test_mistakes_in_set(pairs: list[str]) -> None:
    assert "--set " + pairs[0].partition("=")[0] in ended(None, pairs=pairs).message


def test_every_settings_error_has_a_hint() -> None:
    assert "docs/silverlining.example.yaml" in str(SettingsError("x: wrong"))


def test_fab_without_a_host() -> None:
    exit = ended(None, Context(Config(overrides={"silverlining_under_fab": True})))
    assert exit.code == 1 and "-H HOST" in exit.message and "invoke TASK" in exit.message


def test_what_has_no_sense_over_ssh_is_refused() -> None:
    from fabric import Connection

    assert "not on web1.invalid" in ended(None, Connection("web1.invalid"), here=True).message


def test_a_host_runs_commands_under_invoke_dry() -> None:
    context = Context(Config(overrides={"run": {"dry": True}}))
    assert Host(context, settings=None).context.run("echo here", hide=True, in_stream=False).stdout == "here\n"  # type: ignore[arg-type]


def test_a_new_hosts_key_is_accepted_by_a_flag_of_every_task_that_works_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in tasks.namespace.task_names:
        flags = {flag for argument in tasks.namespace[name].get_arguments() for flag in argument.names}
        assert ("accept-new-host-key" in flags) is (name not in ("test", "bench", "docs")), name
    seen: list[bool] = []
    monkeypatch.setattr("silverlining.ops.run.deploy_all", lambda desk: seen.append(desk.settings.ssh.accept_new_host_key))
    for given in ({}, {"accept_new_host_key": True}, {"set": ["ssh.accept_new_host_key=yes"]}):
        tasks.deploy_all(Context(), **given)
    assert seen == [False, True, True]


def test_flags_of_the_desk_reach_it_and_the_others_the_function(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr("silverlining.ops.teardown.teardown", lambda desk, *words: seen.append((desk.yes, desk.dry, *words)))
    tasks.teardown(Context(), yes=True, images=True)
    tasks.teardown(Context(), False, True, False, True)
    assert seen == [(True, False, False, True), (False, True, True, False)]


def test_what_was_accepted_is_told_once_and_also_after_a_failure(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Exit), operation(Context(), None) as desk:
        desk.host.notes.append("its key was new")
        raise SilverliningError("it broke")
    assert capsys.readouterr().out.count("→ its key was new") == 1


@pytest.mark.parametrize(
    ("config", "words"),
    (
        (None, ("ssh_config can't be read", "No such file")),
        ("Host\n", ("ssh_config can't be read", "Unparsable line")),
        ("Host jump\n HostName 127.0.0.1\nHost *\n ProxyJump jump\n", ("ProxyJump leads back",)),
    ),
)
@pytest.mark.parametrize("hosts", ("web1", "web1,web2"))
def test_a_mistake_in_ssh_config_is_a_message(tmp_path: Path, config: str | None, words: tuple[str, ...], hosts: str) -> None:
    path = tmp_path / "config"
    if config:
        path.write_text(config)
    line = [sys.executable, "-m", "fabric", "-S", str(path), "-H", hosts, "status"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "→" in done.stderr and "Traceback" not in done.stderr
    assert all(word in done.stderr for word in words)


def test_a_word_that_invoke_does_not_know_names_the_next_command() -> None:
    assert (
        str(ParseError("No idea what 'x' is!"))
        == "\n✗ No idea what 'x' is!\n  → `invoke --list` names the tasks, `invoke --help TASK` the flags of one"
    )


def test_services_that_are_scaled_by_several_words_are_told_to_go_in_one() -> None:
    assert "scale ping-app=3,redis-slave=3" in str(ParseError("No idea what 'redis-slave=3' is!"))


@pytest.mark.parametrize(
    ("error", "what"),
    (
        (APIError("409", explanation="in use"), "the engine refused: in use"),
        (APIError("500", explanation="write /x: no space left\n on device"), "no space left on the docker host"),
        (ReadTimeout("read timed out"), "did not answer in time"),
        (Broken("aborted"), "the connection to the engine broke: aborted"),
        (ConnectionResetError(104, "reset"), "the connection to the engine broke"),
    ),
)
def test_what_the_engine_has_caused(error: Exception, what: str) -> None:
    found = explain(error)
    assert found and what in found.what and found.hint


def test_what_the_engine_has_not_caused() -> None:
    assert explain(KeyError("x")) is None and explain(OSError(2, "x")) is None


def test_every_task_has_a_summary_and_an_example() -> None:
    names = set(tasks.namespace.task_names)
    assert {"images.list", "images.save", "images.load", "doctor", "backup", "restore"} <= names
    for name in names:
        summary, _empty, *rest = (tasks.namespace[name].__doc__ or "").split("\n")
        assert summary.strip() and any(line.strip().startswith("Example: invoke ") for line in rest), name
