"""Hosts that have the stack's images already: one disk is filled once in a run, and copied for each host."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from docker import APIClient

from silverlining.host.images import ImageStore
from silverlining.model import settings
from silverlining.model.images import IMAGES
from silverlining.model.stack import template_variables

from . import images
from .hosts import RemoteHost, docker

if TYPE_CHECKING:
    from .site import Site


def references(api: APIClient, stack: str) -> list[str]:
    """The images of a stack of this name with the default settings, made here where they are missing; not the one that measures."""
    wanted = settings.load(images.example(), {}, {"SILVERLINING_STACK": stack})
    names = [name for name in IMAGES if name != "wrk"]
    got = ImageStore(api, images.ROOT, wanted, template_variables(wanted)).resolve(names)
    return [got[name].reference for name in names]


def hand_over(wanted: list[str], host: RemoteHost) -> None:
    """Puts images of this machine's engine into the host's, past SSH."""
    saved = subprocess.Popen(["docker", "save", *wanted], stdout=subprocess.PIPE)
    loaded = subprocess.run(["docker", "exec", "--interactive", host.name, "docker", "load", "--quiet"], stdin=saved.stdout, capture_output=True)
    assert saved.wait() == 0 and loaded.returncode == 0, loaded.stderr


def fill(site: Site, wanted: list[str]) -> str:
    """A volume with an engine's data that holds these images."""
    volume = f"{site.prefix}-stock"
    docker("volume", "create", *site.label, volume)
    host = site.start("stock", "bookworm", data=volume)
    host.await_engine()
    hand_over(wanted, host)
    # The engine writes down what it knows when it ends.
    host.exec("sh", "-c", "kill $(cat /run/docker.pid); while [ -e /run/docker.pid ]; do sleep 0.1; done")
    host.stop()
    return volume


def copy(site: Site, volume: str, alias: str) -> str:
    """Another volume with the same in it."""
    other = f"{site.prefix}-disk-{alias}"
    docker("volume", "create", *site.label, other)
    image = next(iter(site.images.values()))
    docker("run", "--rm", *site.label, f"--volume={volume}:/from:ro", f"--volume={other}:/to", image, "cp", "-a", "/from/.", "/to/")
    return other
