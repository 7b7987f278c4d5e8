"""Short-lived containers that do something on the host and are gone: looking into volumes, making secrets, reading the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from uuid import uuid4

from ..model import labels
from ..model.errors import Unhealthy
from ..model.logs import NANO
from ..model.text import _
from .clock import engine_time


def run_helper(
    client: Any,
    stack: str,
    image: str,
    command: Sequence[str],
    volumes: Mapping[str, str] | None = None,
    *,
    network: str = "none",
    cap_add: Sequence[str] = (),
    writable: bool = False,
    user: str = "",
    check: bool = True,
    timeout: float = 60,
    security: Sequence[str] = ("no-new-privileges",),
) -> str:
    """Runs `command` in a container of `image` and returns its output, standard error included.

    `volumes` maps a volume to its place inside, read-only unless `writable`. Raises Unhealthy if it fails and `check` is set.
    """
    from docker.types import Mount

    mounts = [Mount(target, name, type="volume", read_only=not writable) for name, target in (volumes or {}).items()]
    config = client.create_host_config(
        network_mode=network, mounts=mounts, cap_drop=["ALL"], cap_add=["DAC_OVERRIDE", *cap_add], security_opt=list(security) or None
    )
    made = client.create_container(
        image,
        list(command),
        name=f"{stack}-helper-{uuid4().hex[:8]}",
        host_config=config,
        labels={labels.STACK: stack, labels.HELPER: command[0]},
        entrypoint=[],
        user=user or None,
    )
    try:
        client.start(made["Id"])
        code = client.wait(made["Id"], timeout=timeout)["StatusCode"]
        text: str = client.logs(made["Id"]).decode(errors="replace").strip()
    finally:
        client.remove_container(made["Id"], force=True, v=True)
    if check and code != 0:
        raise Unhealthy(_("`{command}` in a helper container failed: {text}").format(command=" ".join(command), text=text or code))
    return text


def sweep(client: Any, stack: str, age: float = 60) -> None:
    """Removes helpers that a killed run has left: not running, and made more than `age` seconds ago by the engine's clock."""
    from docker.errors import APIError

    marks = [f"{labels.STACK}={stack}", labels.HELPER]
    left = [c for c in client.containers(all=True, filters={"label": marks, "status": ["created", "exited"]}) if c["Labels"][labels.HELPER] != "lock"]
    if not left:
        return
    now = engine_time(client) // NANO
    for entry in left:
        if now - entry["Created"] > age:
            with suppress(APIError):  # its own run removes it this very moment
                client.remove_container(entry["Id"], v=True)
