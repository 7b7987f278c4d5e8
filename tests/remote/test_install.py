"""From a host with nothing but sshd to the whole stack: Docker from its packages, and the images from this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.engine.test_live import command_lines

from .course import RemoteCourse, nothing_here
from .hosts import PASSWORD, RemoteHost
from .site import Site

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def fresh(site: Site) -> Iterator[RemoteHost]:
    """A host of its own for each test."""
    host = site.start("fresh", "bare")
    yield host
    host.stop()


def test_a_member_of_no_group_installs_nothing(fresh: RemoteHost) -> None:
    """Neither root nor a sudo user: told so, with nothing done."""
    text = RemoteCourse(fresh).as_user("nobody-else").fails("step00-install")
    assert "sudo refuses" in text and "nobody-else@fresh" in text, text
    assert not fresh.exec("sh", "-c", "command -v docker || true")


def test_deploy_all_by_a_sudo_user(fresh: RemoteHost, site: Site) -> None:
    """One command and the password: installs Docker, gets the images, and ends with the stack healthy; nothing of it on this machine.

    Neither the password nor what was generated for the stack is in a command line there at any time, nor in what is said.
    """
    course = RemoteCourse(fresh)
    with nothing_here(site.engine):
        asking = course.as_user("admin", "--prompt-for-sudo-password").spawn("deploy-all", "--yes")
        asking.expect("[Pp]assword")
        asking.sendline(PASSWORD)
        with command_lines() as seen:
            text = asking.read()
        asking.close()
        assert asking.exitstatus == 0 and "install the distribution's Docker" in text, text
        course.must_stand("step08-netdata")
        course.hit()
        course.must_stand_still("deploy-all")
        made = [course.ask(course.name("redis-master"), "cat", f"/secrets/{name}").strip() for name in ("redis-password", "django-secret-key")]
        assert any(b"dial-stdio" in line for line in seen) and any(b"redis-cli" in line for line in seen) and all(len(one) >= 32 for one in made)
        assert not [secret for secret in (PASSWORD, *made) if secret in text or any(secret.encode() in line for line in seen)]
        course.run("teardown", "--yes", "--volumes")
        assert not course.mine() and not course.volumes()


def test_a_first_step_by_root_then_by_a_member_of_the_group(fresh: RemoteHost) -> None:
    """A sudo user without the password does nothing; root's first step installs Docker. Who isn't in its group is told, and works without sudo
    once put into it."""
    course, deployer = RemoteCourse(fresh), RemoteCourse(fresh).as_user("deployer")
    assert "--prompt-for-sudo-password" in course.as_user("admin").fails("step00-install")
    assert not fresh.exec("sh", "-c", "command -v docker || true")
    assert "install the distribution's Docker" in course.run("step01-nginx", "--yes", "--quick")
    assert "usermod -aG docker deployer" in deployer.fails("step01-nginx", "--yes")
    fresh.exec("gpasswd", "--add", "deployer", "docker")
    assert json.loads(deployer.run("doctor", "--json"))["ok"]
    deployer.must_stand_still("step01-nginx")
    deployer.must_be_at("step01-nginx")
