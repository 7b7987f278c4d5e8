"""Reads what builds/lib/host-net.sh prints of a host's network: who owns a gateway, which veth is a container's, which rules carry its traffic."""

from __future__ import annotations

import ipaddress
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

NFTABLES, IPTABLES_NFT, IPTABLES_LEGACY = "nftables", "iptables-nft", "iptables-legacy"


@dataclass(frozen=True)
class Interface:
    """A network interface of the host."""

    index: int
    name: str
    kind: str = ""  # bridge, veth, …; empty for hardware
    bridge: str = ""  # the bridge that it is plugged into
    peer: int = 0  # index of the other end of a veth pair, in the other namespace
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dnat:
    """A rule that carries a port of the host to a container. `packets` counts connections: only the first packet of each passes a nat rule."""

    port: int
    to_address: str
    to_port: int
    packets: int
    text: str
    protocol: str = "tcp"
    host_address: str = ""  # empty: every address of the host
    not_from: str = ""  # the bridge whose own containers skip this rule


@dataclass(frozen=True)
class Masquerade:
    """A rule that gives packets of a subnet the host's own address on their way out."""

    subnet: str
    not_to: str  # the bridge on which they keep theirs
    packets: int
    text: str


@dataclass(frozen=True)
class HostNet:
    """The facts of one host, at one moment."""

    flavour: str  # one of the three names above; empty where no rule of Docker's was found
    interfaces: tuple[Interface, ...]
    dnats: tuple[Dnat, ...]
    masquerades: tuple[Masquerade, ...]
    listening: frozenset[int]

    def bridge_of(self, gateway: str) -> Interface | None:
        """The bridge that owns this gateway address."""
        return next((one for one in self.interfaces if one.kind == "bridge" and gateway in one.addresses), None)

    def veth_of(self, iflink: int) -> Interface | None:
        """The host's end of the pair whose other end is a container's eth0: /sys/class/net/eth0/iflink there is the index here."""
        return next((one for one in self.interfaces if one.kind == "veth" and one.index == iflink), None)

    def dnat(self, port: int, to_address: str, to_port: int, protocol: str = "tcp") -> Dnat | None:
        """The rule that carries the host's port to this container."""
        wanted = (port, to_address, to_port, protocol)
        return next((one for one in self.dnats if (one.port, one.to_address, one.to_port, one.protocol) == wanted), None)

    def masquerade(self, subnet: str) -> Masquerade | None:
        """The rule that lets containers of this subnet out."""
        return next((one for one in self.masquerades if one.subnet == subnet), None)

    def proxied(self, port: int) -> bool:
        """Does a program listen on this port? For a published one that is docker-proxy: it takes what no rule carries, above all loopback."""
        return port in self.listening


def sections(output: str) -> dict[str, str]:
    """The parts of the script's output by name."""
    found = re.split(r"^== (\S+)\n", output, flags=re.MULTILINE)
    return dict(zip(found[1::2], (text.strip() for text in found[2::2]), strict=True))


def parse(output: str) -> HostNet:
    """All facts. ValueError where this is not the script's output."""
    part = sections(output)
    if not part.get("address"):
        raise ValueError("the host's network could not be read: no section 'address' in the answer")
    rules = {
        NFTABLES: list(nftables(part.get("nft", ""))),
        IPTABLES_NFT: list(iptables(part.get("iptables-nft", ""))),
        IPTABLES_LEGACY: list(iptables(part.get("iptables-legacy", ""))),
    }
    dnats = {name: tuple(rule for rule in found if isinstance(rule, Dnat)) for name, found in rules.items()}
    # A host that has changed sides may keep old rules on the other: where ports are carried is where Docker is now.
    flavour = max(rules, key=lambda name: (bool(dnats[name]), bool(rules[name])))
    return HostNet(
        flavour if rules[flavour] else "",
        tuple(interfaces(part["address"])),
        dnats[flavour],
        tuple(rule for rule in rules[flavour] if isinstance(rule, Masquerade)),
        frozenset(listeners(part.get("listen", ""))),
    )


def interfaces(text: str) -> Iterator[Interface]:
    """`ip -d -j address`."""
    for link in json.loads(text):
        yield Interface(
            index=link["ifindex"],
            name=link["ifname"],
            kind=link.get("linkinfo", {}).get("info_kind", ""),
            bridge=link.get("master", ""),
            peer=link.get("link_index", 0),
            addresses=tuple(one["local"] for one in link.get("addr_info", ()) if "local" in one),
        )


