"""Proofs about containers: their own layer dies with them, their command serves after a restart, and what `docker commit` keeps."""

from __future__ import annotations

from ...host.exec import Answer
from ...model import labels
from ...model.commands import docker, flags, inside, line, pairs
from ...model.text import _
from ..scene import Scene, claim

NOTE = "/tmp/note"


def _throwaway(scene: Scene, reference: str) -> str:
    """A container that waits to be used by hand. It carries our stack's label as a helper and is removed by the caller."""
    marks = {labels.STACK: scene.stack.name, labels.HELPER: "lesson"}
    options = ("--detach", "--network", "none", flags("--label", pairs(marks)), ("--entrypoint", ""))
    scene.voice.command(line(docker("run", *options, reference, "sleep", "300")))
    made = scene.client.create_container(
        reference, ["sleep", "300"], labels=marks, entrypoint=[], host_config=scene.client.create_host_config(network_mode="none")
    )
    scene.client.start(made["Id"])
    identity = str(made["Id"][:12])
    scene.voice.output(identity)
    return identity


def _remove(scene: Scene, *containers: str) -> None:
    for container in filter(None, containers):
        scene.client.remove_container(container, force=True)


def own_layer(scene: Scene, service: str) -> None:
    """A file written in one container is in no other one of the same image, and gone with its container."""
    image = scene.first(service).image.reference
    one = two = three = ""
    try:
        one = _throwaway(scene, image)
        _write(scene, one, "changed")
        scene.voice.command(f"docker diff {one}")
        changed = [c["Path"] for c in scene.client.diff(one) or []]
        scene.voice.output("\n".join(changed))
        claim(NOTE in changed, _("docker diff doesn't show {note}: {changed}").format(note=NOTE, changed=changed))
        scene.voice.ok(_("container {id}: {note} is in its own layer").format(id=one, note=NOTE))
        two = _throwaway(scene, image)
        _has_no_note(scene, two)
        scene.voice.ok(_("another container of the same image, {id}: no {note}").format(id=two, note=NOTE))
        scene.voice.command(f"docker rm --force {one}")
        _remove(scene, one)
        one, three = "", _throwaway(scene, image)
        _has_no_note(scene, three)
        scene.voice.ok(_("a container in its place, {id}: {note} has gone with the first one").format(id=three, note=NOTE))
    finally:
        _remove(scene, one, two, three)


def _write(scene: Scene, container: str, word: str) -> None:
    scene.voice.command(f"docker exec {container} sh -c 'echo {word} > {NOTE}'")
    scene.demand(container, "sh", "-c", f"echo {word} > {NOTE}")


def _ask(scene: Scene, container: str, *argv: str) -> Answer:
    """What a program inside says, shown as a person would see it."""
    scene.voice.command(line(inside(container, *argv)))
    seen = scene.ask(container, *argv)
    scene.voice.output(seen.text)
    return seen


def _has_no_note(scene: Scene, container: str) -> None:
    seen = _ask(scene, container, "ls", NOTE)
    claim("No such file" in seen.text and not seen.ok, _("{note} is in {container} too").format(note=NOTE, container=container))


def restart(scene: Scene, service: str) -> None:
    """Restarted, the container serves again without anybody typing anything."""
    container = scene.first(service)
    from ..apply import Applier
    from ..converge import await_serving

    scene.voice.command(f"docker restart {container.name}")
    scene.client.restart(container.name)
    Applier(scene.client, scene.stack).ready.wait(container, lambda words: None)
    await_serving(scene.desk, scene.stack)
    scene.voice.ok(_("{name} serves again").format(name=container.name))


def commit(scene: Scene, service: str) -> None:
    """A change in a container becomes an image by `docker commit`; a container of it has the change. The image is removed again."""
    repository, tag = f"{scene.stack.name}-lesson", "committed"
    one = two = ""
    try:
        one = _throwaway(scene, scene.first(service).image.reference)
        _write(scene, one, "kept")
        scene.voice.command(f"docker commit {one} {repository}:{tag}")
        scene.client.commit(one, repository, tag)
        two = _throwaway(scene, f"{repository}:{tag}")
        claim(_ask(scene, two, "cat", NOTE).text == "kept", _("the committed image doesn't have the change"))
        scene.voice.ok(_("a container of {image} has the file that was written by hand").format(image=f"{repository}:{tag}"))
    finally:
        _remove(scene, one, two)
        if scene.client.images(f"{repository}:{tag}"):
            scene.client.remove_image(f"{repository}:{tag}")
