"""Objects on the host that are not ours, though some look much like it: no task may touch them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from docker import APIClient
from docker.errors import NotFound

from .tiny import IMAGE, make_image


def kinds(stack: str) -> dict[str, dict[str, str]]:
    """Names and labels: a stranger; a stack whose name begins like ours, with our other labels; a label whose name begins like ours."""
    others = {"io.silverlining.service": "redis-master", "io.silverlining.index": "1"}
    return {
        f"{stack}-decoy": {},
        f"{stack}-2-redis-master-1": {"io.silverlining.stack": f"{stack}-2", **others},
        f"{stack}-redis-slave-9": {"io.silverlining.stackx": stack, **others},
    }


class Decoys:
    """One container, network and volume of each kind."""

    def __init__(self, client: APIClient, stack: str) -> None:
        self.client = client
        self.names = list(kinds(stack))
        self.remove()
        make_image(client)
        for name, labels in kinds(stack).items():
            client.create_volume(name, labels=labels)
            client.create_network(name, labels=labels)
            client.create_container(
                IMAGE, ["cat"], name=name, labels=labels, stdin_open=True, host_config=client.create_host_config(network_mode=name)
            )
            client.start(name)
        self.first = self.look()

    def look(self) -> list[Any]:
        """Ids and times of all: equal as long as nobody has touched them."""
        found: list[Any] = []
        for name in self.names:
            container = self.client.inspect_container(name)
            network = self.client.inspect_network(name)
            found += [container["Id"], container["State"]["StartedAt"], container["State"]["Status"], network["Id"], list(network["Containers"])]
            found.append(self.client.inspect_volume(name))
        return found

    def must_be_untouched(self) -> None:
        """They are as they were."""
        assert self.look() == self.first

    def remove(self) -> None:
        """Takes them away."""
        for name in self.names:
            for end in (
                lambda n: self.client.remove_container(n, force=True, v=True),
                self.client.remove_network,
                lambda n: self.client.remove_volume(n, force=True),
            ):
                with suppress(NotFound):
                    end(name)
