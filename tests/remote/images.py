"""The images of the test hosts, built on this machine's engine from our Debian bases by the same store that builds the stack's.

As a program it builds all of them, once the engine tests that run meanwhile have made the base.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import yaml
from docker import APIClient

from silverlining.host.images import ImageStore
from silverlining.model import settings
from silverlining.model.images import APT, BUILT, IMAGES, Image, Variant

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "trixie": ("debian", "docker.io docker-cli docker-compose iptables"),
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
    return ImageStore(api, ROOT, settings.load(example()), {}, catalogue=CATALOGUE)


def make(api: APIClient, *variants: str) -> dict[str, str]:
    """The references of these variants of PACKAGES, built where they are missing."""
    got = store(api).resolve([f"test-host/{name}" for name in variants])
    return {name: got[f"test-host/{name}"].reference for name in variants}


def make_ahead(seconds: float = 600) -> None:
    """Builds all of them when the base is there: two that make it at once would only be slower. Without one in time nothing is built."""
    api = APIClient(os.environ.get("DOCKER_HOST"), version="auto", timeout=600)
    base, end = store(api).tag("debian"), time.monotonic() + seconds
    while time.monotonic() < end:
        if api.images(base):
            make(api, *PACKAGES)
            return
        time.sleep(1)


if __name__ == "__main__":
    make_ahead()
