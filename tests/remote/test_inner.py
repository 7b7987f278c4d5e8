"""A host that is reached through another one only, and reaches nothing itself: everything comes over the connection."""

from __future__ import annotations

import pytest

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
    assert not inner.sessions() and not web1.sessions()


def test_a_gateway_that_forbids_it(inner: RemoteHost, web1: RemoteHost) -> None:
    """The error names the gateway and what its sshd must allow."""
    with web1.sshd("AllowTcpForwarding no"):
        text = RemoteCourse(inner).fails("status")
    assert "web1" in text and "AllowTcpForwarding" in text, text


def test_the_gateway_s_key_obeys_the_same_rules(inner: RemoteHost, web1: RemoteHost) -> None:
    """A gateway that isn't known is refused, and it is said that it is the gateway."""
    keys = web1.host_keys()
    web1.home.known_as("web1", [])
    try:
        text = RemoteCourse(inner).fails("status")
    finally:
        web1.home.known_as("web1", keys)
    assert "gateway to inner" in text and "web1" in text and "--accept-new-host-key" in text, text
