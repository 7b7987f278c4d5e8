"""Brings a Docker engine to a host that has none: looks, makes a plan of shell commands, and carries it out.

Everything goes through the shell that is passed in, Invoke's Context or Fabric's Connection, so it is the same here and over SSH.
"""

from __future__ import annotations

import io
import re
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from ..model.errors import EngineError
from ..model.text import _

DOCS = "https://docs.docker.com/engine/install/"
LOG = "/var/log/dockerd.log"
SOCKET = "unix:///var/run/docker.sock"
PATIENCE = 60.0  # seconds until a started engine must answer
LOCKED = 120  # seconds to wait for another apt or dpkg
BEAT = 0.5  # seconds between two questions to an engine that is starting
REFUSED = re.compile(r"^sudo: .*password.*|^.*(not in the sudoers|may not run sudo|not allowed to execute).*", re.MULTILINE)

# One command, one round trip: what the host is, what is installed, what runs, and how root is to be had.
ASK = f"""
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:/snap/bin
echo "kernel=$(uname -s)"
echo "uid=$(id -u)"
echo "user=$(id -un)"
if [ -r /etc/os-release ]; then (. /etc/os-release; echo "id=$ID"; echo "like=${{ID_LIKE:-}}"; echo "name=${{PRETTY_NAME:-$ID}}"); fi
for program in docker dockerd apt-get sudo setsid service; do echo "$program=$(command -v "$program")"; done
if [ -d /run/systemd/system ]; then echo systemd=yes; fi
if [ -x /etc/init.d/docker ]; then echo script=yes; fi
if [ -d /snap/docker ]; then echo snap=yes; fi
pid=$(cat /var/run/docker.pid 2>/dev/null)
if [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ]; then echo "running=$pid"; fi
if docker -H {SOCKET} version >/dev/null 2>&1; then echo answers=yes; fi
"""


class Shell(Protocol):
    """What is needed of Invoke's Context and of Fabric's Connection. `config.sudo.password` is the password that the person gave, or None."""

    config: Any

    def run(self, command: str, **options: Any) -> Any:
        """Runs a command; the result has stdout, stderr and ok."""


@dataclass(frozen=True)
class Facts:
    """What a host said of itself; `found` maps each word of ASK to its value."""

    found: dict[str, str]

    def __getitem__(self, word: str) -> str:
        return self.found.get(word, "")

    @property
    def debian(self) -> bool:
        """Debian, Ubuntu, or one of their children."""
        return bool({"debian", "ubuntu"} & {self["id"], *self["like"].split()}) and bool(self["apt-get"])

    @property
    def root(self) -> bool:
        """Whether we are root already."""
        return self["uid"] == "0"


@dataclass(frozen=True)
class Step:
    """One command as root. A `start` may be followed by others that are tried where it does not bring the engine up."""

    title: str
    command: str
    start: bool = False


@dataclass(frozen=True)
class InstallPlan:
    """What would be done; empty where an engine is there already."""

    steps: tuple[Step, ...]
    root: bool

    def lines(self) -> tuple[str, ...]:
        """The commands as a person would type them."""
        return tuple(step.command if self.root else f"sudo {step.command}" for step in self.steps)


def look(shell: Shell) -> Facts:
    """Asks the host. Also in a dry run: it changes nothing."""
    result = shell.run(f"sh -c {shlex.quote(ASK)}", hide=True, warn=True, dry=False, pty=False, in_stream=False)
    pairs = (line.partition("=") for line in result.stdout.splitlines())
    facts = Facts({word.strip(): value.strip() for word, equals, value in pairs if equals})
    if not facts["uid"]:
        raise EngineError(_("the host's shell did not answer: {error}").format(error=result.stderr.strip() or "?"), _("try `uname -a` there"))
    return facts


def plan(facts: Facts) -> InstallPlan:
    """What brings an engine up on a host of these facts. Raises EngineError where that is for the person to do."""
    if facts["answers"]:
        return InstallPlan((), facts.root)
    if facts["running"]:
        raise EngineError(
            _("an engine runs (process {pid}) but does not answer {user}").format(pid=facts["running"], user=facts["user"]),
            _("no permission: `sudo usermod -aG docker {user}`, then log in again. Else see {log} or `journalctl -u docker`").format(
                user=facts["user"], log=LOG
            ),
        )
    if facts["kernel"] != "Linux":
        what = _("Docker's engine runs on Linux; this is {kernel}").format(kernel=facts["kernel"])
        raise EngineError(what, _("install Docker Desktop: {docs}").format(docs=DOCS))
    if facts["snap"] and not facts["dockerd"]:
        raise EngineError(_("Docker is installed as a snap and does not run"), "sudo snap start docker")
    steps = () if facts["dockerd"] and facts["docker"] else _packages(facts)
    if not facts.root and not facts["sudo"]:
        raise EngineError(
            _("installing or starting an engine needs root; {user} is not, and there is no sudo").format(user=facts["user"]),
            _("run the same command as root"),
        )
    return InstallPlan((*steps, *_starts(facts)), facts.root)


