"""What stands on a host: each service, container, health, address and role, and the step that the host is at."""

from __future__ import annotations

from typing import Any

from ..model.observed import Observed, SeenContainer
from ..model.plan_redis import NODES
from ..model.scale import words
from ..model.text import _
from .desk import Desk
from .position import find


def rows(seen: Observed) -> list[dict[str, Any]]:
    """One entry a container, in order of service and number."""
    return [
        {
            "service": c.service,
            "container": c.name,
            "state": c.state,
            "health": c.health,
            "address": c.address,
            "ports": list(c.ports),
            "role": role(c, seen),
        }
        for c in sorted(seen.containers, key=lambda c: (c.service, c.index))
    ]


def role(c: SeenContainer, seen: Observed) -> str:
    """A Redis node's role by its own word and by the Sentinels'; a Sentinel's view; "" for others."""
    if c.name in seen.redis:
        node = seen.redis[c.name]
        own = _("master") if node.role == "master" else _("replica") if node.link_up else _("replica, link down")
        by_sentinel = {view.master for view in seen.sentinels.values()}
        agreed = (c.address in by_sentinel) == (node.role == "master")
        return own if agreed or not by_sentinel else _("{own}, but the Sentinels say otherwise").format(own=own)
    if c.name in seen.sentinels:
        view = seen.sentinels[c.name]
        told = {"master": view.master, "replicas": view.replicas, "sentinels": view.sentinels}
        nodes, watchers = (sum(other.service in kinds for other in seen.containers) for kinds in (NODES, ("sentinel",)))
        if view.replicas < nodes - 1 or view.sentinels < watchers - 1:
            # It hears of a new replica when it asks the master, every ten seconds.
            told |= {"nodes": nodes - 1, "watchers": watchers - 1}
            return _("sees {master}; so far {replicas} of {nodes} replicas, {sentinels} of {watchers} others").format(**told)
        return _("sees {master}, {replicas} replicas, {sentinels} others").format(**told)
    return ""


def table(desk: Desk, seen: Observed, asked: bool = False) -> None:
    """The containers as a table. `asked`: each has just answered its own health check, which Docker will only know after its interval."""
    head = (_("service"), _("container"), _("state"), _("address"), _("ports"), _("role"))
    desk.voice.table(
        head,
        [
            (
                row["service"],
                row["container"],
                _state(row, asked),
                row["address"],
                " ".join(map(str, row["ports"])),
                row["role"],
            )
            for row in rows(seen)
        ],
    )


def _state(row: dict[str, Any], asked: bool) -> str:
    if row["state"] != "running" or not row["health"]:
        return str(row["state"])
    return "healthy" if asked and row["health"] == "starting" else str(row["health"])


def status(desk: Desk) -> dict[str, Any]:
    """Says what stands, and gives the same facts as data."""
    seen = desk.observe()
    position, _stack = find(desk, seen)
    desk.voice.title(_("{stack} is at {position}").format(stack=desk.settings.stack, position=position))
    if seen.containers:
        table(desk, seen)
        if seen.scaled:
            desk.voice.note(_("scaled, until the next deploy: {counts}").format(counts=words(seen.scaled)))
    else:
        desk.voice.note(_("nothing stands; `invoke deploy-all` brings everything up, `invoke step01-nginx` begins the course"))
    return {
        "stack": desk.settings.stack,
        "step": position.step,
        "exact": position.exact,
        "differences": list(position.differences),
        "scaled": dict(seen.scaled),
        "engine": {"version": desk.host.engine.version, "endpoint": desk.host.engine.endpoint},
        "master": seen.master,
        "containers": rows(seen),
    }
