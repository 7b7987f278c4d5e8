"""The whole stack on another host: by the same commands as here, with nothing of it on this machine."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.request import urlopen

import pexpect
import pytest

from tests.engine.course import until

from .course import RemoteCourse, nothing_here
from .hosts import PASSWORD, RemoteHost
from .site import Site

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
LOOPBACK = ("stats", "etcd", "netdata")
PROMPT = r"[#$] $"


@pytest.fixture(scope="module")
def course(shop1: RemoteCourse, site: Site) -> Iterator[RemoteCourse]:
    """The stack on Docker 26.1, deployed and taken away in a time in which this machine's engine hears nothing of it."""
    shop1.clean()
    with nothing_here(site.engine):
        said = shop1.run("deploy-all", "--yes")
        assert f"http://{shop1.host.address}:{shop1.ports['web']}/" in said, said[-1500:]
        yield shop1
        shop1.clean()
    assert not shop1.mine() and not shop1.networks() and not shop1.volumes()


def reached(address: str, port: int) -> bool:
    """Whether something takes a connection there."""
    try:
        with socket.create_connection((address, port), timeout=2):
            return True
    except OSError:
        return False


def test_it_stands_and_serves_where_the_user_is(course: RemoteCourse) -> None:
    """Everything is healthy, and the web port answers at the host's address."""
    course.must_stand("step08-netdata")
    first = course.hit()
    assert course.hit() == first + 1


def test_only_the_web_port_is_open_to_others(course: RemoteCourse) -> None:
    """What is meant for the host itself is checked through the connection, and is not to be had from here."""
    listening = course.host.exec("ss", "-Hltn")
    for name in LOOPBACK:
        assert f"127.0.0.1:{course.ports[name]}" in listening and not reached(course.host.address, course.ports[name])
    assert reached(course.host.address, course.ports["web"])
    assert course.checks()["haproxy"]["ok"] and course.checks()["netdata"]["ok"]


def test_again_there_is_nothing_to_do(course: RemoteCourse) -> None:
    """The second run changes nothing, whoever asks: root, a member of the group docker, or a sudo user. Each logs in once."""
    for one in (course, course.as_user("deployer"), course.as_user("admin2")):
        before = logins(course.host)
        one.must_stand_still("deploy-all")
        assert logins(course.host) == before + 1
    assert way(course.as_user("deployer")) == f"{course.host.address}: the socket forwarded by SSH"


def logins(host: RemoteHost) -> int:
    """How often somebody has logged in there."""
    return int(host.exec("grep", "--count", "Accepted publickey", "/var/log/sshd.log"))


def way(course: RemoteCourse) -> str:
    """How the engine is reached, as `doctor` tells it."""
    return str(next(fact["seen"] for fact in course.json("doctor")["facts"] if fact["name"] == "way"))


def test_a_dry_run_and_status_as_here(course: RemoteCourse) -> None:
    """A dry run of another step shows the commands and does none of them; status tells the same as the engine."""
    before = course.snapshot()
    assert "docker rm" in course.run("step03-redis", "--dry")
    assert course.snapshot() == before
    assert {one["container"] for one in course.json("status")["containers"]} == set(course.ids())


def test_a_port_of_the_hosts_own_is_carried_here(course: RemoteCourse) -> None:
    """`open netdata` prints an address that answers here as long as it runs; Ctrl-C ends it well."""
    must_open_netdata(course.as_user("deployer"))


def must_open_netdata(course: RemoteCourse) -> None:
    """Its page is to be had here, as long as `open` runs."""
    opened = course.spawn("open", "netdata")
    opened.expect(r"http://localhost:(\d+)/", timeout=60)
    port = int(opened.match[1])
    with urlopen(f"http://localhost:{port}/api/v1/info", timeout=10) as answer:
        assert b"version" in answer.read()
    opened.sendintr()
    opened.expect(pexpect.EOF, timeout=60)
    opened.close()
    assert opened.exitstatus == 0, opened.before
    assert not reached("127.0.0.1", port)


def test_logs_and_a_shell_as_here(course: RemoteCourse) -> None:
    """The lines of all containers of a service, and a shell inside one of them on the person's own terminal; also by sudo."""
    course.hit()
    for one in (course, course.as_user("admin2")):
        assert "ping-app-2" in one.run("logs", "--service", "ping-app")
        inside = one.spawn("shell", "ping-app", "--index", "2")
        # What is typed before the shell listens it does not get.
        inside.expect(PROMPT, timeout=60)
        inside.sendline("echo here-is-$(hostname); exit 0")
        inside.expect(f"here-is-{course.name('ping-app', 2)}", timeout=60)
        inside.expect(pexpect.EOF, timeout=60)
        inside.close()
        assert inside.exitstatus == 0, inside.before


def test_what_is_broken_is_mended(course: RemoteCourse) -> None:
    """A container that was taken away comes back, and nothing else changes: also by a sudo user."""
    before = course.ids()
    name = course.name("ping-app", 2)
    course.client.remove_container(name, force=True)
    course.as_user("admin2").run("deploy-all", "--yes")
    assert course.changed(before) == {name}
    course.must_be_green()