def _packages(facts: Facts) -> tuple[Step, ...]:
    if not facts.debian:
        raise EngineError(
            _("no Docker engine is installed, and on {name} it is not installed by this course").format(name=facts["name"] or "?"),
            _("install it the official way, {docs}, and run the same command again").format(docs=DOCS),
        )
    apt = f"env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout={LOCKED}"
    # Newer releases have the client in a package of its own. AppArmor's parser is needed where the kernel enforces it.
    wanted = f"{apt} install --yes --no-install-recommends docker.io $(apt-cache --names-only search '^docker-cli$' | cut -d ' ' -f 1)"
    return (
        Step(_("update the package lists"), f"{apt} update"),
        Step(_("install the distribution's Docker"), f"sh -c {shlex.quote(f'{wanted} iptables apparmor ca-certificates')}"),
    )


def _starts(facts: Facts) -> tuple[Step, ...]:
    if facts["systemd"]:
        return (Step(_("start the engine with systemd"), "systemctl start docker", start=True),)
    daemon = f"sh -c 'setsid dockerd >>{LOG} 2>&1 </dev/null &'"
    script = f"sh -c {shlex.quote('test -x /etc/init.d/docker && service docker start')}"
    # Without systemd a package's init script may be there and fail; then the daemon is started by itself.
    named = (Step(_("start the engine with the service command"), script, start=True),) if facts["script"] or not facts["dockerd"] else ()
    return (*named, Step(_("start the engine directly, its log in {log}").format(log=LOG), daemon, start=True))


def carry_out(shell: Shell, todo: InstallPlan, say: Callable[[str], None]) -> None:
    """Does it, and waits until the engine answers. Raises EngineError with the words of what failed."""
    starts = [step for step in todo.steps if step.start]
    for step in todo.steps:
        if step.start:
            # The package's installation may have started it, or an earlier way did.
            if _state(shell, todo.root) == "up":
                return
            say(step.title)
            if _as_root(shell, step.command, todo.root).ok and _await(shell, todo.root, PATIENCE if step is starts[-1] else PATIENCE / 3):
                return
        else:
            say(step.title)
            result = _patiently(shell, step.command, todo.root)
            # An update that fails for one of several sources need not matter: the installation says.
            if not result.ok and not step.command.endswith(" update"):
                raise EngineError(
                    _("`{command}` failed:\n{words}").format(command=step.command, words=_tail(result.stdout + result.stderr)),
                    _("mend that and run the same command again"),
                )
    if starts:
        raise EngineError(
            _("the engine was started but does not answer:\n{log}").format(log=_log(shell, todo.root)),
            _("see {log} or `journalctl -u docker` on that host, and run the same command again").format(log=LOG),
        )


def as_root(command: str, password: str | None) -> tuple[str, str | None]:
    """The command line that does `command` as root, and what it must be given as its input: None without a password."""
    if password is None:
        return f"LC_ALL=C sudo -n {command}", None
    # -k: a remembered password would leave ours to the command's own standard input.
    return f"LC_ALL=C sudo -k -S -p '' {command}", f"{password}\n"


def _as_root(shell: Shell, command: str, root: bool) -> Any:
    """Runs it as root. Not by the shell's own `sudo`: that one waits for ever where the password is wrong and the words come in pieces."""
    line, words = (command, None) if root else as_root(command, shell.config.sudo.password)
    result = shell.run(line, hide=True, warn=True, dry=False, pty=False, in_stream=io.StringIO(words) if words else False)
    if not root and not result.ok and (refusal := REFUSED.search(result.stderr)):
        raise EngineError(
            _("sudo refuses: {words}").format(words=refusal[0].strip()),
            _("`invoke --prompt-for-sudo-password step00-install` asks for the password"),
        )
    return result


def _patiently(shell: Shell, command: str, root: bool) -> Any:
    """Runs apt. Waits for another one that works on the lists: apt's own option waits for dpkg's lock only."""
    deadline = time.monotonic() + LOCKED
    while True:
        result = _as_root(shell, command, root)
        if result.ok or "Could not get lock" not in result.stderr or time.monotonic() > deadline:
            return result
        time.sleep(BEAT)


def _state(shell: Shell, root: bool) -> str:
    """up, starting (the process is there) or gone."""
    command = f"docker -H {SOCKET} version >/dev/null 2>&1 && echo up || {{ grep -qsx dockerd /proc/[0-9]*/comm && echo starting || echo gone; }}"
    return str(_as_root(shell, f"sh -c {shlex.quote(command)}", root).stdout).strip()


def _await(shell: Shell, root: bool, patience: float) -> bool:
    """True when the engine answers; False at the deadline, or when its process has ended."""
    deadline, gone = time.monotonic() + patience, 0
    while (state := _state(shell, root)) != "up":
        gone = gone + 1 if state == "gone" else 0
        # Between fork and exec the process has another name: several looks must agree.
        if time.monotonic() > deadline or gone > 5:
            return False
        time.sleep(BEAT)
    return True


def _log(shell: Shell, root: bool) -> str:
    command = f"tail -n 8 {LOG} 2>/dev/null || journalctl --no-pager -n 8 -u docker 2>/dev/null || true"
    return _tail(str(_as_root(shell, f"sh -c {shlex.quote(command)}", root).stdout))


def _tail(text: str) -> str:
    return "\n".join(f"  | {line}" for line in text.strip().splitlines()[-8:])
