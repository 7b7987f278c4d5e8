"""One real SSH host for the tests: a container with sshd and an engine of its own."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from docker import APIClient

from tests.engine.course import until

from .ssh_home import SshHome

USERS = ("root", "deployer", "admin", "admin2", "nobody-else")
PASSWORD = "open-sesame"  # admin's, for sudo
SOCKET = "/run/docker.sock"


def docker(*words: str) -> str:
    """The output of a docker command on this machine's engine."""
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"docker {' '.join(words)}: {done.stderr}"
    return done.stdout.strip()


class RemoteHost:
    """A host. `alias` is its name in ssh_config, `name` its container's, `address` its IP address (of a hidden one
    as `through` sees it).

    Its users (all with the same key) are root; deployer, in the group docker; admin, who may sudo with PASSWORD; admin2, who may without;
    nobody-else, who may nothing. Nothing here goes over SSH: tests look at a host from the side.
    """

    def __init__(self, home: SshHome, name: str, alias: str, through: RemoteHost | None = None) -> None:
        self.home, self.name, self.alias, self.through = home, name, alias, through
        self.address = ""
        self._resolver = ""

    # ---- its life

    def settle(self) -> None:
        """Waits until sshd answers, and writes the host into ~/.ssh. Its engine may take a moment more: `await_engine`."""
        shown = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
        self.address = docker("inspect", "--format", shown, self.name).split()[0]
        if self.through:
            self.through.exec("sh", "-c", f"grep -v ' {self.alias}$' /etc/hosts >/tmp/hosts; echo {self.address} {self.alias} >>/tmp/hosts")
            self.through.exec("sh", "-c", "cat /tmp/hosts >/etc/hosts; rm /tmp/hosts")
            until(lambda: self.exec("cat", "/run/sshd.pid", check=False).isdigit(), f"sshd on {self.alias}")
        else:
            until(self._greets, f"sshd on {self.alias}")
        self._resolve()
        place = self.alias if self.through else self.address
        self.home.add(self.alias, place, self.host_keys(), proxy_jump=self.through.alias if self.through else "")

    def restart(self) -> None:
        """As by pulling the plug: everything in it ends at once, then it starts again with the same disk."""
        docker("kill", self.name)
        docker("start", self.name)
        self.settle()

    def restart_engine(self) -> None:
        """As by an upgrade of Docker: it ends, and its containers with it; then it starts again."""
        self.exec("sh", "-c", "kill $(cat /run/docker.pid); while [ -e /run/docker.pid ]; do sleep 0.1; done")
        self.exec("sh", "-c", "setsid dockerd >>/var/log/dockerd.log 2>&1 </dev/null &")
        self.await_engine()

    def stop(self) -> None:
        """Takes the host away with its disk."""
        docker("rm", "--force", "--volumes", self.name)
        self.home.forget(self.alias)

    def join(self, network: str) -> None:
        """Puts the host into one more network of this machine's engine."""
        self._resolver = self.exec("cat", "/etc/resolv.conf")
        docker("network", "connect", network, self.name)
        self._resolve()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """The host doesn't answer, and closes nothing, while the block runs."""
        docker("pause", self.name)
        try:
            yield
        finally:
            docker("unpause", self.name)

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """Every packet from and to the host vanishes while the block runs, as when a cable is pulled. (Needs iptables there.)"""
        for chain in ("INPUT", "OUTPUT"):
            self.exec("iptables", "-I", chain, "!", "-i" if chain == "INPUT" else "-o", "lo", "-j", "DROP")
        try:
            yield
        finally:
            for chain in ("INPUT", "OUTPUT"):
                self.exec("iptables", "-D", chain, "!", "-i" if chain == "INPUT" else "-o", "lo", "-j", "DROP")

    # ---- what is in it

    def exec(self, *argv: str, user: str = "root", check: bool = True, text: str = "") -> str:
        """The output of a program on the host, which gets `text` on its standard input. It must succeed unless `check` is False."""
        line = ["docker", "exec", "--interactive", "--user", user, self.name, *argv]
        done = subprocess.run(line, input=text, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0 or not check, f"{self.alias}: {' '.join(argv)}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        return (done.stdout if check else done.stdout + done.stderr).strip()

    def write(self, path: str, text: str) -> None:
        """Puts a file there."""
        self.exec("sh", "-c", 'cat >"$1"', "write", path, text=text.rstrip("\n") + "\n")

    def docker(self, *words: str) -> str:
        """The output of a docker command on the host's own engine."""
        return self.exec("docker", *words)

    def client(self) -> APIClient:
        """A client of the host's own engine, past SSH: its socket as this machine's kernel sees it. Needs root here."""
        pid = docker("inspect", "--format", "{{.State.Pid}}", self.name)
        return APIClient(f"unix:///proc/{pid}/root{SOCKET}", version="auto", timeout=120, max_pool_size=32)

    def await_engine(self, seconds: float = 60) -> None:
        """Waits until the host's engine answers. Raises AssertionError with its log."""

        def answers() -> bool:
            return subprocess.run(["docker", "exec", self.name, "docker", "version"], capture_output=True, check=False).returncode == 0

        try:
            until(answers, f"the engine of {self.alias}", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.exec('tail', '-n', '20', '/var/log/dockerd.log', check=False)}") from None

    def host_keys(self) -> list[str]:
        """Type and key of each of sshd's host keys, as in known_hosts."""
        lines = self.exec("sh", "-c", "cat /etc/ssh/ssh_host_*_key.pub").splitlines()
        return [" ".join(line.split()[:2]) for line in lines]

    def new_host_keys(self) -> None:
        """The host shows other keys from now on, as after a new installation; ~/.ssh still knows the old ones."""
        self.exec("sh", "-c", "cd /etc/ssh; for k in ed25519 ecdsa; do rm ssh_host_${k}_key*; ssh-keygen -q -t $k -N '' -f ssh_host_${k}_key; done")
        self._reload()

    @contextmanager
    def sshd(self, *lines: str) -> Iterator[None]:
        """sshd has these further lines of configuration while the block runs; connections that stand keep what they had."""
        self.write("/etc/ssh/sshd_config.d/test.conf", "\n".join(lines))
        try:
            self._reload()
            yield
        finally:
            self.exec("rm", "-f", "/etc/ssh/sshd_config.d/test.conf")
            self._reload()

    def sessions(self) -> list[int]:
        """The processes that serve SSH connections, two for each (while somebody logs in, more); not what runs in them."""
        listener = int(self.exec("cat", "/run/sshd.pid"))
        found = self.exec("pgrep", "--exact", "sshd|sshd-session|sshd-auth").split()
        return [pid for pid in map(int, found) if pid != listener]

    def drop_sessions(self) -> int:
        """Kills what serves the SSH connections that stand now, and leaves what was run by them; gives the number of processes."""
        found = self.sessions()
        if found:
            self.exec("kill", "-9", *map(str, found), check=False)
        return len(found)

    def _resolve(self) -> None:
        """In a second network Docker puts its own resolver on the loopback address, where the host's own containers can't reach it."""
        if self._resolver:
            self.write("/etc/resolv.conf", self._resolver)

    def _reload(self) -> None:
        """sshd reads its configuration; it listens anew at once, under the same process."""
        self.exec("/usr/sbin/sshd", "-t")
        before = self.exec("sh", "-c", "grep -c 'Server listening' /var/log/sshd.log")
        self.exec("sh", "-c", "kill -HUP $(cat /run/sshd.pid)")
        until(lambda: self.exec("sh", "-c", "grep -c 'Server listening' /var/log/sshd.log") != before, f"sshd of {self.alias} listening again")

    def _greets(self) -> bool:
        try:
            with socket.create_connection((self.address, 22), timeout=2) as link:
                return link.recv(4) == b"SSH-"
        except OSError:
            return False
