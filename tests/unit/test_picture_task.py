"""`invoke picture`: of a step without an engine, of what stands with one; into a file whole or not at all; each mistake a clear error."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from invoke import Context, Exit

import steps
import tasks
from silverlining.console.voice import Voice
from silverlining.model import mermaid, svg
from silverlining.model.errors import EngineError, SilverliningError
from silverlining.model.observed import Observed, RedisNode, SentinelView
from silverlining.ops import picture
from silverlining.ops.desk import Desk
from silverlining.ops.picture import before_of, for_docs, picture_of, show, stack_of

from .builders import HERE, ROOT, settings, stack, standing
from .test_topology import TABLE


class Table(Desk):
    """A desk on which a host is seen as told, or no engine answers."""

    def __init__(self, seen: Observed | None = None, **more: Any) -> None:
        super().__init__(Context(), settings(network_subnet="10.0.7.0/24"), Voice(io.StringIO(), quiet=more.get("json", False)), **more)
        self.seen = seen
        self.code = HERE

    def observe(self) -> Observed:
        if self.seen is None:
            raise EngineError("nobody listens", "start it")
        return self.seen

    def planned(self, topologies: Any) -> Any:
        made = {topology.step: stack(topology.step) for topology in topologies}
        return {step: {c.image.name: c.image for c in one.containers} | {"tools": one.tools} for step, one in made.items()}

    @property
    def said(self) -> str:
        """What was said."""
        stream = self.voice.stream
        assert isinstance(stream, io.StringIO)
        return stream.getvalue()


@pytest.fixture(autouse=True)
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("silverlining.host.engine.connect", lambda *words: pytest.fail("an engine was asked"))


@pytest.mark.parametrize("step", steps.NAMES)
def test_a_step_needs_no_engine(step: str, tmp_path: Path) -> None:
    desk = Table()
    file = tmp_path / "a.svg"
    facts = show(desk, step, "", str(file), False)
    made = stack_of(desk.settings, step)
    assert file.read_text() == picture_of(desk.settings, step) and "silver" in file.read_text() if made.containers else True
    assert [card["service"] for card in facts["cards"]] == [s.name for s in made.topology.services]
    assert not facts["live"] and facts["since"] == before_of(step)
    assert "written" in desk.said and [f.name for f in tmp_path.iterdir()] == ["a.svg"]


def test_images_have_the_names_of_the_catalogue() -> None:
    assert {c.service: c.image.reference for c in stack_of(settings(), "step03-redis").containers} == {
        "django": "silverlining/django",
        "redis-master": "silverlining/redis",
    }
    assert stack_of(settings(), "step01-nginx").containers[0].image.reference == "nginx:1.26"


def test_the_step_before_is_the_one_that_it_derives_from() -> None:
    assert {step: before_of(step) for step in TABLE} == {step: before for step, (before, _counts, _ports) in TABLE.items()}
    assert before_of("step09-compose") == "step08-netdata"


def test_since_another_step() -> None:
    desk = Table()
    facts = show(desk, "step08-netdata", "step05-sentinel", "", False)
    assert facts["since"] == "step05-sentinel" and "since step05-sentinel, new: ping-app +2, haproxy, etcd, netdata" in " ".join(desk.said.split())


@pytest.mark.parametrize("width", (60, 80))
@pytest.mark.parametrize("step", steps.NAMES)
def test_in_the_terminal_within_the_width(step: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Voice, "width", width)
    desk = Table()
    show(desk, step, "", "", False)
    assert all(len(line) <= width for line in desk.said.splitlines())
    assert desk.said.count("┌") == len(stack_of(desk.settings, step).containers)
    if step != "step00-install":
        assert "client ═▶ " in desk.said
    for service in stack_of(desk.settings, step).topology.services:
        for other, alias in service.links:
            assert f"link {alias}" in desk.said or f"{service.name} ═▶ {other}" in desk.said


def test_mermaid_alone_on_standard_output() -> None:
    desk = Table()
    show(desk, "step05-sentinel", "", "", True)
    assert desk.said == mermaid.draw(stack_of(desk.settings, "step05-sentinel"), stack_of(desk.settings, "step04-image"))


def test_mermaid_into_a_file(tmp_path: Path) -> None:
    desk = Table()
    show(desk, "step05-sentinel", "", str(tmp_path / "a.mmd"), True)
    assert (tmp_path / "a.mmd").read_text() == mermaid.draw(stack_of(desk.settings, "step05-sentinel"), stack_of(desk.settings, "step04-image"))


# ---- what stands


def failed_over() -> Observed:
    """step08 with a replica as master, one app gone, one that isn't well, and a replica that doesn't follow."""
    made = stack("step08-netdata")
    there = standing(made)
    second = made.of("redis-slave")[0].name
    third = made.of("redis-slave")[1].name
    address = made.of("redis-slave")[0].address
    nodes = {name: RedisNode("slave", address, name != third) for name in there.redis} | {second: RedisNode("master", offset=9, replicas=1)}
    containers = tuple(
        replace(c, health="unhealthy") if c.name == "silver-ping-app-1" else replace(c, state="paused") if c.service == "netdata" else c
        for c in there.containers
        if c.name != "silver-ping-app-3"
    )
    return replace(there, containers=containers, redis=nodes, sentinels={name: SentinelView(address, 2, 2) for name in there.sentinels})


def test_roles_and_faults_as_they_are(tmp_path: Path) -> None:
    desk = Table(failed_over())
    facts = show(desk, "", "", str(tmp_path / "a.svg"), False)
    assert facts["live"] and facts["step"] == "step08-netdata" and facts["since"] == ""
    words = {cell["name"]: (cell["word"], cell["fault"]) for card in facts["cards"] for cell in card["cells"]}
    assert words["silver-redis-slave-1"] == ("master", False) and words["silver-redis-master-1"] == ("replica", False)
    assert words["silver-redis-slave-2"] == ("replica, link down", True)
    assert words["silver-ping-app-3"] == ("missing", True) and words["silver-ping-app-1"] == ("unhealthy", True)
    assert words["silver-netdata-1"] == ("paused", True) and words["silver-etcd-1"] == ("", False)
    assert facts["notes"] == ("as it stands: ping-app 2 of 3",)
    assert "ping-app 2 of 3" in (tmp_path / "a.svg").read_text()
    show(desk, "", "", "", False)
    assert "replica, link down" in desk.said and "═▶ ping-app ═▶ redis-slave" in desk.said


def test_more_than_the_settings_say() -> None:
    desk = Table(standing(stack("step08-netdata", counts_ping_app=5, counts_sentinel=5)))
    facts = show(desk, "", "", "", False)
    found = {card["service"]: len(card["cells"]) for card in facts["cards"]}
    assert (found["ping-app"], found["sentinel"], found["redis-slave"]) == (5, 5, 2)
    assert not any(cell["fault"] for card in facts["cards"] for cell in card["cells"])
    assert "ping-app 5 of 3; sentinel 5 of 3" in facts["notes"][0]


def test_what_stands_and_what_is_new_in_it() -> None:
    facts = show(Table(standing(stack("step05-sentinel"))), "", "step04-image", "", False)
    marks = {card["service"]: {cell["mark"] for cell in card["cells"]} for card in facts["cards"]}
    assert marks == {"redis-master": {""}, "ping-app": {"changed"}, "redis-slave": {"new"}, "sentinel": {"new"}}


def test_a_bare_host() -> None:
    facts = show(Table(Observed("silver")), "", "", "", False)
    assert (facts["step"], facts["cards"], facts["live"]) == ("step00-install", (), True)


def test_without_an_engine_the_last_step_and_a_word_about_it(capsys: pytest.CaptureFixture[str]) -> None:
    desk = Table()
    facts = show(desk, "", "", "", True)
    assert facts["step"] == steps.LAST and not facts["live"]
    assert "no engine answers (nobody listens)" in capsys.readouterr().err and "nobody listens" not in desk.said


# ---- files


def run(**words: Any) -> Exit:
    with pytest.raises(Exit) as caught:
        tasks.picture(Context(), **words)
    return caught.value


def test_mistakes_are_one_message_and_exit_code_1(tmp_path: Path) -> None:
    (tmp_path / "there.svg").mkdir()
    (tmp_path / "text").write_text("x")
    for words, message in (
        ({"step": "step99"}, "there is no step step99"),
        ({"step": "step08-netdata", "since": "step12"}, "there is no step step12"),
        ({"step": "step08-netdata", "out": str(tmp_path / "a.png")}, "the ending says what is written"),
        ({"step": "step08-netdata", "out": str(tmp_path / "a")}, "the ending says what is written"),
        ({"step": "step08-netdata", "out": str(tmp_path / "none" / "a.svg")}, "can't be written: no such file or directory"),
        ({"step": "step08-netdata", "out": str(tmp_path / "there.svg")}, "can't be written: is a directory"),
        ({"step": "step08-netdata", "out": str(tmp_path / "text" / "a.svg")}, "can't be written: not a directory"),
        ({"step": "step08-netdata", "out": str(tmp_path / ("n" * 300 + ".svg"))}, "can't be written: file name too long"),
        ({"step": "step08-netdata", "out": str(tmp_path / "a.svg"), "mermaid": True}, "only one of them can be meant"),
        ({"step": "step08-netdata", "out": "/proc/a.svg"}, "can't be written"),
    ):
        exit = run(**words)
        assert exit.code == 1 and message in exit.message and "→" in exit.message, exit.message
    assert sorted(f.name for f in tmp_path.iterdir()) == ["text", "there.svg"] and not any((tmp_path / "there.svg").iterdir())


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, link = tmp_path / "a.svg", tmp_path / "link.svg"
    file.write_text("old")
    link.symlink_to(file)

    def full(self: Path, text: str, **more: Any) -> None:
        self.touch()
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", full)
        with pytest.raises(SilverliningError, match="no space left on device"):
            show(Table(), "step01-nginx", "", str(file), False)
    assert file.read_text() == "old" and len(list(tmp_path.iterdir())) == 2
    show(Table(), "step01-nginx", "", str(link), False)
    assert link.is_symlink() and file.read_text().startswith("<svg")


def test_dry_writes_nothing(tmp_path: Path) -> None:
    desk = Table(dry=True)
    show(desk, "step01-nginx", "", str(tmp_path / "a.svg"), False)
    assert "would be written" in desk.said and not list(tmp_path.iterdir())


def test_json_is_all_that_is_said(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    tasks.picture(Context(), step="step05-sentinel", json=True, out=str(tmp_path / "a.svg"))
    facts = json.loads(capsys.readouterr().out)
    assert facts["step"] == "step05-sentinel" and {"source", "target", "kind"} <= facts["edges"][0].keys()


# ---- the pictures in docs/


def test_the_pictures_in_docs_are_not_stale() -> None:
    folder = ROOT / "docs" / "pictures"
    fresh = for_docs()
    assert fresh.keys() == {f"{name}.svg" for name in (*steps.NAMES, "stack")}
    stale = [name for name, text in fresh.items() if not (folder / name).is_file() or (folder / name).read_text() != text]
    assert not stale, f"{stale}: `invoke docs` draws them anew"
    assert {file.name for file in folder.iterdir()} == fresh.keys()
    assert not any(str(ROOT) in text for text in fresh.values())


def test_settings_of_this_machine_do_not_show_in_docs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SILVERLINING_STACK", "other")
    assert all("other-" not in text for text in for_docs().values())
    assert svg.draw(picture.stack_of(settings(stack="other"), "step01-nginx")).count("other-nginx-1") == 2
