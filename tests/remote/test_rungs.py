"""Where a host's images come from when nothing is sent to it: a registry that the host reaches, and its own builds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from silverlining.host.debian import PATH
from silverlining.model.images import IMAGES

from . import images
from .course import RemoteCourse
from .hosts import RemoteHost
from .site import Site
from .stock import hand_over
from .test_base import litter, prepared
from .test_lessons import NOT_STREAMED

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
# Docker asks a registry of its own machine without TLS.
REGISTRY = "localhost:5000"
STORE = "/tmp/registry"
CONFIG = f"""
version: 0.1
storage:
  filesystem:
    rootdirectory: {STORE}
http:
  addr: {REGISTRY}
"""


@contextmanager
def registry(site: Site, host: RemoteHost, name: str) -> Iterator[str]:
    """On the host a registry answers that has this image alone, by its official name; gives its reference. The host's engine has no image."""
    host.write(f"{STORE}.yml", CONFIG)
    pid = host.exec("sh", "-c", f"setsid docker-registry serve {STORE}.yml >{STORE}.log 2>&1 </dev/null & echo $!")
    try:
        made = images.store(site.engine).resolve([name])[name].reference
        hand_over([made], host)
        there = f"{REGISTRY}/library/{IMAGES[name].official}"
        host.docker("tag", made, there)
        host.docker("push", "--quiet", there)
        host.docker("rmi", made, there)
        assert not host.docker("images", "--quiet", "--all")
        yield there
    finally:
        host.exec("kill", pid, check=False)
        host.exec("rm", "-rf", STORE, f"{STORE}.yml", f"{STORE}.log")
        host.exec("sh", "-c", "docker images --quiet --all | xargs --no-run-if-empty docker rmi --force")


def test_from_a_registry_and_else_built_there(web1: RemoteHost, site: Site) -> None:
    """By a member of the group docker, who has no root: what the registry has is pulled, the rest is made on the host, its base as well."""
    prepared(web1)
    course = RemoteCourse(web1).as_user("deployer")
    with registry(site, web1, "upstream/nginx") as reference:
        text = course.run("step01-nginx", "--yes", SILVERLINING_IMAGES_MIRROR=REGISTRY, **NOT_STREAMED)
        got = dict(re.findall(r"✓ image (\S+) \((\w+)\)", text))
        assert got == {"upstream/nginx": "mirror", "debian": "packages", "tools": "packages"}, text
        assert {entry["Image"] for entry in course.mine()} == {reference}
        course.must_be_at("step01-nginx")
        base = json.loads(web1.docker("image", "inspect", web1.docker("images", "--quiet", "silverlining/debian")))[0]["Config"]
        assert base["Cmd"] == ["sh"] and base["Env"] == [f"PATH={PATH}"] and base["Labels"]["io.silverlining.built-for"] == course.stack
        assert not litter(web1)
        course.run("teardown", "--yes", "--volumes", "--images", SILVERLINING_IMAGES_MIRROR=REGISTRY)
        assert not course.mine() and not web1.docker("images", "--quiet", "silverlining/*")
