"""Takes everything of a stack away again: containers and the network; volumes and images only when asked to."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

from ..host import trail
from ..host.observe import standing
from ..model import audit, labels
from ..model.commands import docker, line, remove
from ..model.errors import Conflict
from ..model.images import IMAGE_LABEL
from ..model.text import _, _n
from .desk import Desk
from .lock import new_lock

UNNAMED = "<none>:<none>"


def teardown(desk: Desk, volumes: bool = False, images: bool = False) -> None:
    """Removes what carries exactly our stack's label. Says what goes and asks first. Raises SilverliningError."""
    client, voice, stack = desk.host.client, desk.voice, desk.settings.stack
    mine = {"label": f"{labels.STACK}={stack}"}
    listing = _ahead(client.images)  # takes the engine longest, and is needed last
    there = client.containers(all=True)
    own = [c for c in there if (c["Labels"] or {}).get(labels.STACK) == stack]
    containers = [c for c in own if c["Labels"].get(labels.HELPER) != "lock"]
    networks = client.networks(filters=mine)
    listed = client.volumes(filters=mine)["Volumes"] or []
    # The note of what was scaled is no data: it goes with the containers that it is about. The trail goes last of all.
    data = [v for v in listed if labels.AUDIT not in v["Labels"]]
    named = [v for v in data if volumes or labels.SCALED in v["Labels"]]
    trailed = volumes and len(data) < len(listed)
    store, listed_images = desk.store, listing.result()
    built = [*_left_by_lessons(listed_images, stack), *(_built(listed_images) if images else [])]
    if not (containers or networks or named or built or trailed):
        voice.note(_("nothing of {stack} stands: there is nothing to do").format(stack=stack))
        return
    _refuse_guests([c for c in there if c not in own], networks, named)
    voice.title(_("This removes"))
    keys = _keys(desk) if volumes and named else ""
    for c in containers:
        name = c["Names"][0].lstrip("/")
        for argv in remove(name) if _holds_data(c) else (docker("rm", "--force", name),):
            voice.command(line(argv))
    for network in networks:
        voice.command(line(docker("network", "rm", network["Name"])))
    for volume in named:
        voice.command(line(docker("volume", "rm", volume["Name"])))
    if trailed:
        voice.command(line(docker("volume", "rm", audit.volume_of(stack))))
    for tag in built:
        voice.command(line(docker("rmi", tag)))
    if keys:
        voice.note(keys)
    if desk.dry:
        return
    desk.confirm(_("teardown removes what stands"))
    # Where somebody was asked, it may have been a long while.
    tools = store.at_hand("tools", listed_images if desk.yes else None)
    alone = new_lock(desk, tools) if tools else None
    if not alone and containers:
        voice.note(_("no lock: the image for it isn't on the host. Nobody else should work on {stack} now").format(stack=stack))
    with alone or nullcontext():
        still_ours = alone.check if alone else lambda: None
        if not volumes:
            _keep_data(desk)
        stuck = _remove(client, containers, networks, named, still_ours)
        if alone:
            alone.count({what: count for what, count in (("removed", len(containers)), ("volumes", len(named) if volumes else 0)) if count})
    if alone and (volumes or built):
        alone.gone()  # it uses the trail, and an image
    forgotten = volumes and trail.remove(client, stack)
    networks = [network for network in networks if network["Name"] not in stuck]
    kept = _remove_images(client, built)
    built = [tag for tag in built if tag not in kept]
    parts = [
        _n("{count} container", "{count} containers", len(containers)) if containers else "",
        _n("{count} network", "{count} networks", len(networks)) if networks else "",
        _n("{count} volume", "{count} volumes", len(named)) if volumes and named else "",
        _n("{count} image", "{count} images", len(built)) if built else "",
    ]
    if any(parts):
        voice.ok(_("removed: {parts}").format(parts=", ".join(filter(None, parts))) + ("" if volumes else _("; the data stays in its volumes")))
    for name in stuck:
        voice.note(_("network {name} stays: the engine counts a connection to it that nobody has. It does no harm;").format(name=name))
        voice.note(_("the next deploy uses it, and after a restart of the engine teardown can remove it"))
    if trailed:
        words = _("the trail of who changed what is gone too: {name}") if forgotten else _("the trail stays, somebody uses it: {name}")
        voice.note(words.format(name=audit.volume_of(stack)))
    if kept:
        voice.note(_("these images stay, others use them: {names}").format(names=", ".join(kept)))


def _ahead(question: Callable[[], Any]) -> Future[Any]:
    """Asks while other things are done. Not by a pool: the end of the program would wait for the answer."""
    future: Future[Any] = Future()

    def ask() -> None:
        try:
            future.set_result(question())
        except Exception as error:
            future.set_exception(error)

    threading.Thread(target=ask, daemon=True).start()
    return future


