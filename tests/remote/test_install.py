"""From a host with nothing but sshd to the whole stack: Docker from its packages, and the images from this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from .course import STACK, RemoteCourse, nothing_here
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
        course.must_be_at("step08-netdata")
        course.must_be_green()
        course.hit()
        course.must_stand_still("deploy-all")
        course.run("teardown", "--yes", "--volumes")
        assert not course.mine() and not course.volumes()


def test_step00_as_a_sudo_user_with_a_password(fresh: RemoteHost) -> None:
    """Without the password nothing is done; with it Docker is installed, and the next task goes on by sudo."""
    task = RemoteCourse(fresh).as_user("admin")
    assert "--prompt-for-sudo-password" in task.fails("step00-install")
    assert not fresh.exec("sh", "-c", "command -v docker || true")
    for words in (("step00-install",), ("step01-nginx", "--yes", "--quick")):
        asking = RemoteCourse(fresh).as_user("admin", "--prompt-for-sudo-password").spawn(*words)
        asking.expect("[Pp]assword")
        asking.sendline(PASSWORD)
        text = asking.read()
        asking.close()
        assert asking.exitstatus == 0 and PASSWORD not in text, text
    assert [entry["Names"] for entry in RemoteCourse(fresh).mine()] == [[f"/{STACK}-nginx-1"]]


def test_step00_without_a_password_then_a_member_of_the_group(fresh: RemoteHost) -> None:
    """A sudo user without a password installs; whoever is then put into the group docker works without sudo."""
    RemoteCourse(fresh).as_user("admin2").run("step00-install")
    deployer = RemoteCourse(fresh).as_user("deployer")
    assert "usermod -aG docker deployer" in deployer.fails("step01-nginx", "--yes")
    fresh.exec("gpasswd", "--add", "deployer", "docker")
    facts = json.loads(deployer.run("doctor", "--json"))
    assert facts["ok"]
    deployer.run("step01-nginx", "--yes", "--quick")
    RemoteCourse(fresh).must_be_at("step01-nginx")
