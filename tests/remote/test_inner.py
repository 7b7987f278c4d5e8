"""A host that is reached through another one only, and reaches nothing itself: everything comes over the connection."""

from __future__ import annotations

import pytest

from tests.engine.course import until

from .course import RemoteCourse, nothing_here
from .hosts import RemoteHost
from .site import Site

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def test_the_whole_stack_through_a_gateway(inner: RemoteHost, web1: RemoteHost, site: Site) -> None:
    """Deployed, checked, left alone, taken away: and nothing of it stands here or on the gateway."""
    course = RemoteCourse(inner)
    with nothing_here(site.engine), nothing_here(web1.client()):
        course.run("deploy-all", "--yes")
        course.must_be_at("step08-netdata")
        course.must_be_green()
        course.must_stand_still("deploy-all")
        with inner.sshd("AllowStreamLocalForwarding no"):
            assert "dial-stdio" in course.must_stand_still("deploy-all")
        course.run("teardown", "--yes", "--volumes")
    assert not course.mine() and not course.volumes()
    until(lambda: not inner.sessions() and not web1.sessions(), "no connection stands")
