"""What the facts of a host mean for the course: pure functions from what was read to findings with a next step."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .amounts import size
from .images import IMAGES, registry_of
from .text import _

OK, WARN, FAIL = "ok", "warn", "fail"
GB = 1_000_000_000
# Bytes that the running course takes, and that getting one image takes at most (a build holds more than its result).
TO_RUN, TO_GET = GB // 2, GB // 5
MEMORY = 1.5 * GB
SKEW = 5.0  # seconds that the engine's clock may be off from ours
DRIFT = 60.0  # seconds that both may be off from a server's
EARLIEST = 1_735_689_600  # 2025-01-01: a clock before it has not been set
MODULES = ("ip_vs", "overlay", "bridge", "veth", "nf_tables")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `state` is ok, warn, or fail where the course can't run; `by` says who read it; `hint` what to do."""

    name: str
    state: str
    seen: str
    hint: str = ""
    by: str = ""


@dataclass(frozen=True)
class Answer:
    """What a server said: HTTP status (0: none), the reason if there was none, and its clock (seconds since 1970; 0 unknown)."""

    url: str
    status: int
    words: str = ""
    clock: float = 0.0
    by: str = ""

    @property
    def ok(self) -> bool:
        """It answers, and not that the thing isn't there."""
        return 0 < self.status < 400 or self.status == 401


@dataclass(frozen=True)
class Kernel:
    """What is known of the host's kernel: features that are there, and whether the lack of one can be told."""

    there: frozenset[str]
    complete: bool
    by: str = ""


def kernel(parts: Mapping[str, str], by: str) -> Kernel:
    """From the sections of a script: filesystems, modules, config, ipvs, loadable, builtin (see host/probes.py)."""
    there = {word for word in MODULES if re.search(rf"\b{word}$", parts.get("filesystems", ""), re.MULTILINE)}
    there |= set(parts.get("modules", "").split()) | set(parts.get("loadable", "").split()) | set(parts.get("builtin", "").split())
    options = {"ip_vs": "IP_VS", "overlay": "OVERLAY_FS", "bridge": "BRIDGE", "veth": "VETH", "nf_tables": "NF_TABLES"}
    set_ = set(re.findall(r"^CONFIG_(\w+)=[ym]", parts.get("config", ""), re.MULTILINE))
    there |= {name for name, option in options.items() if option in set_}
    if parts.get("ipvs"):
        there.add("ip_vs")
    return Kernel(frozenset(there & set(MODULES)), bool(parts.get("config") or parts.get("loadable") or parts.get("builtin")), by)


def kernel_findings(seen: Kernel, info: Mapping[str, Any]) -> list[Finding]:
    """overlay, bridge and IP_VS. What the engine uses already is there."""
    driver = str(info.get("Driver", ""))
    there = seen.there | ({"overlay"} if driver.startswith("overlay") else set()) | ({"bridge"} if "bridge" in _networks(info) else set())
    found = []
    for name, hint in (("overlay", _("images need a kernel with overlay: modprobe overlay")), ("bridge", _("modprobe bridge"))):
        state = OK if name in there else FAIL if seen.complete and name == "bridge" else WARN
        words = _("there") if name in there else _("missing") if seen.complete else _("could not be read")
        found.append(Finding(f"kernel: {name}", state, words, "" if state == OK else hint, seen.by))
    if "ip_vs" in there:
        found.append(Finding("kernel: IP_VS", OK, _("there"), by=seen.by))
    else:
        words = _("missing") if seen.complete else _("not loaded, and whether it could be can't be read")
        stand_in = "nf_tables" in there or not seen.complete
        hint = (
            _("nothing to do: step06-lvs does the same with nftables")
            if stand_in
            else _("take step06-haproxy instead of step06-lvs, or: modprobe ip_vs")
        )
        found.append(Finding("kernel: IP_VS", OK if "nf_tables" in there else WARN, words, hint, seen.by))
    return found


def _networks(info: Mapping[str, Any]) -> list[str]:
    return list((info.get("Plugins") or {}).get("Network") or [])


def engine_findings(info: Mapping[str, Any], version: str, endpoint: str, notes: Sequence[str] = ()) -> list[Finding]:
    """Version, storage driver, limits and memory of an engine that answers."""
    named = _("Docker {version} at {endpoint}, {system}, {arch}").format(
        version=version, endpoint=endpoint, system=info.get("OperatingSystem", "?"), arch=info.get("Architecture", "?")
    )
    found = [Finding("engine", OK, named, "; ".join(notes), "engine")]
    driver = str(info.get("Driver", "?"))
    status = {pair[0]: pair[1] for pair in info.get("DriverStatus") or [] if len(pair) == 2}
    backing = status.get("Backing Filesystem") or status.get("driver-type") or ""
    good = driver in ("overlay2", "overlayfs", "btrfs", "zfs", "fuse-overlayfs")
    hint = "" if good else _("{driver} is slow or copies every layer: overlay2 on ext4 or xfs is what Docker advises").format(driver=driver)
    found.append(Finding("storage driver", OK if good else WARN, f"{driver} ({backing})" if backing else driver, hint, "engine"))
    missing = [words for key, words in (("MemoryLimit", _("memory")), ("CpuCfsQuota", _("CPU"))) if info.get(key) is False]
    if missing:
        words = _("not enforced for {what}").format(what=", ".join(missing))
        found.append(Finding("limits", WARN, words, _("the course runs, but nothing keeps a container within its limits"), "engine"))
    if memory := info.get("MemTotal"):
        little = memory < MEMORY
        hint = _("the last steps need about {size}").format(size=size(MEMORY)) if little else ""
        found.append(Finding("memory", WARN if little else OK, size(memory), hint, "engine"))
    return found


