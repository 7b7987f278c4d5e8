"""The facts of a host's network, from what real hosts said: engine 29 with each of its three kinds of rules (netfacts/*.txt, by host-net.sh)."""

from pathlib import Path

import pytest

from silverlining.model import netfacts

RECORDED = Path(__file__).parent / "netfacts"
FLAVOURS = {netfacts.NFTABLES: ("nft", 4), netfacts.IPTABLES_NFT: ("iptables-nft", 10), netfacts.IPTABLES_LEGACY: ("iptables-legacy", 7)}
BRIDGE = "br-25fcf803362d"


def recorded(flavour: str) -> str:
    return (RECORDED / f"{FLAVOURS[flavour][0]}.txt").read_text()


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_every_flavour_tells_the_same_story(flavour: str) -> None:
    host = netfacts.parse(recorded(flavour))
    assert host.flavour == flavour
    bridge = host.bridge_of("10.99.214.1")
    assert bridge and bridge.name == BRIDGE
    veth = host.veth_of(FLAVOURS[flavour][1])  # iflink of the container's eth0, read in the container
    assert veth and veth.name.startswith("veth") and veth.bridge == BRIDGE
    dnat = host.dnat(29080, "10.99.214.2", 8000)
    assert dnat and (dnat.packets, dnat.not_from, dnat.host_address, dnat.protocol) == (1, BRIDGE, "", "tcp")
    assert "29080" in dnat.text and "10.99.214.2:8000" in dnat.text
    masquerade = host.masquerade("10.99.214.0/24")
    assert masquerade and masquerade.not_to == BRIDGE and "masquerade" in masquerade.text.lower()
    assert host.proxied(29080) and not host.proxied(80)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_what_is_not_there_is_not_found(flavour: str) -> None:
    host = netfacts.parse(recorded(flavour))
    assert host.bridge_of("10.99.214.9") is None
    assert host.bridge_of("127.0.0.1") is None  # an address of the host, but of no bridge
    assert host.veth_of(1) is None and host.veth_of(3) is None  # lo and the bridge are no veth
    assert host.dnat(29080, "10.99.214.3", 8000) is None and host.dnat(29080, "10.99.214.2", 8000, "udp") is None
    assert host.masquerade("10.99.215.0/24") is None


def test_the_counter_of_a_rule_is_read() -> None:
    before = recorded(netfacts.IPTABLES_LEGACY).replace("[1:60] -A DOCKER", "[0:0] -A DOCKER")
    rule = netfacts.parse(before).dnat(29080, "10.99.214.2", 8000)
    assert rule and rule.packets == 0


def test_a_port_bound_to_one_address() -> None:
    line = "[3:180] -A DOCKER -d 127.0.0.1/32 ! -i br-0c8f7150703f -p tcp -m tcp --dport 29999 -j DNAT --to-destination 10.99.14.2:19999"
    (rule,) = netfacts.iptables(line)
    assert isinstance(rule, netfacts.Dnat)
    assert (rule.host_address, rule.port, rule.to_port, rule.packets) == ("127.0.0.1", 29999, 19999, 3)


def test_other_peoples_rules_are_not_docker_s() -> None:
    text = "[0:0] -A PREROUTING -p tcp -m tcp --dport 29080 -j DNAT --to-destination 10.99.214.2:8000\n[0:0] -A POSTROUTING -o eth0 -j MASQUERADE"
    assert list(netfacts.iptables(text)) == []


def test_old_rules_on_the_other_side_do_not_count() -> None:
    old = "*nat\n[0:0] -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE\n"
    text = recorded(netfacts.IPTABLES_LEGACY).replace("== iptables-nft\n", "== iptables-nft\n" + old)
    assert netfacts.parse(text).flavour == netfacts.IPTABLES_LEGACY


def test_a_host_without_docker_s_rules_has_no_flavour() -> None:
    address = netfacts.sections(recorded(netfacts.NFTABLES))["address"]
    host = netfacts.parse(f"== address\n{address}\n")
    assert (host.flavour, host.dnats, host.masquerades) == ("", (), ())


@pytest.mark.parametrize("output", ["", "docker: permission denied", "== address\n\n== nft\n"])
def test_an_answer_that_is_none_is_an_error(output: str) -> None:
    with pytest.raises(ValueError, match="network could not be read"):
        netfacts.parse(output)
