"""What is planned on which host, and how a plan is carried out on a shell that answers by the book."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from invoke import Context, MockContext, Result

from silverlining.host import install
from silverlining.host.install import ASK, Facts, InstallPlan, Step, carry_out, look, plan
from silverlining.model.errors import EngineError

BARE = {"kernel": "Linux", "uid": "0", "user": "root", "id": "debian", "name": "Debian GNU/Linux 13", "apt-get": "/usr/bin/apt-get"}
INSTALLED = {**BARE, "docker": "/usr/bin/docker", "dockerd": "/usr/sbin/dockerd"}
UPDATE = "env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 update"
SCRIPT = "sh -c 'test -x /etc/init.d/docker && service docker start'"
DAEMON = "sh -c 'setsid dockerd >>/var/log/dockerd.log 2>&1 </dev/null &'"


def lines(**facts: str) -> tuple[str, ...]:
    """The command lines of a plan for a bare Debian with these differences."""
    return plan(Facts({**BARE, **{word.replace("_", "-"): value for word, value in facts.items()}})).lines()


def installed(**facts: str) -> tuple[str, ...]:
    """The same where Docker is installed and doesn't run."""
    return plan(Facts({**INSTALLED, **facts})).lines()


def refused(facts: dict[str, str]) -> str:
    """The text of the refusal, hint included."""
    with pytest.raises(EngineError) as caught:
        plan(Facts(facts))
    return str(caught.value)


def test_facts_are_read_from_a_real_shell() -> None:
    """One command, also in a dry run; it changes nothing."""
    context = Context()
    context.config.run.dry = True
    facts = look(context)
    assert facts["kernel"] == "Linux" and facts["uid"].isdigit() and facts["user"] and facts["id"]
    assert facts["setsid"].startswith("/")


def test_a_shell_that_says_nothing() -> None:
    """A host where not even `id` answers is an error."""
    silent = MockContext(run=Result("", stderr="bash: fork: Cannot allocate memory"))
    with pytest.raises(EngineError, match="Cannot allocate memory"):
        look(silent)


def test_left_alone() -> None:
    """An engine that answers needs nothing."""
    assert plan(Facts({**INSTALLED, "answers": "yes", "running": "99"})).steps == ()


def test_from_nothing() -> None:
    """Packages, then each way to start it."""
    update, packages, *starts = lines()
    assert update == UPDATE and starts == [SCRIPT, DAEMON]
    shell, flag, words = shlex.split(packages)
    assert (shell, flag) == ("sh", "-c")
    assert words == (
        "env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 install --yes --no-install-recommends docker.io"
        " $(apt-cache --names-only search '^docker-cli$' | cut -d ' ' -f 1) iptables apparmor ca-certificates"
    )
    assert lines(id="ubuntu", like="debian")[0] == lines(id="linuxmint", like="ubuntu debian")[0] == UPDATE


def test_the_ways_to_start_it() -> None:
    """systemd where it runs, the script where it is, else the daemon itself. Without the client it is installed first."""
    assert installed(systemd="yes", script="yes") == ("systemctl start docker",)
    assert installed(script="yes") == (SCRIPT, DAEMON)
    assert installed() == (DAEMON,)
    assert installed(docker="")[0] == UPDATE


def test_sudo_is_written_before_each() -> None:
    """A person with sudo sees what is run."""
    assert installed(uid="1000", user="ann", sudo="/usr/bin/sudo", systemd="yes") == ("sudo systemctl start docker",)


def test_what_is_left_to_the_person() -> None:
    """Each refusal says why and what to do."""
    ann = {"uid": "1000", "user": "ann"}
    assert "ann is not, and there is no sudo" in refused({**BARE, **ann})
    assert "usermod -aG docker ann" in refused({**INSTALLED, **ann, "running": "99"})
    assert "Arch Linux" in refused({**BARE, "id": "arch", "name": "Arch Linux"}) and install.DOCS in refused({**BARE, "id": "arch"})
    assert install.DOCS in refused({**BARE, "apt-get": ""})
    assert "Docker Desktop" in refused({**BARE, "kernel": "Darwin"})
    assert "sudo snap start docker" in refused({**BARE, "docker": "/snap/bin/docker", "snap": "yes"})


