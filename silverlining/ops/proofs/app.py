"""Proofs about the application: each hit adds one, the number outlives containers, gunicorn is started again."""

from __future__ import annotations

from ...model.commands import bring_up, line, remove
from ...model.text import _
from ..scene import Scene, claim


def counts_by_one(scene: Scene, service: str) -> None:
    """Five hits give five numbers, each one more than the one before."""
    numbers = [scene.count() for _hit in range(5)]
    scene.voice.output(" ".join(map(str, numbers)))
    claim(numbers == list(range(numbers[0], numbers[0] + 5)), _("the numbers don't rise by one a hit: {numbers}").format(numbers=numbers))
    scene.voice.ok(_("five hits, five numbers, each one more"))


def survives_recreation(scene: Scene, service: str) -> None:
    """The app's container is made anew, and the next hit goes on with the number."""
    from ..apply import Applier

    container = scene.first(service)
    before = scene.count()
    applier = Applier(scene.client, scene.stack)
    old = scene.inspect(container.name)["Id"]
    for argv in (*remove(container.name), *bring_up(container)):
        scene.voice.command(line(argv))
    applier.remove(container.name)
    applier.run(container, lambda words: None)
    after = scene.count()
    claim(scene.inspect(container.name)["Id"] != old, _("the container is still the old one"))
    claim(after == before + 1, _("{after} came after {before}").format(after=after, before=before))
    scene.voice.ok(_("before: {before}, with a new container: {after}").format(before=before, after=after))


def restarts_gunicorn(scene: Scene, service: str) -> None:
    """gunicorn is killed; supervisord starts another one."""
    container = scene.first(service).name

    def pid() -> str:
        # gunicorn's master is the child of process 1, supervisord (field 4 of /proc/PID/stat is the parent).
        words = scene.ask(container, "sh", "-c", "awk '$4 == 1 { print $1 }' /proc/[0-9]*/stat").text
        return words if words.isdigit() else ""

    old = scene.until(pid, _("gunicorn running in {container}").format(container=container), 10)
    # The shell's own kill: the program is in few images.
    scene.voice.command(f"docker exec {container} sh -c 'kill -9 {old}'")
    scene.demand(container, "sh", "-c", f"kill -9 {old}")
    new = scene.until(lambda: (now := pid()) != old and now, _("another gunicorn in {container}").format(container=container), 20)
    scene.until(lambda: scene.ask(container, "app-health").ok, _("{container} healthy").format(container=container), 20)
    scene.voice.ok(_("gunicorn was process {old}, was killed, and is process {new} now").format(old=old, new=new))


def access_log(scene: Scene, service: str) -> None:
    """A request with a mark of its own shows up in the log of the container. It is for a page that isn't there: health checks are left out."""
    container = scene.first(service)
    mark = f"/mark-{scene.count()}"
    port = getattr(scene.desk.settings.ports, "app")  # noqa: B009
    scene.host.get(port, mark)

    def logged() -> str:
        log: bytes = scene.client.logs(container.name, tail=20)
        return next((line for line in log.decode(errors="replace").splitlines() if mark in line), "")

    scene.voice.output(scene.until(logged, _("{mark} in the log of {name}").format(mark=mark, name=container.name), 5))
    scene.voice.ok(_("gunicorn's access log is in `docker logs`"))
