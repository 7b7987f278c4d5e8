"""What a host over SSH gets from this machine: all that is missing, by one connection, and after an edit only what was edited."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from docker import APIClient

from silverlining.host.climb import Progress
from silverlining.host.images import ImageStore
from silverlining.host.stream import Source
from silverlining.model import settings
from silverlining.model.images import IMAGES
from silverlining.model.stack import template_variables
from tests.engine.course import copy_checkout

from . import images
from .course import RemoteCourse
from .hosts import RemoteHost
from .test_base import reached

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
NAMES = ("sentinel", "redis", "app", "tools")


@pytest.fixture(params=("web1", "web2"))
def host(request: pytest.FixtureRequest) -> RemoteHost:
    """Engine 26.1, and 20.10, without an image."""
    found: RemoteHost = request.getfixturevalue(request.param)
    found.exec("sh", "-c", "docker images -q | sort -u | xargs -r docker rmi -f >/dev/null 2>&1; true")
    return found


def test_an_edit_crosses_as_one_layer(local_engine: APIClient, host: RemoteHost, tmp_path: Path) -> None:
    """What is sent is measured, and what arrives is the same image."""
    checkout = copy_checkout(tmp_path)
    wanted = settings.load(images.example())
    sent = [0.0]

    def note(progress: Progress) -> None:
        if found := re.match(r"([\d.]+) (B|kB|MB)", progress.step):
            sent[0] = float(found[1]) * {"B": 1, "kB": 1_000, "MB": 1_000_000}[found[2]]

    def made_here() -> dict[str, str]:
        got = ImageStore(local_engine, checkout, wanted, template_variables(wanted)).resolve(NAMES)
        return {name: got[name].id for name in NAMES}

    def got_there(user: str) -> tuple[set[str], dict[str, str]]:
        with reached(host, user) as there:
            source = Source(lambda: local_engine)
            got = ImageStore(there.client, checkout, wanted, template_variables(wanted), note, there.runner, source=source).resolve(NAMES)
        return {one.rung for one in got.values()}, {name: got[name].id for name in NAMES}

    here = made_here()
    assert got_there("root") == ({"streamed"}, here) and 50_000_000 < sent[0] < 250_000_000
    with (checkout / "app" / "ping" / "views.py").open("a") as file:
        file.write("# edited\n")
    edited = made_here()
    try:
        assert edited["app"] != here["app"]
        assert got_there("deployer") == ({"streamed", "present"}, edited) and 1_000 < sent[0] < 100_000
        assert got_there("root") == ({"present"}, edited)
    finally:
        local_engine.remove_image(edited["app"])


@pytest.mark.parametrize("host", ["web2"], indirect=True)
def test_a_step_says_where_its_images_came_from(local_engine: APIClient, host: RemoteHost) -> None:
    """As a user sees it: the list before, the setting, the run, and the list after."""
    course = RemoteCourse(host, stack="sl-stream")
    course.clean()
    try:
        own = settings.load(images.example(), {}, {"SILVERLINING_STACK": "sl-stream"})
        ImageStore(local_engine, images.ROOT, own, template_variables(own)).resolve(["upstream/nginx", "tools"])
        before = {one["name"]: one["rungs"] for one in course.json("images")["images"]}
        assert before.keys() == IMAGES.keys() and all(before[name][0] == "streamed" for name in ("upstream/nginx", "tools")), before
        kept = {one["name"]: one["rungs"] for one in json.loads(course.run("images", "--json", SILVERLINING_IMAGES_STREAM="false"))["images"]}
        assert not any("streamed" in rungs for rungs in kept.values())
        text = course.run("step01-nginx", "--quick")
        assert re.search(r"✓ 2 images from this machine \(streamed: [\d.]+ MB", text), text
        after = {one["name"] for one in course.json("images")["images"] if one["present"]}
        assert after == {"upstream/nginx", "tools"}
    finally:
        course.clean()
