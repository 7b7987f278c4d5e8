"""Installing a Docker engine for real: in a bare Debian container that may do what an engine needs (Docker in Docker)."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from docker import APIClient

from silverlining.host import install
from silverlining.host.images import ImageStore
from silverlining.model import settings
from silverlining.model.errors import EngineError

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
ROOT = Path(__file__).parents[2]

CAPABILITIES = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW"
    " SYS_CHROOT SYS_PTRACE SYS_ADMIN SYS_NICE MKNOD AUDIT_WRITE SETFCAP SYSLOG"
)
RIGHTS = (
    *(f"--cap-add={capability}" for capability in CAPABILITIES.split()),
    *(f"--security-opt={option}=unconfined" for option in ("seccomp", "apparmor", "systempaths")),
    "--device-cgroup-rule=a *:* rwm",
    "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw",
    "--cgroupns=host",
    "--volume=/var/lib/docker",
)


class Machine:
    """A container that stands for a host, with the shell that Invoke or Fabric would give."""

    def __init__(self, image: str, *rights: str, user: str = "") -> None:
        self.name = f"try-install-{uuid.uuid4().hex[:8]}"
        self.user = user
        self.said: list[str] = []
        self.config = SimpleNamespace(sudo=SimpleNamespace(password=None))
        docker("run", "--detach", "--init", "--name", self.name, *rights, image, "sleep", "infinity")

    def run(self, command: str, in_stream: Any = False, **_options: Any) -> SimpleNamespace:
        """As the person that this machine was made for."""
        return self._run(command, self.user, in_stream.read() if in_stream else "")

    def root(self, command: str) -> str:
        """The output of a command as root, which must succeed."""
        result = self._run(command, "")
        assert result.ok, result.stdout + result.stderr
        return str(result.stdout).strip()

    def bring_up(self) -> None:
        """What step00 does."""
        install.carry_out(self, install.plan(install.look(self)), self.said.append)

    def remove(self) -> None:
        """Takes it away with its volume."""
        subprocess.run(["docker", "rm", "--force", "--volumes", self.name], check=False, capture_output=True)

    def _run(self, command: str, user: str, words: str = "") -> SimpleNamespace:
        line = ["docker", "exec", "--interactive", *(("--user", user) if user else ()), self.name, "bash", "-c", command]
        done = subprocess.run(line, input=words, capture_output=True, text=True, check=False, timeout=300)
        return SimpleNamespace(stdout=done.stdout, stderr=done.stderr, ok=done.returncode == 0)


def docker(*words: str) -> str:
    """The output of a docker command on this machine's engine."""
    return subprocess.run(["docker", *words], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def base() -> str:
    """The reference of a bare Debian."""
    wanted = settings.load(yaml.safe_load((ROOT / "docs" / "silverlining.example.yaml").read_text()))
    return ImageStore(APIClient(os.environ.get("DOCKER_HOST"), version="auto"), ROOT, wanted, {}).resolve(["debian"])["debian"].reference


@pytest.fixture(scope="module")
def machine(base: str) -> Iterator[Machine]:
    """A host that may run an engine; the tests of this module use it one after the other, in their order."""
    made = Machine(base, *RIGHTS)
    yield made
    made.remove()


@pytest.fixture
def ann(machine: Machine) -> Iterator[Machine]:
    """The same host in the eyes of somebody without rights."""
    machine.root("id ann 2>/dev/null || useradd --create-home ann")
    machine.user = "ann"
    yield machine
    machine.user = ""


def stop_engine(machine: Machine) -> None:
    """Ends the engine and waits for its end."""
    machine.root("kill $(cat /var/run/docker.pid); while grep -qsx dockerd /proc/[0-9]*/comm; do sleep 0.1; done")


def test_without_rights_nothing_is_installed(ann: Machine) -> None:
    """No root and no sudo: an error that says so, before anything is done."""
    with pytest.raises(EngineError, match="ann is not, and there is no sudo"):
        ann.bring_up()


def test_from_a_bare_host(machine: Machine) -> None:
    """The distribution's packages, then the engine by itself, since nothing here manages services; it answers, and is then left alone."""
    machine.bring_up()
    assert machine.root("docker version --format '{{.Server.Version}}'")
    assert machine.said[:2] == ["update the package lists", "install the distribution's Docker"]
    facts = install.look(machine)
    assert facts["answers"] == "yes" and install.plan(facts).steps == ()
    machine.root("docker network inspect bridge")


def test_no_permission_on_the_socket(ann: Machine) -> None:
    """The engine is there, but not for everybody: nothing is started, and the group is named."""
    facts = install.look(ann)
    assert not facts["answers"] and facts["running"]
    with pytest.raises(EngineError, match=r"does not answer ann\n.*usermod -aG docker ann"):
        ann.bring_up()


def test_stopped_and_started_by_its_script(machine: Machine) -> None:
    """An engine that is installed is started with the service command where the script works. (Here it must not raise limits.)"""
    stop_engine(machine)
    machine.root("sed -i 's/^[[:space:]]*ulimit/true/' /etc/init.d/docker")
    machine.said.clear()
    machine.bring_up()
    assert machine.said == ["start the engine with the service command"]
    assert install.look(machine)["answers"]


def test_by_sudo(ann: Machine) -> None:
    """Somebody with sudo starts it, given the right password, and still can't use its socket without the group."""
    stop_engine(ann)
    ann.root("command -v sudo || apt-get install --yes --no-install-recommends sudo")
    for password in (None, "wrong"):
        ann.config.sudo.password = password
        with pytest.raises(EngineError, match=r"sudo refuses: .*password"):
            ann.bring_up()
    # An engine 29 with runc 1.5 gives `docker exec` the umask 0000, and sudo reads no file that everybody may write.
    ann.root("echo ann:open-sesame | chpasswd; echo 'ann ALL=(ALL) ALL' >/etc/sudoers.d/ann; chmod 440 /etc/sudoers.d/ann")
    for password in (None, "wrong"):
        ann.config.sudo.password = password
        with pytest.raises(EngineError, match=r"sudo refuses: .*password"):
            ann.bring_up()
    ann.config.sudo.password = "open-sesame"
    ann.bring_up()
    assert install.look(ann)["running"] and not install.look(ann)["answers"]
    stop_engine(ann)
    ann.root("echo 'ann ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/ann")
    ann.config.sudo.password = None
    ann.bring_up()
    ann.root("gpasswd --add ann docker && su ann -c 'docker version'")


def test_an_engine_that_ends_at_once(machine: Machine) -> None:
    """Without iptables the engine ends: the error carries the last lines of its log."""
    stop_engine(machine)
    machine.root("rm -f /etc/init.d/docker; mkdir /away; mv /usr/sbin/iptables /away/")
    with pytest.raises(EngineError, match=r"(?s)does not answer.*\| .*iptables"):
        machine.bring_up()
    machine.root("mv /away/iptables /usr/sbin/")
    machine.bring_up()


def test_waits_for_another_apt(machine: Machine) -> None:
    """Another apt that holds the lists is waited for."""
    hold = "import fcntl, time; f = open('/var/lib/apt/lists/lock', 'w'); fcntl.lockf(f, fcntl.LOCK_EX); print('held', flush=True); time.sleep(3)"
    machine.root("command -v python3 || apt-get install --yes --no-install-recommends python3-minimal")
    line = ["docker", "exec", machine.name, "python3", "-c", hold]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout and other.stdout.readline() == "held\n"
        assert not machine.run("apt-get update").ok
        assert install._patiently(machine, "apt-get update", True).ok
        other.wait(30)


def test_elsewhere_the_official_way(machine: Machine) -> None:
    """On another distribution nothing is done."""
    stop_engine(machine)
    machine.root("apt-get purge --yes docker.io; printf 'ID=arch\\nPRETTY_NAME=Arch\\n' >/etc/os-release")
    with pytest.raises(EngineError, match=r"on Arch it is not installed.*\n.*docs.docker.com"):
        machine.bring_up()
