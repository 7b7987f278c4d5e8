"""The images of the test hosts, built on this machine's engine from our Debian bases by the same store that builds the stack's."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import yaml
from docker import APIClient

from silverlining.host.images import ImageStore, Resolved
from silverlining.model import settings
from silverlining.model.errors import SilverliningError
from silverlining.model.images import APT, BUILT, IMAGES, Image, Variant
from silverlining.model.stack import template_variables

ROOT = Path(__file__).parents[2]
KEEPS = "io.silverlining.tests-keep-image"
TRIES = 3
PACKAGES = {
    "trixie": ("debian", "docker.io docker-cli docker-compose docker-registry iptables"),
    "bookworm": ("debian-bookworm", "docker.io iptables"),
    "bare": ("debian", "ca-certificates"),
}


def _image(name: str, base: str, packages: str) -> Image:
    variant = Variant(BUILT, "Dockerfile", args=(("PACKAGES", packages),))
    return Image(f"test-host/{name}", "tests/remote/image", (("BASE", base),), (APT,), variants=(variant,))


CATALOGUE = {**IMAGES, **{f"test-host/{name}": _image(name, *made) for name, made in PACKAGES.items()}}


def example() -> Any:
    """The settings' defaults."""
    return yaml.safe_load((ROOT / "docs" / "silverlining.example.yaml").read_text())


def store(api: APIClient) -> ImageStore:
    """What builds them."""
    ours = settings.load(example())
    return ImageStore(api, ROOT, ours, template_variables(ours), catalogue=CATALOGUE)


def make(api: APIClient, *variants: str) -> dict[str, str]:
    """The references of these variants of PACKAGES, built where they are missing."""
    got = store(api).resolve([f"test-host/{name}" for name in variants])
    return {name: got[f"test-host/{name}"].reference for name in variants}


def make_all(api: APIClient) -> None:
    """Builds what the whole suite needs, the course's images and these, in one go: what is independent is built side by side.

    A container that never runs keeps each: an edit in one test makes a deploy remove as superseded what another one sends to its hosts.
    """
    for image in _patiently(store(api)).values():
        api.create_container(image.reference, ["true"], labels=[KEEPS])


def _patiently(made: ImageStore) -> dict[str, Resolved]:
    """All images. What a mirror has refused it is asked for again: one that hiccups would fail every test after it."""
    for _try in range(TRIES - 1):
        try:
            return made.resolve(CATALOGUE)
        except SilverliningError as error:
            print(error, flush=True)
    return made.resolve(CATALOGUE)


def release(api: APIClient) -> None:
    """Takes away what `make_all` keeps images by."""
    for entry in api.containers(all=True, filters={"label": KEEPS}):
        api.remove_container(entry["Id"], force=True)


if __name__ == "__main__":
    engine = APIClient(os.environ.get("DOCKER_HOST"), version="auto", timeout=600)
    release(engine)
    if sys.argv[1:] != ["release"]:
        make_all(engine)
