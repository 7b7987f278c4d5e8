"""What every confd of this project must do alike: the real one and the agent in builds/confd/agent, against a real etcd.

Runs on the confd images that are on this engine and on the binaries named in SILVERLINING_TEST_CONFD (colon list)."""

from __future__ import annotations

import io
import os
import tarfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from silverlining.model.images import IMAGE_LABEL

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

NAME = f"test-confd-{os.getpid()}"
RESOURCE = """[template]
src = "x.tmpl"
dest = "/tmp/out"
prefix = "/app"
mode = "0640"
keys = ["/servers"]
check_cmd = "! grep -q bad {{.src}}"
reload_cmd = "cat {{.dest}} >> /tmp/reloads; test ! -e /tmp/refuse"
"""
TEMPLATE = """{{range gets "/servers/*"}}{{base .Key}} {{.Value}}
{{end}}{{if exists "/servers/a"}}{{index (split (getv "/servers/a") ":") 0}} {{getv "/servers/z" "none"}} {{join (getvs "/servers/*") ","}}
{{end}}"""
COMMAND = ["etcd", "--node", f"http://{NAME}-etcd:2379", "--confdir", "/etc/confd", "--log-level", "info"]


class Answer(NamedTuple):
    code: int
    text: str


def tarball(files: dict[str, tuple[bytes, int]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, (data, mode) in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(data), mode
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def taken_out(chunks: Iterable[bytes]) -> tuple[tarfile.TarInfo, bytes]:
    """The one file of an archive that the engine gave."""
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        member = tar.getmembers()[0]
        data = tar.extractfile(member)
        assert data is not None
        return member, data.read()


def run(container: Container, *argv: str) -> Answer:
    code, out = container.exec_run(list(argv))
    assert isinstance(code, int) and isinstance(out, bytes)
    return Answer(code, out.decode())


def becomes(ask: Callable[[], object], wanted: object, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while (seen := ask()) != wanted:
        assert time.monotonic() < deadline, f"expected {wanted!r} within {seconds} s, saw {seen!r}"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def client() -> Iterator[DockerClient]:
    import docker

    client = docker.from_env(version="auto")
    yield client
    client.close()


def image(client: DockerClient, name: str) -> str:
    """The newest image of that name on this engine, or the one that the environment names."""
    if named := os.environ.get(f"SILVERLINING_TEST_IMAGE_{name.upper().replace('-', '_')}"):
        return named
    found = client.api.images(filters={"label": f"{IMAGE_LABEL}={name}"})
    if not found:
        pytest.skip(f"no image {name} on this engine")
    return str(max(found, key=lambda entry: entry["Created"])["Id"])


def binaries(client: DockerClient) -> dict[str, bytes]:
    """Every confd that is there."""
    found = {path: Path(path).read_bytes() for path in os.environ.get("SILVERLINING_TEST_CONFD", "").split(":") if path}
    for entry in client.api.images(filters={"label": f"{IMAGE_LABEL}=confd"}):
        holder = client.api.create_container(entry["Id"], command=["none"])
        try:
            found[entry["Id"]] = taken_out(client.api.get_archive(holder, "/confd")[0])[1]
        finally:
            client.api.remove_container(holder)
    return found


@pytest.fixture(scope="module")
def world(client: DockerClient) -> Iterator[Container]:
    """A network with an etcd on it."""
    network = client.networks.create(NAME)
    etcd = None
    try:
        command = ["etcd", "--data-dir", "/tmp/etcd", "--listen-client-urls", "http://0.0.0.0:2379"]
        command += ["--advertise-client-urls", f"http://{NAME}-etcd:2379"]
        etcd = client.containers.run(image(client, "etcd"), command, name=f"{NAME}-etcd", network=NAME, detach=True)
        yield etcd
    finally:
        if etcd:
            etcd.remove(force=True, v=True)
        network.remove()


class Confd:
    """One confd in a container that has a shell, with the resource above."""

    def __init__(self, client: DockerClient, etcd: Container, binary: bytes) -> None:
        self.client, self.etcd, self.binary = client, etcd, binary
        self.container: Container | None = None

    def start(self, *flags: str) -> Container:
        self.stop()
        self.container = self.client.containers.create(
            image(self.client, "haproxy-confd"), [*COMMAND, *flags], entrypoint=["/confd"], user="99:99", network=NAME, name=f"{NAME}-confd"
        )
        files = {"confd": (self.binary, 0o755), "etc/confd/conf.d/x.toml": (RESOURCE.encode(), 0o644)}
        self.container.put_archive("/", tarball({**files, "etc/confd/templates/x.tmpl": (TEMPLATE.encode(), 0o644)}))
        # The image's own resource would be rendered as well.
        self.container.put_archive("/", tarball({"etc/confd/conf.d/haproxy.toml": (RESOURCE.replace("/tmp/", "/tmp/own-").encode(), 0o644)}))
        self.container.start()
        return self.container

    def stop(self) -> None:
        if self.container:
            self.container.remove(force=True, v=True)
            self.container = None

    def key(self, *argv: str) -> None:
        becomes(lambda: run(self.etcd, "etcdctl", *argv).code, 0)

    def shows(self, name: str = "out") -> str:
        assert self.container is not None
        return run(self.container, "cat", f"/tmp/{name}").text

    def say(self, wanted: str) -> None:
        becomes(self.shows, wanted)


@pytest.fixture(scope="module")
def every(client: DockerClient) -> dict[str, bytes]:
    found = binaries(client)
    if not found:
        pytest.skip("no confd on this engine and none named in SILVERLINING_TEST_CONFD")
    return found


@pytest.fixture(params=["agent", "real"])
def confd(request: pytest.FixtureRequest, client: DockerClient, world: Container, every: dict[str, bytes]) -> Iterator[Confd]:
    # The engine lists the newest image first: of several builds of ours that one counts.
    kinds = {"agent" if b"silverlining agent" in data else "real": data for data in reversed(every.values())}
    if request.param not in kinds:
        pytest.skip(f"this confd is not here: {request.param}")
    confd = Confd(client, world, kinds[request.param])
    confd.key("del", "/app", "--prefix")
    yield confd
    confd.stop()
    world.start()  # nothing happens where it runs


ONE = "a 1:80\n1 none 1:80\n"
TWO = "a 1:80\nb 2:80\n1 none 1:80,2:80\n"


def test_onetime_writes_once_and_ends(confd: Confd) -> None:
    confd.key("put", "/app/servers/b", "2:80")
    confd.key("put", "/app/servers/a", "1:80")
    confd.key("put", "/app/servers2/c", "3:80")
    container = confd.start("--onetime")
    assert container.wait(timeout=30)["StatusCode"] == 0, container.logs().decode()
    member, data = taken_out(container.get_archive("/tmp/out")[0])
    assert (member.mode & 0o777, data.decode()) == (0o640, TWO)


def test_watch_follows_puts_and_deletes_and_reloads_each_time(confd: Confd) -> None:
    confd.key("put", "/app/servers/a", "1:80")
    confd.start("--watch")
    confd.say(ONE)
    confd.key("put", "/app/servers/b", "2:80")
    confd.say(TWO)
    confd.key("del", "/app/servers/b")
    confd.say(ONE)
    becomes(lambda: confd.shows("reloads"), ONE + TWO + ONE)


def test_refused_file_changes_nothing_and_a_good_one_follows(confd: Confd) -> None:
    confd.key("put", "/app/servers/a", "1:80")
    container = confd.start("--watch")
    confd.say(ONE)
    confd.key("put", "/app/servers/b", "bad")
    becomes(lambda: b"check failed" in container.logs(), True)
    assert confd.shows() == ONE
    confd.key("put", "/app/servers/b", "2:80")
    confd.say(TWO)
    becomes(lambda: confd.shows("reloads"), ONE + TWO)
    assert run(container, "sh", "-c", "ls -A /tmp | grep '^.out'").text == "", "a staged file was left behind"


def test_waits_for_an_etcd_that_comes_later(confd: Confd) -> None:
    confd.key("put", "/app/servers/a", "1:80")
    confd.etcd.stop(timeout=5)
    container = confd.start("--watch")
    time.sleep(3)  # long enough to give up, for a confd that would
    container.reload()
    assert container.status == "running", container.logs().decode()
    confd.etcd.start()
    confd.say(ONE)


def test_goes_on_after_an_etcd_that_was_away(confd: Confd) -> None:
    confd.key("put", "/app/servers/a", "1:80")
    confd.start("--watch")
    confd.say(ONE)
    confd.etcd.stop(timeout=5)
    assert confd.shows() == ONE
    confd.etcd.start()
    confd.key("put", "/app/servers/b", "2:80")
    confd.say(TWO)


def test_the_old_command_line_is_refused(confd: Confd) -> None:
    container = confd.start("--backend", "etcdv3")
    assert container.wait(timeout=30)["StatusCode"] != 0


def test_failed_reload_is_tried_again_by_the_agent(confd: Confd) -> None:
    """confd itself takes the file for done; haproxy-reload makes good for that."""
    if b"silverlining agent" not in confd.binary:
        pytest.skip("the real confd tries a reload once")
    confd.key("put", "/app/servers/a", "1:80")
    container = confd.start("--watch")
    confd.say(ONE)
    run(container, "touch", "/tmp/refuse")
    confd.key("put", "/app/servers/b", "2:80")
    becomes(lambda: confd.shows("reloads").startswith(ONE + TWO + TWO), True)
    run(container, "rm", "/tmp/refuse")
    becomes(lambda: b"failed" not in container.logs(tail=1), True)
