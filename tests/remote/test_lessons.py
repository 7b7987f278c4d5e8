"""The course on another host: every lesson says and proves there what it does here, and a host without any network gets its images from a file."""

from __future__ import annotations

from pathlib import Path

import pytest

import steps
from tests.engine.course import Course, own_stack

from .course import RemoteCourse, nothing_here
from .site import Site

pytestmark = [pytest.mark.slow, pytest.mark.timeout(800)]
NOT_STREAMED = {"SILVERLINING_IMAGES_STREAM": "false"}


def test_every_lesson_is_played_there(shop1: RemoteCourse, site: Site) -> None:
    """The walkthrough without keys: commands, proofs and checks of all steps, by a member of the group docker."""
    shop1.clean()
    one = shop1.as_user("deployer")
    with nothing_here(site.engine):
        said = one.run("walkthrough", "--no-wait", "--yes", "--start", "step01-nginx")
    assert "✗" not in said, said[-3000:]
    for step in steps.NAMES[1:]:
        assert f"{step} · step" in said
    assert "the rule" in said and "DNAT" in said and "switch-master" in said
    assert "volume /usr/src/app" in said, "the code is copied, not mounted"
    assert "fab -H deployer@shop1 teardown" in said
    assert f"open http://{shop1.host.address}:{shop1.ports['web']}/" in said and "open http://localhost" not in said.replace("localhost:8302", "")
    one.must_be_at("step09-compose")
    one.must_be_green()
    left = shop1.host.exec("sh", "-c", "ls -d /tmp/silverlining* 2>/dev/null", check=False)
    assert not left, left
    shop1.clean()


def test_a_host_without_a_network_gets_its_images_from_a_file(site: Site, local_engine: object, tmp_path: Path) -> None:
    """images.load over the connection, then everything else, with no registry, no mirror and nothing streamed."""
    bundle = tmp_path / "course.bundle"
    gateway = site.start("gateway", "trixie")
    island = RemoteCourse(site.start_hidden("island", "trixie", gateway))
    island.host.await_engine()
    with own_stack(site.engine, island.stack, 8300, 83) as here:
        assert isinstance(here, Course)
        here.run("images.save", str(bundle))
    said = island.run("images.load", str(bundle), **NOT_STREAMED)
    assert "loaded" in said or "✓" in said
    island.run("deploy-all", **NOT_STREAMED)
    island.must_be_at("step08-netdata")
    island.must_be_green()
    island.host.stop()
    gateway.stop()
