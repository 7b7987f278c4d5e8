"""What would be seen of a host on which a stack stands: for plans of what is not there, as in a dry run or on a page."""

from __future__ import annotations

from .observed import Observed, RedisNode, SeenContainer, SentinelView
from .stack import Container, Stack


def standing(stack: Stack) -> Observed:
    """All containers well, the first Redis node being the master."""
    nodes = [c for c in stack.containers if c.service.startswith("redis")]
    sentinels = stack.of("sentinel")
    follows = {c.name: RedisNode("slave", nodes[0].address, True, 9) for c in nodes[1:]}
    return Observed(
        stack.name,
        tuple(map(seen, stack.containers)),
        subnet=stack.network.subnet if stack.containers else "",
        volumes=frozenset(v.name for v in stack.volumes),
        redis=follows | {c.name: RedisNode("master", offset=9, replicas=len(follows)) for c in nodes[:1]},
        sentinels={c.name: SentinelView(nodes[0].address, len(sentinels) - 1, len(follows)) for c in sentinels},
        keys=stack.servers() or None,
    )


def seen(c: Container) -> SeenContainer:
    """A container as it is seen when it stands as defined."""
    ports = tuple(outside for _address, outside, _inside in c.ports)
    health = "healthy" if c.health else ""
    return SeenContainer(c.name, c.name, c.service, c.index, c.spec, c.step, "running", health, c.address, c.image.reference, ports)
