"""The harness of the engine tests: a checkout whose tasks are run as a user runs them, on the real engine, with a stack of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from docker import APIClient
from docker.errors import APIError

from .load import Load, get

ROOT = Path(__file__).parents[2]
LABEL = "io.silverlining.stack"
PARTS = ("app", "builds", "conf", "docs", "silverlining", "steps", "tasks.py", "fabfile.py", "invoke", "fab", "pyproject.toml", "requirements.txt")


# A machine that is shared may be several times slower than one of our own; a wait that ends well takes no longer for it.
PATIENCE = 3


def until(true: Callable[[], Any], what: str, seconds: float = 60, beat: float = 0.1) -> Any:
    """Waits until `true()` is, and gives what it gave. `seconds` are what it may take on a machine that has nothing else to do."""
    end = time.monotonic() + seconds * PATIENCE
    while not (value := true()):
        assert time.monotonic() < end, f"waited {seconds * PATIENCE:g} s for: {what}"
        time.sleep(beat)
    return value


def copy_checkout(target: Path) -> Path:
    """A copy of the checkout: what is edited or written there leaves the repository alone, and a user's own settings don't come along."""
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, target / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target / part)
    return target


@contextmanager
def own_stack(client: APIClient, stack: str, base: int, number: int) -> Iterator[Course]:
    """A stack of a module's own, clean before and after: ports `base` + 1 to 5, subnet 10.99.`number`.0/24."""
    one = Course(client, stack, base, number)
    one.clean()
    try:
        yield one
    finally:
        one.clean()


