"""The volume with a stack's audit trail: read and removed. It is made and written by the lock's container (keeper.py)."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..model import audit, labels
from ..model.errors import Conflict
from ..model.text import _
from .keeper import FILE, PLACE

if TYPE_CHECKING:
    from docker import APIClient

READING = 5.0  # seconds that somebody who reads the trail may keep its volume from going


def refuse_foreign(client: APIClient, stack: str) -> None:
    """Raises Conflict where a volume that isn't ours has the trail's name, NotFound where none has: the engine mounts whichever is there."""
    name = audit.volume_of(stack)
    if (client.inspect_volume(name).get("Labels") or {}).get(labels.STACK) != stack:
        raise Conflict(
            _("a volume that is not ours has the name of this stack's audit trail: {name}").format(name=name),
            _("give the stack another name (setting stack), or remove that volume if nobody needs it"),
        )


def read(client: APIClient, stack: str, image: Callable[[], str]) -> str | None:
    """The trail's lines; None where there is no trail. `image` names any that the engine has: the container is never started."""
    from docker.errors import NotFound

    volume = audit.volume_of(stack)
    try:
        refuse_foreign(client, stack)
    except NotFound:
        return None
    mount = {"Type": "volume", "Source": volume, "Target": PLACE, "ReadOnly": True, "VolumeOptions": {"NoCopy": True, "Labels": labels.trail(stack)}}
    made = client.create_container_from_config(  # type: ignore[no-untyped-call]
        {
            "Image": image(),
            "Entrypoint": ["true"],
            "Labels": {labels.STACK: stack, labels.HELPER: "audit"},
            "HostConfig": {"NetworkMode": "none", "Mounts": [mount]},
        }
    )["Id"]
    try:
        return _file(b"".join(client.get_archive(made, f"{PLACE}/{FILE}")[0]))
    except NotFound:  # nothing has been written yet
        return None
    finally:
        client.remove_container(made, v=True, force=True)


def remove(client: APIClient, stack: str) -> bool:
    """Removes the trail with its volume, if there is one; False where another run has begun to write into it meanwhile."""
    from docker.errors import APIError

    end = time.monotonic() + READING
    while True:
        try:
            client.remove_volume(audit.volume_of(stack))
        except APIError as error:
            if error.status_code == 409 and time.monotonic() < end:
                time.sleep(0.1)
                continue
            if error.status_code not in (404, 409):
                raise
            return error.status_code == 404
        return True


def _file(packed: bytes) -> str:
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        member = tar.next()
        file = tar.extractfile(member) if member and member.isfile() else None
        return file.read().decode(errors="replace") if file else ""
