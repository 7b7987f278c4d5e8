"""Looks at a host as the course needs it: what is there, what is missing, what to do about it. Changes nothing."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any

from ..host import probes
from ..host.bundle import open_bundle, refuse_foreign
from ..host.ports import holder, parse_listeners
from ..host.probes import PATIENCE, Asked
from ..model import diagnosis as about
from ..model import labels
from ..model.diagnosis import FAIL, OK, WARN, Answer, Finding, Held, Sources
from ..model.errors import EngineError, FileRefused
from ..model.images import IMAGES, registry_of
from ..model.netfacts import parse
from ..model.text import _
from .desk import Desk

DOCKER_ROOT = "/var/lib/docker"
HUB = "https://registry-1.docker.io/v2/"


def doctor(desk: Desk) -> tuple[list[Finding], dict[str, str]]:
    """Asks everything side by side, says what it means, and gives the findings and the rung from which each image would come."""
    settings = desk.settings
    debian, python = (Asked(partial(probes.ask_url, url, settings)) for url in (probes.debian_url(settings), probes.python_url(settings)))
    engine = Asked(lambda: desk.host.engine)
    until = time.monotonic() + PATIENCE
    try:
        engine.get(until)
    except (EngineError, TimeoutError) as error:
        what, hint = getattr(error, "what", str(error)), getattr(error, "hint", _("`docker info` says whether it is well"))
        patient = Patient(desk, None, {}, debian, python)
        patient.findings.append(Finding("engine", FAIL, what, hint))
    else:
        info, off = Asked(partial(info_of, desk.host.client)).get_or(time.monotonic() + PATIENCE, ({}, None))
        patient = Patient(desk, desk.host.client, info, debian, python, off)
        there = desk.host.engine
        if there.way:
            patient.findings.append(Finding("way", OK, _("{host}: {way}").format(host=desk.host.name, way=there.way), by="SSH"))
        patient.findings += about.engine_findings(info, there.version, there.endpoint, there.notes)
    patient.examine()
    patient.say()
    return patient.findings, patient.rungs


class Patient:
    """A host under examination. `client` is None where no engine answers; then what this machine tells must do.

    `off` is how many seconds the engine's clock is ahead of ours.
    """

    def __init__(
        self, desk: Desk, client: Any, info: Mapping[str, Any], debian: Asked[Answer], python: Asked[Answer], off: float | None = None
    ) -> None:
        self.desk, self.client, self.info, self.off = desk, client, info, off
        self.findings: list[Finding] = []
        self.rungs: dict[str, str] = {}
        self._debian, self._python = debian, python

    def examine(self) -> None:
        """Fills `findings` and `rungs`."""
        desk, root = self.desk, str(self.info.get("DockerRootDir") or DOCKER_ROOT)
        listed = self._listed()
        store = desk.store if self.client else desk.image_store(None)
        present = {name for name, one in store.plan_for(IMAGES, listed).items() if one.rung == "present"}
        missing = [name for name in IMAGES if name not in present]
        registries = self._ask_registries(store, missing)
        helper = self._helper(store, present)
        # Of an engine on another machine this one's shell tells nothing but its own programs.
        near = self.client is None or desk.host.remote or desk.host.engine.local
        outside = probes.outside(desk.host, root)
        around = outside if near else {}
        until = time.monotonic() + PATIENCE
        inside = self._inside(helper, until)
        by_inside, by_outside = _("a helper container"), self._by

        seen = about.kernel({**around, **inside}, by_inside if inside else by_outside)
        self.findings += about.kernel_findings(seen, self.info)
        backend = str((self.info.get("FirewallBackend") or {}).get("Driver", ""))
        self.findings.append(about.firewall(_flavour(inside), backend, around.get("iptables", ""), by_inside if inside else by_outside))
        self._ports(around)
        free = probes.free_bytes(inside.get("disk") or around.get("disk", ""))
        if free is not None:
            self.findings.append(about.disk(free, root, len(missing), by_inside if inside.get("disk") else by_outside))
        self._programs(outside, present)
        servers = self._servers(registries, missing, until)
        self.findings.append(about.clocks(time.time(), self.off, servers))
        self._images(store, present, registries, until)

    @property
    def _by(self) -> str:
        """Who tells what the shell tells."""
        return _("the host's shell") if self.desk.host.remote else _("this machine")

    def _listed(self) -> list[Any]:
        client = self.client
        return Asked(client.images).get_or(time.monotonic() + PATIENCE, []) if client else []

    def _helper(self, store: Any, present: set[str]) -> Asked[dict[str, str]] | None:
        if not self.client or "tools" not in present:
            return None
        client, stack, tools = self.client, self.desk.settings.stack, store.plan_for(("tools",))["tools"].reference
        return Asked(lambda: probes.inside(client, stack, tools))

    def _inside(self, helper: Asked[dict[str, str]] | None, until: float) -> dict[str, str]:
        """What the helper says. An engine that answers and can't start a container is found out here."""
        if helper is None:
            return {}
        try:
            found = helper.get(until)
        except TimeoutError as error:
            self.findings.append(Finding("containers", WARN, str(error), _("the host may be very busy: run this again"), "engine"))
        except Exception as error:
            words = str(getattr(error, "explanation", None) or error)
            hint = _("see the engine's log: `journalctl -u docker` or /var/log/dockerd.log")
            self.findings.append(Finding("containers", FAIL, _("none can be started: {words}").format(words=words), hint, "engine"))
        else:
            self.findings.append(Finding("containers", OK, _("a helper container ran"), by="engine"))
            return found
        return {}

    def _ask_registries(self, store: Any, missing: list[str]) -> dict[str, Asked[Answer]]:
        """Each registry that might be asked, about one image: more would count against what a registry allows in an hour."""
        asked: dict[str, Asked[Answer]] = {}
        for name in missing or ["debian"]:
            references = [reference for reference, _rung in store.candidates(name)]
            for registry in dict.fromkeys(map(registry_of, references)):
                if registry in asked:
                    continue
                if self.client:
                    names = [reference for reference in references if registry_of(reference) == registry]
                    asked[registry] = Asked(partial(self._ask_registry, names))
                else:
                    url = f"https://{registry}/v2/" if registry else HUB
                    asked[registry] = Asked(partial(probes.ask_url, url, self.desk.settings))
        return asked

    def _ask_registry(self, names: list[str]) -> Answer:
        """What a registry says of an image that may have one of these names there."""
        for name in names:
            if (answer := probes.ask_registry(self.client, name)).ok:
                break
        return answer

    def _ports(self, outside: Mapping[str, str]) -> None:
        listeners = parse_listeners(outside.get("listen", ""))
        wanted = vars(self.desk.settings.ports)
        held: dict[int, Held] = {}
        for entry in Asked(self.client.containers).get_or(time.monotonic() + PATIENCE, []) if self.client else []:
            for port in entry.get("Ports") or []:
                if "PublicPort" in port:
                    ours = (entry["Labels"] or {}).get(labels.STACK) == self.desk.settings.stack
                    held[port["PublicPort"]] = Held(_("container {name}").format(name=entry["Names"][0].lstrip("/")), ours)
        for name, port in wanted.items():
            if port not in held and (who := holder(listeners, "" if name == "web" else "127.0.0.1", port)):
                held[port] = Held(who)
        self.findings += about.ports(wanted, held, self._by)

    def _programs(self, outside: Mapping[str, str], present: set[str]) -> None:
        there = outside.get("programs", "").split()
        lacking = [name for name in ("docker", "curl", "ss") if name not in there]
        by = self._by
        if self.desk.host.remote:  # there it is taken from our image
            lacking = [name for name in lacking if name != "curl"]
        if lacking:
            state = FAIL if "docker" in lacking else WARN
            packages = {"docker": "docker.io", "curl": "curl", "ss": "iproute2"}
            hint = _("the lessons type them: apt-get install {packages}").format(packages=" ".join(packages[name] for name in lacking))
            if "docker" in lacking:
                hint = _("`invoke step00-install` installs Docker; the lessons type docker, curl and ss")
            self.findings.append(Finding("programs", state, _("missing here: {names}").format(names=", ".join(lacking)), hint, by))
        else:
            self.findings.append(Finding("programs", OK, "docker, curl, ss", by=by))
        version = outside.get("compose", "")
        words = _("Docker Compose {version}").format(version=version) if version[:1].isdigit() or version[:1] == "v" else ""
        contained = _("in an image that is here") if "compose" in present else _("none is installed: step09 gets it as a package or an image")
        self.findings.append(Finding("compose", OK, words or contained, by=by))

    def _servers(self, registries: Mapping[str, Asked[Answer]], missing: list[str], until: float) -> list[Answer]:
        late = Answer("", 0, _("no answer within {seconds:g} s").format(seconds=PATIENCE))
        settings, needed = self.desk.settings, bool(missing)
        answers = []
        hints = (
            ("Debian packages", self._debian, probes.debian_url(settings), _("name a mirror that this host reaches: build.mirror")),
            ("Python packages", self._python, probes.python_url(settings), _("name an index that this host reaches: build.pip_index")),
        )
        for name, asked, url, hint in hints:
            answer = asked.get_or(until, Answer(url, 0, late.words))
            answers.append(answer)
            self.findings.append(about.server(name, answer, needed, hint))
        for registry, asked in registries.items():
            answer = asked.get_or(until, Answer(registry or "docker.io", 0, late.words))
            answers.append(answer)
            self.findings.append(about.server("registry", answer, needed, _("nothing where the packages answer; else name one: images.mirror")))
        return answers

    def _images(self, store: Any, present: set[str], registries: Mapping[str, Asked[Answer]], until: float) -> None:
        late = Answer("", 0)
        sources = Sources(
            self._bundle(store),
            frozenset(name for name, asked in registries.items() if asked.get_or(until, late).ok),
            self._debian.get_or(until, late).ok,
            self._python.get_or(until, late).ok,
            {name: store.candidates(name) for name in IMAGES},
            frozenset(store.streamable(IMAGES, present)),
        )
        for name in IMAGES:
            pullable = {kind for _reference, kind in sources.references[name]}
            built_by = [] if "named" in pullable else [kind for kind in store.rungs(name) if kind not in pullable]
            self.rungs[name] = about.rung(name, name in present, built_by, sources, self.rungs)
        self.findings.append(about.images(self.rungs))

    def _bundle(self, store: Any) -> frozenset[str]:
        """The names of the images that the settings' bundle would give; what is wrong with it is a finding."""
        bundle = store.bundle
        if bundle is None:
            return frozenset()
        try:
            found = open_bundle(bundle)
            if self.client:
                refuse_foreign(found, str(self.client.version()["Arch"]))
        except FileRefused as error:
            self.findings.append(Finding("bundle", WARN, error.what, error.hint))
            return frozenset()
        fitting = store.matches(found.entries)
        names = frozenset(entry.name for entry in found.entries if entry.reference in fitting)
        words = _("{path}: {count} of {all} images fit this checkout").format(path=bundle, count=len(names), all=len(found.entries))
        hint = "" if len(names) == len(found.entries) else _("make it anew with this version and these settings: `invoke images.save FILE`")
        self.findings.append(Finding("bundle", WARN if hint else OK, words, hint))
        return names

    def say(self) -> None:
        """Tells it to a person."""
        voice = self.desk.voice
        voice.title(_("What this host has for the course"))
        for finding in self.findings:
            tell = {OK: voice.ok, WARN: voice.warn, FAIL: voice.fail}[finding.state]
            text = f"{finding.name}: {finding.seen}" + (f" ({finding.by})" if finding.by else "")
            first, *more = textwrap.wrap(text, voice.width - 4, break_on_hyphens=False) if voice.terminal else [text]
            tell(first)
            for line in more:
                voice.write(f"    {line}")
            if finding.hint:
                voice.text(finding.hint, "      ")
        voice.title(_("Where each image would come from"))
        groups: dict[str, list[str]] = {}
        for name, rung in self.rungs.items():
            groups.setdefault(rung or _("nowhere"), []).append(name)
        for rung, names in groups.items():
            voice.text(f"{rung}: {', '.join(names)}")


def _flavour(inside: Mapping[str, str]) -> str:
    try:
        return parse(inside.get("net", "")).flavour
    except ValueError:
        return ""


def info_of(client: Any) -> tuple[dict[str, Any], float | None]:
    """What the engine says of itself, and by how many seconds its clock is ahead of ours."""
    answer: dict[str, Any] = client.info()
    now, text = time.time(), str(answer.get("SystemTime", ""))
    zone = text[text.rindex("+") :] if "+" in text else text[-6:] if text[-6:-5] == "-" else "+00:00"
    try:
        return answer, datetime.fromisoformat(text[:19] + zone).timestamp() - now
    except ValueError:
        return answer, None