class Course:
    """A checkout and a stack. Ports are `base` + 1 to 5, the subnet is 10.99.`number`.0/24."""

    def __init__(self, client: APIClient, stack: str = "sl-test", base: int = 8100, number: int = 19, checkout: Path = ROOT) -> None:
        self.client, self.stack, self.base, self.checkout = client, stack, base, checkout
        self.ports = {name: base + n for n, name in enumerate(("web", "app", "stats", "etcd", "netdata"), 1)}
        self.subnet = f"10.99.{number}.0/24"
        self.settings: dict[str, str] = {
            "SILVERLINING_STACK": stack,
            "SILVERLINING_NETWORK_SUBNET": self.subnet,
            "SILVERLINING_DEADLINE": str(90 * PATIENCE),
            **{f"SILVERLINING_PORTS_{name.upper()}": str(port) for name, port in self.ports.items()},
        }

    def edit(self, path: str, old: str, new: str) -> None:
        """Changes a file of the checkout, which must be a copy."""
        assert self.checkout != ROOT, "only a copy may be edited"
        file = self.checkout / path
        text = file.read_text()
        assert old in text, f"{path} has no {old!r}"
        file.write_text(text.replace(old, new, 1))

    # ---- what a user does

    def environment(self, **more: str) -> dict[str, str]:
        """The variables that a task gets: ours, and none that somebody set outside."""
        # A terminal's size is the terminal's. pytest loads readline, which writes these for every process that is started from there.
        own = {key: value for key, value in os.environ.items() if not key.startswith("SILVERLINING_") and key not in ("COLUMNS", "LINES")}
        return own | {"NO_COLOR": "1"} | self.settings | more

    def line(self, *words: str) -> list[str]:
        """The command line of a task."""
        return [sys.executable, "-m", "invoke", *words]

    def invoke(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """The task of these words, in a pipe, with no terminal."""
        return subprocess.run(
            self.line(*words),
            cwd=self.checkout,
            env=self.environment(**more),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    def run(self, *words: str, **more: str) -> str:
        """The output of a task that must succeed."""
        done = self.invoke(*words, **more)
        assert done.returncode == 0, f"invoke {' '.join(words)}: exit code {done.returncode}\n{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def fails(self, *words: str, code: int = 1, **more: str) -> str:
        """Output and errors of a task that must fail as people are told: by a message, never by a traceback."""
        done = self.invoke(*words, **more)
        text = done.stdout + done.stderr
        assert done.returncode == code, f"invoke {' '.join(words)}: exit code {done.returncode}, not {code}\n{text[-6000:]}"
        assert "Traceback" not in text, text[-6000:]
        return text

    def json(self, *words: str) -> Any:
        """What a task says with --json; standard output holds nothing else."""
        return json.loads(self.run(*words, "--json"))

    def checks(self, *words: str, **more: str) -> dict[str, dict[str, Any]]:
        """Every check's result by its name, good or not."""
        done = self.invoke("check", "--json", *words, **more)
        data = json.loads(done.stdout)
        assert done.returncode == (0 if data["ok"] else 1), done.stderr
        return {one["name"]: one for one in data["checks"]}

    def must_be_green(self) -> None:
        """Every check of the step that stands is good."""
        bad = [one for one in self.checks().values() if not one["ok"]]
        assert not bad, bad

    def must_be_at(self, step: str) -> None:
        """The host is at exactly this step."""
        status = self.json("status")
        assert (status["step"], status["exact"]) == (step, True), (status["step"], status["differences"])

    def must_stand(self, step: str) -> None:
        """Both of these, by one command: the host is at exactly this step, and every check of it is good."""
        done = self.invoke("status", "--json", "check", "--json")
        status, end = json.JSONDecoder().raw_decode(done.stdout)
        assert (status["step"], status["exact"]) == (step, True), (status["step"], status["differences"])
        bad = [one for one in json.loads(done.stdout[end:])["checks"] if not one["ok"]]
        assert not bad and done.returncode == 0, (bad, done.stderr)

    def must_stand_still(self, *words: str) -> str:
        """A task that says that there is nothing to do, and leaves everything as it is: no container is restarted either."""
        before = self.snapshot()
        text = self.run(*words)
        assert "nothing to do" in text, text[-3000:]
        assert self.snapshot() == before
        return text

    # ---- what stands

    def mine(self, **filters: str) -> list[dict[str, Any]]:
        """The stack's containers as the engine lists them; helpers are not among them."""
        listed = self.client.containers(all=True, filters={"label": f"{LABEL}={self.stack}"})
        return [entry for entry in listed if "io.silverlining.service" in entry["Labels"]]

    def ids(self) -> dict[str, str]:
        """Container IDs by name."""
        return {entry["Names"][0].lstrip("/"): entry["Id"] for entry in self.mine()}

    def networks(self) -> dict[str, str]:
        """The stack's networks: IDs by name."""
        return {entry["Name"]: entry["Id"] for entry in self.client.networks(filters={"label": f"{LABEL}={self.stack}"})}

    def volumes(self) -> dict[str, str]:
        """The stack's named volumes: time of creation by name."""
        listed = self.client.volumes(filters={"label": f"{LABEL}={self.stack}"})["Volumes"] or []
        return {entry["Name"]: entry["CreatedAt"] for entry in listed}

    def snapshot(self) -> tuple[dict[str, str], dict[str, str], dict[str, str], dict[str, str]]:
        """Everything that a command which changes nothing must leave equal."""
        starts = {name: self.client.inspect_container(name)["State"]["StartedAt"] for name in self.ids()}
        return self.ids(), starts, self.networks(), self.volumes()

    def changed(self, before: dict[str, str]) -> set[str]:
        """The containers that are new, gone or made anew since `before` (as ids() gave it)."""
        after = self.ids()
        return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}

    def name(self, service: str, index: int = 1) -> str:
        """A container's name."""
        return f"{self.stack}-{service}-{index}"

    def ask(self, container: str, *argv: str) -> str:
        """The output of a program inside a container; it must succeed."""
        text, code = self.tell(container, *argv)
        assert code == 0, f"{container}: {' '.join(argv)}: {code}: {text}"
        return text

    def tell(self, container: str, *argv: str) -> tuple[str, int]:
        """The output and exit code of a program inside a container."""
        made = self.client.exec_create(container, list(argv))
        text = self.client.exec_start(made["Id"]).decode(errors="replace").strip()
        return text, self.client.exec_inspect(made["Id"])["ExitCode"]

    def count(self) -> int:
        """The counter, read and not raised; -1 without a Redis that is master."""
        for name in sorted(self.ids()):
            if "-redis-" in name and self.client.inspect_container(name)["State"]["Status"] == "running":
                text, code = self.tell(name, "redis-ask", "info", "replication")
                if code == 0 and "role:master" in text:
                    return int(self.ask(name, "redis-ask", "get", "count") or 0)
        return -1

    def master(self) -> str:
        """The container that is the Redis master now."""
        found: str = self.json("status")["master"]
        return found

    def fail_over(self) -> str:
        """The Sentinels elect another master; gives its name when all agree and the old one follows."""
        before = self.master()
        sentinel = self.name("sentinel")

        def asked() -> bool:
            text, _code = self.tell(sentinel, "redis-ask", "-p", "26379", "sentinel", "failover", "master")
            return text == "OK"

        def settled() -> str:
            now = self.master()
            return now if now not in ("", before) and all(one["ok"] for one in self.checks().values()) else ""

        until(asked, "the Sentinels take the order to fail over")
        return str(until(settled, "another master, all checks good", 90, 0.5))

    def sentinel_views(self) -> list[dict[str, str]]:
        """What each Sentinel knows of the master."""
        answers = [self.ask(name, "redis-ask", "-p", "26379", "sentinel", "master", "master") for name in self.ids() if "-sentinel-" in name]
        return [dict(zip(lines[::2], lines[1::2], strict=False)) for lines in map(str.splitlines, answers)]

    def sentinel_counts(self) -> set[tuple[str, str]]:
        """(num-slaves, num-other-sentinels) as each Sentinel has them."""
        return {(view["num-slaves"], view["num-other-sentinels"]) for view in self.sentinel_views()}

    @property
    def entry(self) -> tuple[str, int]:
        """Address and port that serve now: HAProxy's, the app's in steps 02 to 05, or the virtual address of step06-lvs."""
        published = {port.get("PublicPort") for entry in self.mine() for port in entry.get("Ports") or []}
        for name in ("web", "app"):
            if self.ports[name] in published:
                return "127.0.0.1", self.ports[name]
        return self.subnet.replace(".0/24", ".9"), 8000

    def hit(self) -> int:
        """The number that one hit is answered with."""
        address, port = self.entry
        status, text = get(port, "/", address)
        assert status == 200 and text.isdigit(), f"{status} {text[:300]}"
        return int(text)

    def load(self, path: str = "/", **more: Any) -> Load:
        """Clients that ask while the block runs."""
        return Load(self.ports["web"], path, **more)

    # ---- before and after

    def clean(self) -> None:
        """Takes the stack away with its data: as a user does, then whatever a test has left that a user could not have."""
        self.invoke("teardown", "--yes", "--volumes")
        listed = self.client.containers(all=True, filters={"label": f"{LABEL}={self.stack}"})
        for entry in listed:
            self.client.remove_container(entry["Id"], force=True, v=True)
        for network in self.networks().values():
            try:
                self.client.remove_network(network)
            except APIError:
                # An engine that has miscounted its endpoints (moby issue 17217) keeps it until it is restarted; the next run uses it.
                if self.client.inspect_network(network)["Containers"]:
                    raise
        for name in self.volumes():
            self.client.remove_volume(name, force=True)


class Run:
    """A task under way whose output can be read meanwhile. It goes to a file: a pipe could fill up."""

    def __init__(self, course: Course, log: Path, *words: str, **more: str) -> None:
        self.log = log
        with log.open("w") as file:
            self.process = subprocess.Popen(
                course.line(*words),
                cwd=course.checkout,
                env=course.environment(PYTHONUNBUFFERED="1", **more),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def text(self) -> str:
        """What it has said until now."""
        return self.log.read_text()

    def says(self, *words: str, seconds: float = 90) -> None:
        """Waits until all these words are in the output."""

        def there() -> bool:
            assert self.process.poll() is None or all(word in self.text for word in words), self.text
            return all(word in self.text for word in words)

        until(there, f"{words}", seconds, 0.02)

    def signal(self, number: int) -> None:
        """Sends a signal to the task alone."""
        self.process.send_signal(number)

    def end(self, number: int, seconds: float = 40) -> str:
        """Sends a signal to the task alone, and gives its output when it has ended."""
        self.signal(number)
        self.process.wait(seconds * PATIENCE)
        return self.text

    def fails(self, seconds: float) -> str:
        """Waits for its end, which must come within `seconds` and be told as to a person; gives the output."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"still there after {seconds:g} s:\n{self.text}") from None
        assert code == 1 and "Traceback" not in self.text, f"exit code {code}\n{self.text}"
        return self.text
