"""Proofs about a container's network: its bridge and veth pair, the rule that lets packets in and the one that lets them out.

The host's facts are read by a short-lived container in the host's network namespace, so that the lesson needs no root
rights of the person and is the same over SSH.
"""

from __future__ import annotations

import time

from ...host.helpers import run_helper
from ...model.netfacts import Dnat, HostNet, parse
from ...model.text import _
from ..scene import Scene, claim


def _host_net(scene: Scene) -> HostNet:
    """What the host's network looks like now."""
    image = scene.stack.tools.reference
    return parse(run_helper(scene.client, scene.stack.name, image, ["host-net.sh"], network="host", cap_add=["NET_ADMIN", "NET_RAW"]))


def bridge(scene: Scene, service: str) -> None:
    """The container's gateway is the address of a bridge of the host."""
    gateway = scene.stack.network.gateway
    found = _host_net(scene).bridge_of(gateway)
    claim(found, _("no bridge of the host has the address {gateway}").format(gateway=gateway))
    assert found
    scene.voice.ok(_("the gateway {gateway} is the bridge {name} of the host").format(gateway=gateway, name=found.name))


def veth(scene: Scene, service: str) -> None:
    """The number that eth0 names as its other end is an interface of the host, plugged into the bridge."""
    name = scene.first(service).name
    number = int(scene.demand(name, "cat", "/sys/class/net/eth0/iflink"))
    net = _host_net(scene)
    found, switch = net.veth_of(number), net.bridge_of(scene.stack.network.gateway)
    claim(found, _("the host has no interface number {number}").format(number=number))
    assert found and switch
    claim(
        found.bridge == switch.name,
        _("{veth} is plugged into {other}, not into {name}").format(veth=found.name, other=found.bridge, name=switch.name),
    )
    scene.voice.ok(
        _("eth0 inside says {number}: on the host that is {veth}, plugged into {name}").format(number=number, veth=found.name, name=switch.name)
    )


def _rule(scene: Scene, net: HostNet, service: str) -> Dnat:
    c = scene.first(service)
    _address, outside, inside = c.ports[0]
    found = net.dnat(outside, c.address, inside)
    claim(found, _("no rule carries port {port} to {address}:{inside}").format(port=outside, address=c.address, inside=inside))
    assert found
    return found


def dnat(scene: Scene, service: str) -> None:
    """One request from a network namespace of its own raises the rule's counter; one over loopback doesn't."""
    port = scene.first(service).ports[0][1]
    net = _host_net(scene)
    before = _rule(scene, net, service)
    scene.voice.ok(_("the rule ({flavour}):").format(flavour=net.flavour))
    scene.voice.output(before.text)
    scene.host.get(port, "/")
    loopback = _rule(scene, _host_net(scene), service)
    image = scene.stack.tools.reference
    command = ["netns-client.sh", str(port)]
    # Others may use the port meanwhile: a loopback request that seems to have been counted is tried again.
    end = time.monotonic() + 10
    while loopback.packets != before.packets and time.monotonic() < end:
        before = loopback
        scene.host.get(port, "/")
        loopback = _rule(scene, _host_net(scene), service)
    status = run_helper(scene.client, scene.stack.name, image, command, network="host", cap_add=["NET_ADMIN", "SYS_ADMIN"], timeout=40)
    after = _rule(scene, _host_net(scene), service)
    claim(status.splitlines()[-1:] == ["200"], _("the request from a namespace of its own was answered with {status}").format(status=status))
    proxied = _("docker-proxy took it") if net.proxied(port) else _("the engine took it inside the host")
    scene.voice.table(
        (_("request"), _("counter before"), _("after")),
        [
            (_("over loopback ({how})").format(how=proxied), str(before.packets), str(loopback.packets)),
            (_("from a namespace of its own"), str(loopback.packets), str(after.packets)),
        ],
    )
    claim(loopback.packets == before.packets, _("the request over loopback took the rule"))
    claim(after.packets > loopback.packets, _("the rule's counter did not go up: {packets}").format(packets=after.packets))
    scene.voice.ok(_("the request from outside was carried by the rule"))


def masquerade(scene: Scene, service: str) -> None:
    """A rule gives packets of the stack's subnet the host's address on their way out."""
    subnet = scene.stack.network.subnet
    found = _host_net(scene).masquerade(subnet)
    claim(found, _("no rule lets {subnet} out").format(subnet=subnet))
    assert found
    scene.voice.output(found.text)
    scene.voice.ok(_("packets from {subnet} leave with the host's address").format(subnet=subnet))
