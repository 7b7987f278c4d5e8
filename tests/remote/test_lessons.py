"""The course on another host: every lesson says and proves there what it does here, and a host without any network gets its images from a file."""

from __future__ import annotations

from pathlib import Path

import pytest

import steps
from tests.engine.course import Course, own_stack, until
from tests.engine.test_walkthrough import Show

from .course import RemoteCourse, nothing_here
from .hosts import RemoteHost
from .site import Site
from .test_deploy import must_have_left_nothing

pytestmark = [pytest.mark.slow, pytest.mark.timeout(800)]
NOT_STREAMED = {"SILVERLINING_IMAGES_STREAM": "false"}


def test_every_lesson_is_played_there(shop1: RemoteCourse, site: Site) -> None:
    """The walkthrough without keys: commands, proofs and checks of all steps, by a member of the group docker."""
    shop1.clean()
    one = shop1.as_user("deployer")
    with nothing_here(site.engine):
        must_go_by_keys(shop1.as_user("admin2"))
        said = one.run("walkthrough", "--no-wait", "--yes", "--start", "step01-nginx")
    assert "✗" not in said, said[-3000:]
    for step in steps.NAMES[1:]:
        assert f"{step} · step" in said
    # The host's own bridge, which this machine doesn't have.
    bridge = f"br-{one.networks()[one.stack][:12]}"
    assert f"is the bridge {bridge} of the host" in said and not Path("/sys/class/net", bridge).exists()
    assert bridge in shop1.host.exec("ls", "/sys/class/net").split()
    assert "the rule" in said and "DNAT" in said and "switch-master" in said
    assert "volume /usr/src/app" in said, "the code is copied, not mounted"
    assert "fab -H deployer@shop1 teardown" in said
    assert f"open http://{shop1.host.address}:{shop1.ports['web']}/" in said and "open http://localhost" not in said.replace("localhost:8302", "")
    one.must_stand("step09-compose")
    notes = [line for line in said.splitlines() if line.startswith("  → ")]
    assert any("the CLI's plugin" in line for line in notes) and not any("warn" in line.lower() for line in notes), notes
    must_have_left_nothing(shop1)
    shop1.clean()


def must_go_by_keys(course: RemoteCourse) -> None:
    """On a terminal each key does there what it does here: the step, its first act, and out. By a sudo user, so by dial-stdio."""
    show = Show(course, "--start", "step01-nginx")
    assert "One nginx container" in show.page() and not course.ids()
    assert "What stands now" in show.on() and course.ids()
    text = show.on()
    assert "act 1 of 6" in text and f"$ docker ps --filter name={course.name('nginx')}" in text and "✓ containers" in text
    show.press("q")
    assert "The host stays as it is." in show.over(0)
    course.must_be_at("step01-nginx")


def test_a_host_behind_a_gateway_and_without_a_network(inner: RemoteHost, web1: RemoteHost, site: Site, tmp_path: Path) -> None:
    """Its images from a file, then everything else by both ways to its engine; nothing of it ever stands here or on the gateway."""
    bundle, course = tmp_path / "course.bundle", RemoteCourse(inner)
    with own_stack(site.engine, course.stack, 8300, 83) as here:
        assert isinstance(here, Course)
        here.run("images.save", str(bundle))
    with nothing_here(site.engine), nothing_here(web1.client()):
        assert "✓" in course.run("images.load", str(bundle), **NOT_STREAMED)
        course.run("deploy-all", **NOT_STREAMED)
        course.must_stand("step08-netdata")
        course.must_stand_still("deploy-all")
        with inner.sshd("AllowStreamLocalForwarding no"):
            assert "dial-stdio" in course.must_stand_still("deploy-all")
        course.run("teardown", "--yes", "--volumes")
    assert not course.mine() and not course.volumes()
    until(lambda: not inner.sessions() and not web1.sessions(), "no connection stands")
