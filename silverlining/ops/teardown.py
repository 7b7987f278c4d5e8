"""Takes everything of a stack away again: containers and the network; volumes and images only when asked to."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..model import labels
from ..model.commands import docker, line, remove
from ..model.errors import SilverliningError
from ..model.images import IMAGE_LABEL
from ..model.text import _
from .converge import lock
from .desk import Desk


def teardown(desk: Desk, volumes: bool = False, images: bool = False) -> None:
    """Removes what carries exactly our stack's label. Says what goes and asks first. Raises SilverliningError."""
    client, voice, stack = desk.host.client, desk.voice, desk.settings.stack
    mine = {"label": f"{labels.STACK}={stack}"}
    containers = [c for c in client.containers(all=True, filters=mine) if c["Labels"].get(labels.HELPER) != "lock"]
    networks = client.networks(filters=mine)
    named = (client.volumes(filters=mine)["Volumes"] or []) if volumes else []
    built = _built(desk) if images else []
    if not (containers or networks or named or built):
        voice.note(_("nothing of {stack} stands: there is nothing to do").format(stack=stack))
        return
    voice.title(_("This removes"))
    keys = _keys(desk) if volumes and named else ""
    names = [c["Names"][0].lstrip("/") for c in containers]
    for argv in [a for name in names for a in remove(name)]:
        voice.command(line(argv))
    for network in networks:
        voice.command(line(docker("network", "rm", network["Name"])))
    for volume in named:
        voice.command(line(docker("volume", "rm", volume["Name"])))
    for tag in built:
        voice.command(line(docker("rmi", tag)))
    if keys:
        voice.note(keys)
    if desk.dry:
        return
    _confirm(desk)
    if not volumes:
        _keep_data(desk)
    tools = desk.store.plan_for(("tools",))["tools"]
    if tools.rung == "present":
        from ..model.stack import ImageRef

        with lock(desk, ImageRef("tools", tools.reference, tools.fingerprint)):
            _remove(client, containers, networks, named)
    else:
        _remove(client, containers, networks, named)
    for tag in built:
        client.remove_image(tag, force=False)
    parts = [_("{count} containers").format(count=len(containers)), _("{count} networks").format(count=len(networks))]
    parts += [_("{count} volumes").format(count=len(named))] if named else []
    parts += [_("{count} images").format(count=len(built))] if built else []
    voice.ok(_("removed: {parts}").format(parts=", ".join(parts)) + ("" if volumes else _("; the data stays in its volumes")))


def _remove(client: Any, containers: list[Any], networks: list[Any], volumes: list[Any]) -> None:
    from docker.errors import NotFound

    def end(container: Any) -> None:
        try:
            if container["State"] == "paused":
                # What was paused must not go on for a moment: an old Redis master would look newest by what it wrote then.
                client.unpause(container["Id"])
                client.kill(container["Id"])
            client.stop(container["Id"])
            client.remove_container(container["Id"], v=True, force=True)
        except NotFound:
            pass

    with ThreadPoolExecutor(24) as pool:
        list(pool.map(end, containers))
    for network in networks:
        client.remove_network(network["Id"])
    for volume in volumes:
        client.remove_volume(volume["Name"])


def _keep_data(desk: Desk) -> None:
    """Compose's replicas have anonymous volumes, which go with them: the master role moves to the node whose volume stays."""
    seen = desk.observe()
    if any(c.compose for c in seen.containers):
        from .compose import compose_leave
        from .position import find

        compose_leave(desk, find(desk, seen)[1], seen)


def _built(desk: Desk) -> list[str]:
    """The tags of all images that we built, children before parents."""
    found = [entry for entry in desk.host.client.images() if IMAGE_LABEL in (entry.get("Labels") or {})]
    from ..host.images import owned

    return [tag for entry in sorted(found, key=lambda e: -e["Created"]) for tag in owned(entry)]


def _keys(desk: Desk) -> str:
    """What goes with the volumes: the number of Redis keys, asked from the master or read as lost."""
    seen = desk.observe()
    if seen.master:
        from ..host.exec import execute

        size = execute(desk.host.client, seen.master, ("redis-ask", "dbsize")).text
        hits = execute(desk.host.client, seen.master, ("redis-ask", "get", "count")).text
        return _("the volumes hold {size} Redis keys; the counter is at {hits}").format(size=size, hits=hits or 0)
    return _("the volumes hold data of a Redis that doesn't run now")


def _confirm(desk: Desk) -> None:
    if desk.yes:
        return
    if not (sys.stdin.isatty() and desk.voice.terminal):
        raise SilverliningError(_("teardown removes what stands"), _("add --yes to go on"))
    if not desk.voice.ask("  " + _("Go on?")):
        raise SilverliningError(_("nothing was changed"))
