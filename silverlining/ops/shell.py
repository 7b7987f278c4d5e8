"""A shell inside a container, on the person's own terminal."""

from __future__ import annotations

from ..console.keys import on_terminal, restored
from ..model.errors import SilverliningError
from ..model.text import _
from .desk import Desk


def open_shell(desk: Desk, container_name: str) -> int:
    """Opens a shell in the container of that name and waits for its end. Gives its exit code.

    Raises SilverliningError where there is no terminal, no docker client, or the container does not run.
    """
    command = ["docker", "exec", "--interactive", "--tty", container_name, "sh"]
    if not (on_terminal() and desk.voice.terminal):
        raise SilverliningError(_("a shell needs a terminal"), _("docker exec {name} COMMAND runs one command without").format(name=container_name))
    _refuse_unless_running(desk, container_name)
    desk.voice.command(" ".join(command))
    with restored():
        return desk.host.interact(command)


def _refuse_unless_running(desk: Desk, name: str) -> None:
    from docker.errors import NotFound

    try:
        state = desk.host.client.inspect_container(name)["State"]["Status"]
    except NotFound:
        raise SilverliningError(_("no container {name} stands").format(name=name), _("invoke status shows what stands")) from None
    if state != "running":
        raise SilverliningError(_("{name} is {state}: no shell can be opened in it").format(name=name, state=state), _("invoke deploy-all mends it"))


def container_of(desk: Desk, service: str, index: str = "") -> str:
    """The name of a service's container: of the first that runs without an `index`. Raises SilverliningError."""
    from .standing import chosen

    there = chosen(desk, (service,))
    if not index:
        return next((c for c in there if c.running), there[0]).name
    found = next((c.name for c in there if str(c.index) == index), "")
    if not found:
        raise SilverliningError(
            _("there is no {service} number {index}").format(service=service, index=index),
            _("--index is one of: {numbers}").format(numbers=", ".join(str(c.index) for c in there)),
        )
    return found
