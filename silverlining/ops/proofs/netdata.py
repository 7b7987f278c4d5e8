"""Proof about netdata: it has charts of every container, by its name."""

from __future__ import annotations

from ...model.text import _
from ..scene import Scene


def charts(scene: Scene, service: str) -> None:
    """Each container of the stack has its charts."""
    port = scene.desk.settings.ports.netdata

    def missing() -> list[str]:
        text = scene.host.get(port, "/api/v1/charts").text
        return [c.name for c in scene.stack.containers if f"cgroup_{c.name}." not in text]

    scene.until(lambda: not missing(), _("charts of every container by its name"), 60, _("docker logs of netdata"), beat=1)
    scene.voice.ok(_("charts of the host and of {count} containers, each by its name").format(count=len(scene.stack.containers)))
