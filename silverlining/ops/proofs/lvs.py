"""Proofs about LVS: requests spread, only MAC addresses change on the way, and answers go past the director."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from ...host.helpers import run_helper
from ...model.text import _
from ..scene import Scene, claim

REQUESTS = 24


def _status(scene: Scene) -> dict[str, Any]:
    found: dict[str, Any] = scene.json(scene.first("lvs").name, "lvs-status")
    return found


def vip_spreads(scene: Scene, service: str) -> None:
    """Connections to the virtual address reach every real server."""
    found: Counter[str] = Counter()
    for _request in range(REQUESTS):
        reply = scene.hit()
        claim(reply.status == 200, _("a hit failed: {status} {text}").format(status=reply.status, text=reply.text[:200]))
        found[reply.headers.get("x-served-by", "?")] += 1
    scene.voice.table((_("container"), _("hits")), [(name, str(found[name])) for name in sorted(found)])
    claim(set(found) == {c.name for c in scene.stack.of("ping-app")}, _("not every server answered: {found}").format(found=dict(found)))
    scene.voice.ok(
        _("{count} hits at {vip} reached all real servers, by {mode}").format(count=REQUESTS, vip=scene.stack.vip, mode=_status(scene)["mode"])
    )


def answers_bypass(scene: Scene, service: str) -> None:
    """The director counts requests only; the answers are counted at the real servers."""
    before = _status(scene)
    sent = [_sent(scene, c.name) for c in scene.stack.of("ping-app")]
    for _request in range(REQUESTS):
        scene.hit()
    after = _status(scene)
    gone = [_sent(scene, c.name) - old for c, old in zip(scene.stack.of("ping-app"), sent, strict=True)]

    def rise(what: str) -> int:
        return int(after["director"][what]["packets"]) - int(before["director"][what]["packets"])

    rows = [(_("director, requests in"), str(rise("requests"))), (_("director, answers through"), str(rise("answers")))]
    rows += [(_("{name}, packets out").format(name=c.name), str(n)) for c, n in zip(scene.stack.of("ping-app"), gone, strict=True)]
    scene.voice.table((_("where"), _("packets")), rows)
    claim(rise("requests") >= REQUESTS, _("the director saw {count} requests only").format(count=rise("requests")))
    claim(rise("answers") == 0, _("answers went through the director"))
    claim(sum(gone) >= REQUESTS, _("the real servers sent {count} packets only").format(count=sum(gone)))
    scene.voice.ok(_("every answer went straight from the real server to the client"))


def _sent(scene: Scene, container: str) -> int:
    return int(scene.demand(container, "cat", "/sys/class/net/eth0/statistics/tx_packets"))


def only_macs_change(scene: Scene, service: str) -> None:
    """The same request before and behind the director: same addresses and ports, other MAC addresses."""
    from concurrent.futures import ThreadPoolExecutor

    director, reals = scene.first("lvs").name, scene.stack.of("ping-app")
    lvs = scene.first("lvs")
    places = [director, *(c.name for c in reals)]

    def trace(place: str) -> list[str]:
        command = ["env", f"VIP={scene.stack.vip}", "PORT=8000", f"DIRECTOR={lvs.address}", "lvs-trace", "5000", "5"]
        text = run_helper(
            scene.client, scene.stack.name, lvs.image.reference, command, network=f"container:{place}", cap_add=["NET_RAW", "NET_ADMIN"], timeout=30
        )
        return text.splitlines()

    with ThreadPoolExecutor(len(places)) as pool:
        futures = {place: pool.submit(trace, place) for place in places}
        # Hits until the traces end: the first ones may come before tcpdump listens.
        while not all(future.done() for future in futures.values()):
            scene.hit()
        seen = {place: future.result() for place, future in futures.items()}
    pair = _same_packet(seen, director, [c.name for c in reals])
    claim(pair, _("no request was seen both at the director and at a real server"))
    assert pair
    place, first, second = pair
    scene.voice.table((_("seen at"), _("packet")), [(director, first), (place, second)])
    scene.voice.ok(_("addresses, ports and sequence number are the same; only the MAC addresses differ"))


ENDS = r"\d+\.\d+\.\d+\.\d+\.\d+ > \d+\.\d+\.\d+\.\d+\.\d+"
# Addresses, ports, flags and the absolute sequence number are those of one packet, or of the same sent again.
PACKET = re.compile(rf"^(?P<source>[0-9a-f:]{{17}}) > (?P<target>[0-9a-f:]{{17}}),.*?(?P<packet>{ENDS}: Flags \[\S+\], seq \d+\S*)$")


def _same_packet(seen: dict[str, list[str]], director: str, reals: list[str]) -> tuple[str, str, str] | None:
    """(real server, line at the director, line there) of one packet that the director got, and sent on with its own MAC address as the source."""
    at_director: dict[str, tuple[re.Match[str], str]] = {}
    for line in seen[director]:
        # A packet passes the director twice; the first time it comes from the client.
        if match := PACKET.match(line):
            at_director.setdefault(match["packet"], (match, line))
    for place in reals:
        for line in seen[place]:
            match = PACKET.match(line)
            other = at_director.get(match["packet"]) if match else None
            if match and other and match["source"] == other[0]["target"] != match["target"]:
                return place, other[1], line
    return None