def _holds_data(container: Any) -> bool:
    """Whether it writes to a volume: such a one is given time to. The others serve nobody any more when all goes at once."""
    return any(mount["Type"] == "volume" and mount["RW"] for mount in container["Mounts"])


def _refuse_guests(foreign: list[Any], networks: list[Any], volumes: list[Any]) -> None:
    """Raises Conflict where a container that isn't ours uses what is to go, before anything has gone."""
    for c in foreign:
        name = c["Names"][0].lstrip("/")
        for network in networks:
            if c["State"] in ("running", "paused") and network["Name"] in c["NetworkSettings"]["Networks"]:
                raise Conflict(
                    _("container {name}, which isn't of this stack, is on its network {network}").format(name=name, network=network["Name"]),
                    _("`docker network disconnect {network} {name}`, then run the same command again").format(name=name, network=network["Name"]),
                )
        for volume in volumes:
            if volume["Name"] in {m.get("Name") for m in c["Mounts"]}:
                raise Conflict(
                    _("container {name}, which isn't of this stack, uses its volume {volume}").format(name=name, volume=volume["Name"]),
                    _("remove that container, or leave --volumes out"),
                )


def _left_by_lessons(listed: list[Any], stack: str) -> list[str]:
    """Images that a lesson has committed and, killed, could not remove: they have the labels of its container."""
    wanted = {labels.STACK: stack, labels.HELPER: "lesson"}
    found = [entry for entry in listed if wanted.items() <= (entry.get("Labels") or {}).items()]
    # One that has lost its name has no tag, or on 20.10 a placeholder that is none.
    return [name for entry in found for name in [tag for tag in entry.get("RepoTags") or () if tag != UNNAMED] or [entry["Id"]]]


def _remove_images(client: Any, tags: list[str]) -> list[str]:
    """Removes images; gives those that somebody's container still uses."""
    from docker.errors import APIError, ImageNotFound

    kept = []
    for tag in tags:
        try:
            client.remove_image(tag, force=False)
        except ImageNotFound:
            continue
        except APIError as error:
            if error.status_code != 409:
                raise
            kept.append(tag)
    return kept


def _remove(client: Any, containers: list[Any], networks: list[Any], volumes: list[Any], still_ours: Callable[[], None]) -> list[str]:
    """Removes them; gives the names of the networks that the engine can't remove though nobody is on them. Raises Busy when the lock was lost."""
    from docker.errors import NotFound

    def end(container: Any) -> None:
        still_ours()
        try:
            if container["State"] == "paused":
                # What was paused must not go on for a moment: an old Redis master would look newest by what it wrote then.
                client.unpause(container["Id"])
                client.kill(container["Id"])
            elif _holds_data(container):
                client.stop(container["Id"])
            client.remove_container(container["Id"], v=True, force=True)
        except NotFound:
            pass

    with ThreadPoolExecutor(24) as pool:
        list(pool.map(end, sorted(containers, key=_holds_data, reverse=True)))  # what takes longest first
    still_ours()
    stuck = [network["Name"] for network in networks if not _removed(client, network["Id"])]
    for volume in volumes:
        client.remove_volume(volume["Name"])
    return stuck


def _removed(client: Any, network: str) -> bool:
    """Removes a network; False where the engine has miscounted its endpoints (moby issue 17217), which only its restart mends."""
    from docker.errors import APIError

    try:
        client.remove_network(network)
    except APIError as error:
        if "active endpoints" not in str(error.explanation) or client.inspect_network(network)["Containers"]:
            raise
        return False
    return True


def _keep_data(desk: Desk) -> None:
    """Compose's replicas have anonymous volumes, which go with them: the master role moves to the node whose volume stays."""
    if any(c.compose for c in standing(desk.host.client, desk.settings.stack)):
        from .compose import compose_leave
        from .position import find

        seen = desk.observe()
        compose_leave(desk, find(desk, seen)[1], seen)


def _built(listed: list[Any]) -> list[str]:
    """The tags of all images that we built, children before parents."""
    from ..host.images import owned

    found = [entry for entry in listed if IMAGE_LABEL in (entry.get("Labels") or {})]
    return [tag for entry in sorted(found, key=lambda e: -e["Created"]) for tag in owned(entry)]


def _keys(desk: Desk) -> str:
    """What goes with the volumes: the number of Redis keys, asked from the master or read as lost."""
    seen = desk.observe()
    if seen.master:
        from ..host.exec import execute

        size = execute(desk.host.client, seen.master, ("redis-ask", "dbsize")).text
        hits = execute(desk.host.client, seen.master, ("redis-ask", "get", "count")).text
        # What is no number says why it can't be told: that must not read as none.
        keys = _n("{count} Redis key", "{count} Redis keys", int(size)) if size.isdigit() else size
        return _("the volumes hold {keys}; the counter is at {hits}").format(keys=keys, hits=hits or 0)
    return _("the volumes hold data of a Redis that doesn't run now")
