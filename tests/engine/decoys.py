"""Objects on the host that are not ours, though some look much like it: no task may touch them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from docker import APIClient
from docker.errors import NotFound
from docker.types import IPAMConfig, IPAMPool

from .tiny import IMAGE, make_image

# A stranger; a stack whose name begins like ours, complete with our other labels; a label whose name begins like ours.
KINDS: dict[str, dict[str, str]] = {
    "stranger": {},
    "neighbour": {"io.silverlining.stack": "sl-test-2", "io.silverlining.service": "redis-master", "io.silverlining.index": "1"},
    "lookalike": {"io.silverlining.stackx": "sl-test", "io.silverlining.service": "redis-slave", "io.silverlining.index": "1"},
}
NAMES = {"stranger": "sl-decoy", "neighbour": "sl-test-2-redis-master-1", "lookalike": "sl-test-redis-slave-9"}


class Decoys:
    """One container, network and volume of each kind."""

    def __init__(self, client: APIClient) -> None:
        self.client = client
        self.remove()
        self.made = make_image(client)
        for number, (kind, labels) in enumerate(KINDS.items()):
            name = NAMES[kind]
            client.create_volume(name, labels=labels)
            pool = IPAMPool(subnet=f"10.99.119.{16 * number}/28")
            client.create_network(name, labels=labels, ipam=IPAMConfig(pool_configs=[pool]))
            config = client.create_host_config(network_mode=name)
            client.create_container(IMAGE, ["cat"], name=name, labels=labels, stdin_open=True, host_config=config)
            client.start(name)
        self.first = self.look()

    def look(self) -> list[Any]:
        """Ids and times of all: equal as long as nobody has touched them."""
        found: list[Any] = []
        for name in NAMES.values():
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
        for name in NAMES.values():
            for end in (
                lambda n: self.client.remove_container(n, force=True, v=True),
                self.client.remove_network,
                lambda n: self.client.remove_volume(n, force=True),
            ):
                with suppress(NotFound):
                    end(name)