def firewall(flavour: str, backend: str, tool: str, by: str) -> Finding:
    """`flavour` was read from the rules themselves, `backend` is the engine's word, `tool` what `iptables --version` says."""
    if flavour:
        return Finding("iptables", OK, _("Docker's rules are in {flavour}").format(flavour=flavour), by=by)
    found = re.search(r"\((nf_tables|legacy)\)", tool)
    if found or backend:
        words = f"iptables-{'nft' if found and found[1] == 'nf_tables' else 'legacy'}" if found else backend
        return Finding("iptables", OK, _("{words} by its own word; the rules can be read once the tools image is here").format(words=words), by=by)
    hint = _("without Docker's rules published ports go by docker-proxy alone, and step01's lesson has no rule to show")
    return Finding("iptables", WARN, _("no rules of Docker's, and no iptables here"), hint, by)


@dataclass(frozen=True)
class Held:
    """Who holds a port of the settings: `ours`, or somebody by name."""

    who: str = ""
    ours: bool = False


def ports(wanted: Mapping[str, int], held: Mapping[int, Held], by: str) -> list[Finding]:
    """One finding for all that are free or ours, one for each that somebody else holds."""
    found = []
    for name, port in wanted.items():
        holder = held.get(port)
        if holder and not holder.ours:
            words = _("{port} is taken by {who}").format(port=port, who=holder.who)
            other = next(free for free in range(port + 1, port + 1000) if free not in held and free not in wanted.values())
            hint = _("stop that program, or choose another port: --set ports.{name}={other}").format(name=name, other=other)
            found.append(Finding(f"port {name}", FAIL, words, hint, by))
    good = [port for port in wanted.values() if not (held.get(port) and not held[port].ours)]
    ours = [port for port in good if port in held]
    if good:
        words = ", ".join(map(str, good)) + " " + (_("free, or this stack's own") if ours else _("free"))
        found.insert(0, Finding("ports", OK, words, by=by))
    return found


def disk(free: int, place: str, to_get: int, by: str) -> Finding:
    """`free` bytes at `place`, with `to_get` images to come."""
    need = TO_RUN + to_get * TO_GET
    words = _("{size} free at {place}").format(size=size(free), place=place)
    hint = _("{size} is what the course needs from here; `docker system df` shows what takes room").format(size=size(need))
    if free >= need:
        return Finding("disk", OK, words, by=by)
    return Finding("disk", FAIL if free < need / 2 else WARN, words, hint, by)


def clocks(here: float, ahead: float | None, servers: Iterable[Answer]) -> Finding:
    """Our clock (seconds since 1970), how far the engine's is ahead of it (None: unknown), and servers that answered."""
    if here < EARLIEST:
        return Finding("time", FAIL, _("the clock has not been set"), _("set it (timedatectl set-ntp true): certificates and package lists need it"))
    if ahead is not None and abs(ahead) > SKEW:
        words = _("the engine's clock is off by {seconds:.0f} s from this machine's").format(seconds=ahead)
        return Finding("time", WARN, words, _("set both by NTP: `docker logs --since` and the age of images would be wrong"), "engine")
    off = [answer.clock - here for answer in servers if answer.clock]
    if off and abs(min(off, key=abs)) > DRIFT:
        words = _("off by {seconds:.0f} s from the servers that answered").format(seconds=min(off, key=abs))
        return Finding("time", WARN, words, _("set it by NTP: certificates and package lists may not be valid yet, or any more"))
    return Finding("time", OK, _("right, as far as the engine and the servers tell") if ahead is not None or off else _("plausible"))


def server(name: str, answer: Answer, needed: bool, hint: str) -> Finding:
    """A mirror or registry. Without it the course still runs where nothing is to be got, or where another rung serves: the images tell."""
    words = answer.url + ": " + (_("answers") if answer.ok else answer.words or str(answer.status))
    return Finding(
        name, OK if answer.ok else WARN, words, "" if answer.ok else hint if needed else _("nothing to do: all images are here"), answer.by
    )


@dataclass(frozen=True)
class Sources:
    """What may give images: names in a bundle, registries that answer (by host, "" for the default one), whether Debian's and Python's packages
    can be had, and the names of what this machine's engine can stream to another one.
    """

    bundle: frozenset[str] = frozenset()
    registries: frozenset[str] = frozenset()
    packages: bool = False
    python: bool = False
    references: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)
    streamable: frozenset[str] = frozenset()


def rung(name: str, present: bool, built_by: Sequence[str], sources: Sources, others: Mapping[str, str]) -> str:
    """The rung from which an image would come; "" if from none. `built_by` are the ways to build it, on those of the `others` (their rungs)
    that it is built on."""
    if present:
        return "present"
    if name in sources.bundle:
        return "bundle"
    if name in sources.streamable:
        return "streamed"
    for reference, kind in sources.references.get(name, ()):
        if registry_of(reference) in sources.registries:
            return kind
    image = IMAGES[name]
    servers = (sources.packages or not image.debian) and (sources.python or not image.python)
    return " / ".join(built_by) if built_by and servers and all(others.get(parent) for parent in image.parents) else ""


def images(rungs: Mapping[str, str]) -> Finding:
    """Whether each image is here or can be got."""
    lost = [name for name, rung in rungs.items() if not rung]
    here = sum(rung == "present" for rung in rungs.values())
    if lost:
        hint = _("name a mirror (images.mirror, build.mirror), or bring a bundle: `invoke images.save` elsewhere, `invoke images.load` here")
        return Finding("images", FAIL, _("can't be had from here: {names}").format(names=", ".join(lost)), hint)
    if here == len(rungs):
        return Finding("images", OK, _("all {count} are here").format(count=here))
    return Finding("images", OK, _("{here} of {all} are here, the others can be got").format(here=here, all=len(rungs)))
