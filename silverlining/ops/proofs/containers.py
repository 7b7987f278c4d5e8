"""Proofs about containers: their own layer dies with them, their command serves after a restart, and what `docker commit` keeps."""

from __future__ import annotations

from ...model import labels
from ...model.stack import ImageRef
from ...model.text import _
from ..scene import Scene, claim

NOTE = "/tmp/note"


def _throwaway(scene: Scene, image: ImageRef | str) -> str:
    """A container that waits to be used by hand. It carries our stack's label as a helper and is removed by the caller."""
    reference = image if isinstance(image, str) else image.reference
    marks = {labels.STACK: scene.stack.name, labels.HELPER: "lesson"}
    made = scene.client.create_container(
        reference, ["sleep", "300"], labels=marks, entrypoint=[], host_config=scene.client.create_host_config(network_mode="none")
    )
    scene.client.start(made["Id"])
    return str(made["Id"][:12])


def own_layer(scene: Scene, service: str) -> None:
    """A file written in one container is in no other one of the same image, and gone with its container."""
    image = scene.first(service).image
    one = two = ""
    try:
        one = _throwaway(scene, image)
        scene.voice.command(f"docker exec {one} sh -c 'echo changed > {NOTE}'")
        scene.demand(one, "sh", "-c", f"echo changed > {NOTE}")
        scene.voice.command(f"docker diff {one}")
        changed = [c["Path"] for c in scene.client.diff(one) or []]
        scene.voice.ok(_("container {id}: wrote {note}; docker diff shows it").format(id=one, note=NOTE))
        claim(NOTE in changed, _("docker diff doesn't show {note}: {changed}").format(note=NOTE, changed=changed))
        two = _throwaway(scene, image)
        claim(not scene.ask(two, "test", "-e", NOTE).ok, _("{note} is in another container too").format(note=NOTE))
        scene.voice.ok(_("container {id} of the same image: no {note}").format(id=two, note=NOTE))
    finally:
        for container in (one, two):
            if container:
                scene.client.remove_container(container, force=True)


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
        one = _throwaway(scene, scene.first(service).image)
        scene.voice.command(f"docker exec {one} sh -c 'echo kept > {NOTE}'")
        scene.demand(one, "sh", "-c", f"echo kept > {NOTE}")
        scene.voice.command(f"docker commit {one} {repository}:{tag}")
        scene.client.commit(one, repository, tag)
        two = _throwaway(scene, f"{repository}:{tag}")
        claim(scene.ask(two, "cat", NOTE).text == "kept", _("the committed image doesn't have the change"))
        scene.voice.ok(_("a container of {image} has the file that was written by hand").format(image=f"{repository}:{tag}"))
    finally:
        for container in (one, two):
            if container:
                scene.client.remove_container(container, force=True)
        if scene.client.images(f"{repository}:{tag}"):
            scene.client.remove_image(f"{repository}:{tag}")
