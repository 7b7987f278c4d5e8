"""What a task works with: the settings, the host, the images and the voice, made once at its start."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..console.keys import on_terminal
from ..console.voice import Voice
from ..host.host import ROOT, Host
from ..model.errors import Conflict, SilverliningError
from ..model.observed import Observed, choose_subnet
from ..model.settings import Settings
from ..model.stack import Code, Container, ImageRef, Stack, resolve, template_variables
from ..model.text import _
from ..model.topology import Topology

if TYPE_CHECKING:
    from ..host.lock import Lock


def host_of(context: Any, settings: Settings) -> Host:
    """The host that a task works on: this machine for Invoke's Context, the other one for Fabric's Connection."""
    if any(kind.__module__.partition(".")[0] == "fabric" for kind in type(context).__mro__):
        from ..host.ssh.host import SshHost

        return SshHost(context, settings)
    return Host(context, settings)


class Desk:
    """Everything that an operation needs, handed from the task to ops."""

    def __init__(
        self,
        context: Any,
        settings: Settings,
        voice: Voice,
        *,
        dry: bool = False,
        yes: bool = False,
        play: bool = False,
        quick: bool = False,
        json: bool = False,
    ) -> None:
        self.settings = settings
        self.voice = voice
        self.host = host_of(context, settings)
        self.dry = dry
        self.yes = yes
        self.play = play
        self.quick = quick
        self.json = json
        self.scaling: tuple[Mapping[str, int], Mapping[str, int]] | None = None
        # Of ops/lock.py: what lets go of a lock that is kept, and that lock.
        self.kept: ExitStack | None = None
        self.held: Lock | None = None

    def counted(self, scaled: Mapping[str, int]) -> Desk:
        """A desk at which these counts stand in for the settings': to look at a host that was scaled as what it was scaled to."""
        settings = replace(self.settings, counts={**self.settings.counts, **scaled})
        other = Desk(self.host.context, settings, self.voice, dry=self.dry, yes=self.yes, play=self.play, quick=self.quick, json=self.json)
        other.host = self.host
        return other

    def scaled(self, before: Mapping[str, int], wanted: Mapping[str, int]) -> Desk:
        """A desk that scales: its plans lead to the counts noted `before` with those that are `wanted`, and note what the settings don't say."""
        after = {**before, **wanted}
        other = self.counted(after)
        other.scaling = before, {name: count for name, count in after.items() if self.settings.counts[name] != count}
        return other

    def confirm(self, what: str, question: str = "", hint: str = "") -> None:
        """Asks before `what` is done, unless --yes was given. Raises SilverliningError after a no, and where nobody can be asked."""
        if self.yes:
            return
        if not (on_terminal() and self.voice.terminal):
            raise SilverliningError(what, hint or _("add --yes to go on"))
        if not self.voice.ask(f"  {what}. {question or _('Go on?')}"):
            raise SilverliningError(_("nothing was changed"))
        if store := self.__dict__.get("store"):
            store.forget()  # it may have been a long while

    def tell_notes(self) -> None:
        """Says once what a person should be told about the way to the host, such as a new host's key that was accepted."""
        while self.host.notes:
            self.voice.note(self.host.notes.pop(0))

    def give(self, data: dict[str, Any]) -> None:
        """The operation's facts as JSON on standard output, where that was asked for."""
        if self.json:
            import json

            self.voice.data(json.dumps(data, indent=2))

    def give_checks(self, ok: bool, results: list[Any]) -> None:
        """Results of checks; exit code 1 if one failed."""
        self.give({"ok": ok, "checks": [vars(result) for result in results]})
        if not ok:
            raise SilverliningError(
                _("{count} of {all} checks failed").format(count=sum(not r.ok for r in results), all=len(results)),
                _("the task of the step that stands, or `invoke deploy-all`, mends what it can"),
            )

    def give_diagnosis(self, findings: list[Any], rungs: Mapping[str, str]) -> None:
        """What a doctor has found; exit code 1 only where the course can't run."""
        bad = [finding for finding in findings if finding.state == "fail"]
        images = [{"name": name, "rung": rung} for name, rung in rungs.items()]
        self.give({"ok": not bad, "facts": [vars(finding) for finding in findings], "images": images})
        if bad:
            raise SilverliningError(_("the course can't run here: {names}").format(names=", ".join(one.name for one in bad)), bad[0].hint)

    @cached_property
    def code(self) -> Code:
        """The application's directory as the docker host gets it: mounted, or copied where it is another machine."""
        from ..host.code import digest

        path = ROOT / "app"
        return Code(str(path)) if self.host.engine.local else Code(str(path), digest(path))

    @cached_property
    def store(self) -> Any:
        """The images of the host."""
        return self.image_store(self.host.client)

    def image_store(self, client: Any) -> Any:
        """The images of an engine; without one (None) only what the checkout and the settings say of them can be asked."""
        from ..host.images import ImageStore
        from ..host.stream import Source

        source = Source(self._own_engine) if self.host.remote and self.settings.images.stream else None
        variables, runner = template_variables(self.settings), self.host.runner
        return ImageStore(client, ROOT, self.settings, variables, report=self._image_progress, runner=runner, source=source)

    def _own_engine(self) -> Any:
        """The engine of the machine on which the tool runs. The setting docker_host is about the docker host, which is another one."""
        from ..host.engine import connect

        return connect(replace(self.settings, docker_host="")).client

    def look_anew(self) -> None:
        """Forgets what is read once in a run: files and ports, which change while a walkthrough stands open for an hour."""
        self.__dict__.pop("store", None)
        self.__dict__.pop("code", None)
        self.host.forget_listeners()

    def _image_progress(self, progress: Any) -> None:
        self.board_update(progress)

    def board_update(self, progress: Any) -> None:
        """Replaced while images are being made by the display of their progress."""

    def image_names(self, topology: Topology) -> tuple[str, ...]:
        """The images that a topology needs, with the one for helper containers."""
        return tuple(dict.fromkeys([*(service.image for service in topology.services), "tools"]))

    def refs(self, found: Mapping[str, Any], names: Iterable[str]) -> dict[str, ImageRef]:
        """The images as the model knows them."""
        return {name: ImageRef(name, found[name].reference, found[name].fingerprint) for name in names}

    def planned_images(self, topology: Topology) -> dict[str, ImageRef]:
        """The images as they would be, without getting any."""
        return self.planned([topology])[topology.step]

    def planned(self, topologies: Collection[Topology]) -> dict[str, dict[str, ImageRef]]:
        """The same for several topologies, by step: the engine lists what it has once for all of them."""
        names = {topology.step: self.image_names(topology) for topology in topologies}
        found = self.store.plan_for({name for needed in names.values() for name in needed})
        return {step: self.refs(found, needed) for step, needed in names.items()}

    def observe(self) -> Observed:
        """The state of the stack on the host now."""
        from ..host.observe import observe

        tools = self.store.plan_for(("tools",))["tools"]
        return observe(self.host.client, self.settings.stack, tools.reference if tools.rung == "present" else "")

    def stack(self, topology: Topology, images: Mapping[str, ImageRef], seen: Observed, subnet: str = "") -> Stack:
        """The topology made concrete for this host, in `subnet` or the one that choose_subnet finds. Raises Conflict when none is free."""
        from ..model.compose import STEP, settle

        stack = resolve(topology, self.settings, subnet or choose_subnet(self.settings, seen), images, self.code)
        if self.scaling:
            before, after = self.scaling
            if seen.scaled not in (before, after):
                raise Conflict(_("somebody else has scaled {stack} meanwhile").format(stack=stack.name), _("run the same command again"))
            stack = replace(stack, scaled=after)
        # Compose gives the containers of a scaled service addresses of its own choice.
        return settle(stack, seen) if topology.step == STEP else stack

    def spares(self, images: Mapping[str, ImageRef], seen: Observed) -> dict[str, Container]:
        """Redis containers as the last step defines them, by name: one may have to run for a moment to hand its data over."""
        import steps

        full = steps.load("step05-sentinel").TOPOLOGY
        known = dict.fromkeys(self.image_names(full), images["tools"]) | dict(images)
        widest = Settings(**{**vars(self.settings), "counts": {**self.settings.counts, "redis-slave": 9}})
        stack = resolve(full, widest, choose_subnet(self.settings, seen), known, self.code)
        return {c.name: c for c in stack.containers if c.service.startswith("redis")}
