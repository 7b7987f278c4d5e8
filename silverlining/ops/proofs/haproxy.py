"""Proofs about HAProxy: requests go round, and a server that fails gets none."""

from __future__ import annotations

from collections import Counter

from ...model.text import _
from ..scene import Scene, claim


def _served_by(scene: Scene, requests: int) -> Counter[str]:
    """Which container answered each of `requests` hits. Raises Unhealthy if one of them failed."""
    found: Counter[str] = Counter()
    for _request in range(requests):
        reply = scene.hit()
        claim(reply.status == 200, _("a hit failed: {status} {text}").format(status=reply.status, text=reply.text[:200]))
        found[reply.headers.get("x-served-by", "?")] += 1
    return found


def round_robin(scene: Scene, service: str) -> None:
    """Twice as many hits as servers: each server answers."""
    apps = {c.name for c in scene.stack.of("ping-app")}
    scene.until(lambda: list(scene.servers().values()).count("UP") == len(apps), _("all servers up in HAProxy"), hint="invoke check")
    found = _served_by(scene, 4 * len(apps))
    scene.voice.table((_("container"), _("hits")), [(name, str(found[name])) for name in sorted(found)])
    claim(set(found) == apps, _("not every container answered: {found}").format(found=dict(found)))
    scene.voice.ok(_("every container took its turns"))


def server_down(scene: Scene, service: str) -> None:
    """One container is stopped; HAProxy notices; from then on no request fails; started again, it takes part again."""
    victim = scene.stack.of("ping-app")[-1]
    server = f"app{victim.index}"
    scene.voice.command(f"docker stop {victim.name}")
    scene.client.stop(victim.name)
    try:
        scene.until(lambda: scene.servers().get(server, "").startswith("DOWN"), _("HAProxy calls {server} down").format(server=server), 30)
        found = _served_by(scene, 12)
        claim(victim.name not in found, _("{name} answered although it is stopped").format(name=victim.name))
        scene.voice.ok(_("{server} is down; 12 hits went to {others}, none failed").format(server=server, others=", ".join(sorted(found))))
    finally:
        scene.voice.command(f"docker start {victim.name}")
        scene.client.start(victim.name)
    scene.until(lambda: scene.servers().get(server) == "UP", _("HAProxy calls {server} up").format(server=server), 60)
    scene.voice.ok(_("{server} is up again").format(server=server))
