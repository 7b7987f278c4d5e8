"""From a host with nothing but sshd to the whole stack: Docker from its packages, and the images from this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

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


def test_deploy_all_as_root(fresh: RemoteHost, site: Site) -> None:
    """One command: installs Docker, gets the images, and ends with the stack healthy; nothing of it on this machine."""
    course = RemoteCourse(fresh)
    with nothing_here(site.engine):
        text = course.run("deploy-all", "--yes")
        assert "install the distribution's Docker" in text
        course.must_stand("step08-netdata")
        course.hit()
        course.must_stand_still("deploy-all")
        course.run("teardown", "--yes", "--volumes")
        assert not course.mine() and not course.volumes()


def test_step00_as_a_sudo_user_then_as_a_member_of_the_group(fresh: RemoteHost) -> None:
    """Without the password nothing is done; with it Docker is installed. Who isn't in its group is told, and works without sudo once put into it."""
    admin, deployer = RemoteCourse(fresh).as_user("admin"), RemoteCourse(fresh).as_user("deployer")
    assert "--prompt-for-sudo-password" in admin.fails("step00-install")
    assert not fresh.exec("sh", "-c", "command -v docker || true")
    asking = RemoteCourse(fresh).as_user("admin", "--prompt-for-sudo-password").spawn("step00-install")
    asking.expect("[Pp]assword")
    asking.sendline(PASSWORD)
    text = asking.read()
    asking.close()
    assert asking.exitstatus == 0 and PASSWORD not in text, text
    assert "usermod -aG docker deployer" in deployer.fails("step01-nginx", "--yes")
    fresh.exec("gpasswd", "--add", "deployer", "docker")
    assert json.loads(deployer.run("doctor", "--json"))["ok"]
    deployer.run("step01-nginx", "--yes", "--quick")
    deployer.must_be_at("step01-nginx")