class Host:
    """A shell whose engine comes up when `starts` is run, and on which the commands of `fails` fail."""

    def __init__(self, starts: str = "", fails: dict[str, list[str]] | None = None, states: tuple[str, ...] = ("gone",)) -> None:
        self.starts, self.fails, self.states = starts, fails or {}, list(states)
        self.up = False
        self.ran: list[str] = []
        self.config = SimpleNamespace(sudo=SimpleNamespace(password=None))

    def run(self, command: str, **_options: Any) -> Any:
        """Answers."""
        if "docker -H" in command:
            state = "up" if self.up else self.states.pop(0) if len(self.states) > 1 else self.states[0]
            return SimpleNamespace(stdout=f"{state}\n", stderr="", ok=True)
        if "tail -n 8" in command:
            return SimpleNamespace(stdout="failed to create NAT chain\n", stderr="", ok=True)
        self.ran.append(command)
        if answers := self.fails.get(command):
            return SimpleNamespace(stdout="", stderr=answers.pop(0), ok=False)
        self.up = self.up or command == self.starts
        return SimpleNamespace(stdout="", stderr="", ok=True)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[], float]:
    """A clock that only moves when somebody sleeps."""
    now = [0.0]
    monkeypatch.setattr(install.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(install.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    return lambda: now[0]


def steps(*commands: str, starts: tuple[str, ...] = ()) -> InstallPlan:
    """A plan of these commands as root."""
    return InstallPlan((*(Step(c, c) for c in commands), *(Step(c, c, start=True) for c in starts)), True)


def test_the_first_way_that_works_is_the_last(clock: Callable[[], float]) -> None:
    """A way that fails at once is followed by the next; one that works ends it."""
    said: list[str] = []
    host = Host(starts="b", fails={"a": ["no"]})
    carry_out(host, steps("x", starts=("a", "b", "c")), said.append)
    assert host.ran == said == ["x", "a", "b"]


def test_started_by_its_own_installation(clock: Callable[[], float]) -> None:
    """Then nothing is started."""
    host = Host(starts="install")
    carry_out(host, steps("install", starts=("a",)), lambda text: None)
    assert host.ran == ["install"]


def test_a_slow_start_is_waited_for(clock: Callable[[], float]) -> None:
    """As long as its process is there, up to the deadline."""
    host = Host(states=("gone", "gone", *("starting",) * 40, "up"))
    carry_out(host, steps(starts=("a",)), lambda text: None)
    assert 15 < clock() < 30
    with pytest.raises(EngineError, match=r"does not answer:\n  \| failed to create NAT chain"):
        carry_out(Host(states=("starting",)), steps(starts=("a",)), lambda text: None)
    assert clock() > install.PATIENCE


def test_a_process_that_ended_is_not_waited_for(clock: Callable[[], float]) -> None:
    """Its log is shown after a few looks."""
    with pytest.raises(EngineError, match="failed to create NAT chain"):
        carry_out(Host(), steps(starts=("a",)), lambda text: None)
    assert clock() < 5


def test_apt(clock: Callable[[], float]) -> None:
    """A locked list is waited for, a failing update may not matter, a failing installation is the end."""
    locked = "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 7 (apt-get)"
    host = Host(fails={UPDATE: [locked, locked]}, states=("up",))
    carry_out(host, steps(UPDATE, "install", starts=("a",)), lambda text: None)
    assert host.ran == [UPDATE, UPDATE, UPDATE, "install"]
    host = Host(fails={UPDATE: ["E: no release file"], "install": ["E: Unable to locate package docker.io"]})
    with pytest.raises(EngineError, match=r"`install` failed:\n  \| E: Unable to locate"):
        carry_out(host, steps(UPDATE, "install", starts=("a",)), lambda text: None)
    assert host.ran == [UPDATE, "install"]


@pytest.mark.parametrize(
    "words",
    [
        "sudo: a password is required\n",
        "Sorry, try again.\nsudo: no password was provided\nsudo: 1 incorrect password attempt\n",
        "ann is not in the sudoers file.\n",
    ],
)
def test_sudo_refuses(words: str) -> None:
    """Invoke's own way to give a password is named."""
    host = Host(states=("gone",), fails={"LC_ALL=C sudo -n a": [words]})
    with pytest.raises(EngineError, match="sudo refuses: ") as caught:
        carry_out(host, InstallPlan((Step("a", "a"),), False), lambda text: None)
    assert "--prompt-for-sudo-password" in caught.value.hint


def test_the_password_goes_by_standard_input() -> None:
    """It is in no command line."""
    seen: list[tuple[str, str]] = []

    class Keen(Host):
        def run(self, command: str, **options: Any) -> Any:
            seen.append((command, options["in_stream"].read()))
            return super().run("a")

    host = Keen()
    host.config.sudo.password = "open sesame"
    carry_out(host, InstallPlan((Step("a", "a"),), False), lambda text: None)
    assert seen == [("LC_ALL=C sudo -k -S -p '' a", "open sesame\n")]


def test_ask_is_plain_sh() -> None:
    """It passes the shell's own check."""
    import subprocess

    subprocess.run(["sh", "-n", "-c", ASK], check=True)