def listeners(text: str) -> Iterator[int]:
    """`ss -H -t -l -n`: the ports somebody listens on."""
    for line in text.splitlines():
        fields = line.split()
        if len(fields) >= 4 and fields[0] == "LISTEN":
            yield int(fields[3].rpartition(":")[2])


def iptables(text: str) -> Iterator[Dnat | Masquerade]:
    """Docker's rules in `iptables-save -c -t nat`, of either iptables."""
    for line in text.splitlines():
        counted = re.fullmatch(r"\[(\d+):\d+\] (-A .*)", line)
        if not counted:
            continue
        packets, rule = int(counted[1]), counted[2]
        option = _options(rule)
        if option.get("-j") == "DNAT" and option["-A"] == "DOCKER" and "--dport" in option:
            address, _, port = option["--to-destination"].rpartition(":")
            host = option.get("-d", "").removesuffix("/32")
            yield Dnat(int(option["--dport"]), address, int(port), packets, rule, option.get("-p", "tcp"), host, option.get("! -i", ""))
        elif option.get("-j") == "MASQUERADE" and "-s" in option and "! -o" in option:
            yield Masquerade(option["-s"], option["! -o"], packets, rule)


def _options(rule: str) -> dict[str, str]:
    """The options of one rule, "! -i" for a negated one."""
    words = shlex.split(rule)
    found: dict[str, str] = {}
    for at, word in enumerate(words[:-1]):
        if word.startswith("-") and not words[at + 1].startswith("-"):
            found["! " + word if at and words[at - 1] == "!" else word] = words[at + 1]
    return found


def nftables(text: str) -> Iterator[Dnat | Masquerade]:
    """Rules of the table `ip docker-bridges` in `nft -j list table`: engine 29 with its own nftables backend."""
    if not text:
        return
    for item in json.loads(text)["nftables"]:
        rule = item.get("rule")
        if not rule:
            continue
        match = {_field(one["match"]): one["match"] for one in rule["expr"] if "match" in one}
        does = {verb: one[verb] for one in rule["expr"] for verb in one if verb != "match"}
        packets = does.get("counter", {}).get("packets", 0) if isinstance(does.get("counter"), Mapping) else 0
        text = _rule_text(rule["chain"], match, does)
        port = next((name for name in match if name.endswith(" dport")), None)
        if "dnat" in does and port and "port" in does["dnat"]:
            host = match.get("ip daddr", {}).get("right", "")
            not_from = _negated(match.get("iifname"))
            yield Dnat(match[port]["right"], does["dnat"]["addr"], does["dnat"]["port"], packets, text, port.split()[0], host, not_from)
        elif "masquerade" in does and "ip saddr" in match and _negated(match.get("oifname")):
            yield Masquerade(_right(match["ip saddr"]), _negated(match["oifname"]), packets, text)


def _field(match: Mapping[str, Any]) -> str:
    """What a match looks at, as nft writes it: "tcp dport", "iifname"."""
    left = match["left"]
    if not isinstance(left, Mapping):
        return str(left)
    if "payload" in left:
        return f"{left['payload'].get('protocol', '')} {left['payload'].get('field', '')}"
    return str(left["meta"]["key"]) if "meta" in left else " ".join(left)


def _negated(match: Mapping[str, Any] | None) -> str:
    return str(match["right"]) if match and match["op"] == "!=" else ""


def _right(match: Mapping[str, Any]) -> str:
    """The value of a match; a subnet as people write it."""
    value = match["right"]
    if isinstance(value, Mapping) and "prefix" in value:
        return str(ipaddress.ip_network(f"{value['prefix']['addr']}/{value['prefix']['len']}"))
    return json.dumps(value) if isinstance(value, (dict, list)) else str(value)


def _rule_text(chain: str, match: Mapping[str, Mapping[str, Any]], does: Mapping[str, Any]) -> str:
    """The rule as `nft list` would print it, without its comment."""
    words = [f"{field} {'!= ' if one['op'] == '!=' else ''}{_right(one)}" for field, one in match.items()]
    if isinstance(does.get("counter"), Mapping):
        words.append(f"counter packets {does['counter']['packets']} bytes {does['counter']['bytes']}")
    if "dnat" in does:
        words.append(f"dnat to {does['dnat']['addr']}:{does['dnat'].get('port', '')}".rstrip(":"))
    if "masquerade" in does:
        words.append("masquerade")
    return f"{chain}: " + " ".join(words)