def test_after_a_restart_of_the_engine_everything_comes_back(course: RemoteCourse) -> None:
    """Without any task: the same containers, registered again, the checks green, and the number goes on."""
    number, before = course.hit(), course.ids()
    keys = course.ask(course.name("etcd"), "etcdctl", "get", "--prefix", "/app/servers/")
    course.host.restart_engine()
    until(lambda: all(one["ok"] for one in course.checks().values()), "every check is good again", 90, 0.5)
    assert course.ids() == before and course.hit() == number + 1
    assert course.ask(course.name("etcd"), "etcdctl", "get", "--prefix", "/app/servers/") == keys and keys.count("app") == 6
    course.must_stand_still("deploy-all")


def test_where_sshd_forwards_no_socket(course: RemoteCourse) -> None:
    """Then the engine is reached by `docker system dial-stdio` on the same connection: as root, a member of the group docker, a sudo user."""
    with course.host.sshd("AllowStreamLocalForwarding no"):
        for one in (course, course.as_user("deployer"), course.as_user("admin2")):
            assert "dial-stdio" in one.must_stand_still("deploy-all")
        assert way(course.as_user("deployer")) == f"{course.host.address}: docker system dial-stdio"
        name = course.name("ping-app", 1)
        course.client.remove_container(name, force=True)
        course.as_user("deployer").run("deploy-all", "--yes")
        course.as_user("admin2").must_be_green()


def test_where_sshd_forwards_nothing_at_all(course: RemoteCourse) -> None:
    """Ports of the host's loopback are reached as well: for the checks, and for whoever opens one."""
    with course.host.sshd("DisableForwarding yes"):
        one = course.as_user("deployer")
        assert "dial-stdio" in one.must_stand_still("deploy-all")
        one.must_be_green()
        must_open_netdata(one)
    until(lambda: not course.host.sessions(), "no connection stands")
    assert "/dev/tcp" not in course.host.exec("ps", "ax", "-o", "args")


def test_a_sudo_user_who_gives_a_password(course: RemoteCourse) -> None:
    """`--prompt-for-sudo-password` asks once, and what needs no password stays as it is; without it, or with a wrong one, the error says so."""
    admin = course.as_user("admin")
    assert "--prompt-for-sudo-password" in admin.fails("deploy-all")
    for given, wanted in ((PASSWORD, "nothing to do"), ("wrong", "sudo")):
        asking = course.as_user("admin", "--prompt-for-sudo-password").spawn("deploy-all")
        asking.expect("[Pp]assword")
        asking.sendline(given)
        text = asking.read()
        asking.close()
        assert wanted in text and "Traceback" not in text, text
        assert given not in text and asking.exitstatus == (0 if given == PASSWORD else 1)


def test_who_may_not_use_the_engine(course: RemoteCourse) -> None:
    """Neither in the group nor a sudo user: the error names both."""
    text = course.as_user("nobody-else").fails("deploy-all")
    assert "docker" in text and "nobody-else" in text, text


def test_teardown_and_back_with_the_data(course: RemoteCourse) -> None:
    """Everything goes but the volumes; the counter goes on."""
    count = course.hit()
    volumes = course.volumes()
    course.run("teardown", "--yes")
    assert not course.mine() and not course.networks() and course.volumes() == volumes
    course.run("deploy-all", "--yes")
    assert course.hit() > count
    must_have_left_nothing(course)


def test_on_docker_20_10(shop2: RemoteCourse) -> None:
    """The same on an engine that is two years older, both ways to it; Compose is none of the host's there, and runs in a container."""
    shop2.run("deploy-all", "--yes")
    shop2.must_stand("step08-netdata")
    shop2.hit()
    shop2.as_user("deployer").must_stand_still("deploy-all")
    with shop2.host.sshd("AllowStreamLocalForwarding no"):
        assert "dial-stdio" in shop2.as_user("admin2").must_stand_still("deploy-all")
    number = shop2.hit()
    said = shop2.as_user("deployer").run("step09-compose", "--yes", "--quick")
    assert "in a container" in said and "warn" not in said.lower(), said
    shop2.must_stand("step09-compose")
    assert shop2.hit() > number
    shop2.clean()
    assert not shop2.mine() and not shop2.volumes()


def must_have_left_nothing(course: RemoteCourse) -> None:
    """No process of ours runs on the host when no task does, no file of ours is there, no lock is held."""
    host = course.host
    until(lambda: not host.sessions(), "no connection stands")
    assert "dial-stdio" not in host.exec("ps", "ax", "-o", "args")
    assert not files(host), files(host)
    assert not course.client.containers(all=True, filters={"name": f"{course.stack}-lock"})


def files(host: RemoteHost) -> str:
    """What was put somewhere where people's and programs' files are, beside what the host had from its beginning."""
    places = ("/tmp", "/var/tmp", "/root", "/home", "/run/user", "/dev/shm")
    known = (".ssh/*", ".sudo_as_admin_successful", "runc-process*")  # of the tests, of sudo, and of a health check that is under way
    line = " ".join(f"! -path '*/{name}'" for name in known)
    ours = r"\( ! -type d -o -name 'silverlining-*' -o -name 'tmp.*' \)"
    return host.exec("sh", "-c", f"find {' '.join(places)} -mindepth 1 -newer /etc/ssh/ssh_host_ed25519_key {ours} {line} 2>/dev/null || true")
