"""Getting images: the rungs, their order, what runs side by side, and what an image that can't be had is told. No engine is needed."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from silverlining.host import climb
from silverlining.host.build import STAGE_LABEL, stamp
from silverlining.host.climb import Progress
from silverlining.host.images import LEFT_OVER, BuildFailed, ImageUnavailable
from silverlining.host.pull import PullFailed, Registries
from silverlining.model.images import BUILT_FOR_LABEL, FINGERPRINT_LABEL, IMAGE_LABEL, SOURCE_LABEL
from silverlining.model.labels import STACK

from .image_doubles import NO_HOST, NOW, UNKNOWN, Engine, Settings, Shell, project, store


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return project(tmp_path)


def test_without_a_registry_everything_is_built_and_the_registry_is_asked_once(root: Path) -> None:
    engine, seen = Engine(), list[Progress]()
    images = store(root, engine, seen=seen)
    found = images.resolve(["site", "tools"])
    assert {name: one.rung for name, one in found.items()} == dict.fromkeys(("base", "other-base", "upstream/web", "site", "tools"), "packages")
    assert len(engine.pulls) == 1
    assert found["site"].reference == images.tag("site") == f"silverlining/site:{found['site'].fingerprint}"
    assert found["site"].id == f"sha256:{images.tag('site')}"
    site = next(build for build in engine.builds if build["tag"] == images.tag("site"))
    assert site["buildargs"] == {"BASE": images.tag("upstream/web")}
    assert site["labels"] == {IMAGE_LABEL: "site", FINGERPRINT_LABEL: found["site"].fingerprint, SOURCE_LABEL: "packages", BUILT_FOR_LABEL: "shop"}
    assert site["pull"] is False
    assert {"host/ca.crt", "host/env", "Dockerfile"} <= set(site["files"])
    assert {p.image for p in seen if p.state == "done"} == set(found)
    assert ("site", "Step 2/2 : RUN make") in {(p.image, p.step) for p in seen}


def test_when_all_is_present_there_is_one_call_and_nothing_else(root: Path) -> None:
    engine = Engine()
    first = store(root, engine).resolve(["site", "tools", "agent"])
    for record in (engine.calls, engine.pulls, engine.builds):
        record.clear()
    second = store(root, engine).resolve(["site", "tools", "agent"])
    assert {one.rung for one in second.values()} == {"present"}
    assert (engine.calls, engine.pulls, engine.builds) == (["images"], [], [])
    assert {name: (one.reference, one.id, one.source) for name, one in second.items()} == {
        name: (first[name].reference, first[name].id, first[name].source) for name in ("site", "tools", "agent")
    }


def test_the_rung_does_not_change_a_fingerprint(root: Path) -> None:
    built = store(root, Engine()).resolve(["site"])
    pulled = store(root, Engine({"web:1": "ok"})).resolve(["site"])
    assert (built["upstream/web"].rung, pulled["upstream/web"].rung) == ("packages", "official")
    assert {one.fingerprint for one in (built["site"], pulled["site"])} == {built["site"].fingerprint}


def test_an_official_image_needs_no_base_and_its_children_are_built_on_it(root: Path) -> None:
    engine = Engine({"web:1": "ok"})
    found = store(root, engine).resolve(["site"])
    assert set(found) == {"upstream/web", "site"}
    assert found["upstream/web"].reference == found["upstream/web"].id.removeprefix("sha256:") == "web:1"
    assert engine.builds[0]["buildargs"] == {"BASE": "web:1"}


def test_an_official_image_that_is_there_is_used_without_asking(root: Path) -> None:
    engine = Engine()
    engine.add("web:1")
    found = store(root, engine).resolve(["upstream/web"])
    assert (found["upstream/web"].rung, found["upstream/web"].source, engine.pulls) == ("present", "official", [])


def test_the_mirror_comes_before_the_official_reference_with_and_without_library(root: Path) -> None:
    engine = Engine({"reg:5000/hub/library/web:1": "ok", "web:1": "ok"}, default=UNKNOWN)
    found = store(root, engine, Settings(mirror="reg:5000/hub/")).resolve(["upstream/web"])
    assert engine.pulls == ["reg:5000/hub/web:1", "reg:5000/hub/library/web:1"]
    assert (found["upstream/web"].rung, found["upstream/web"].reference) == ("mirror", "reg:5000/hub/library/web:1")


def test_a_dead_mirror_does_not_keep_the_official_registry_from_being_asked(root: Path) -> None:
    engine = Engine({"web:1": "ok"}, default="connection refused")
    found = store(root, engine, Settings(mirror="reg:5000")).resolve(["upstream/web"])
    assert engine.pulls == ["reg:5000/web:1", "web:1"]
    assert found["upstream/web"].rung == "official"


def test_an_unknown_image_does_not_make_the_registry_dead(root: Path) -> None:
    engine = Engine({"base:1": "ok"}, default=UNKNOWN)
    found = store(root, engine).resolve(["upstream/web"])
    assert engine.pulls == ["web:1", "base:1"]
    assert engine.builds[0]["buildargs"] == {"BASE": "base:1"}
    assert found["base"].rung == "official"


def test_a_named_reference_is_pulled_and_nothing_stands_in_for_it(root: Path) -> None:
    settings = Settings(references={"upstream/web": "reg:5000/mine:2"})
    found = store(root, Engine({"reg:5000/mine:2": "ok"}), settings).resolve(["upstream/web"])
    assert (found["upstream/web"].rung, found["upstream/web"].reference) == ("named", "reg:5000/mine:2")
    with pytest.raises(ImageUnavailable) as caught:
        store(root, Engine(), settings).resolve(["upstream/web"])
    assert caught.value.answers == (("named reg:5000/mine:2", NO_HOST),)


def test_an_image_that_no_rung_gives_says_what_each_answered(root: Path) -> None:
    engine = Engine()
    engine.broken["upstream/web"] = "no space left on device"
    with pytest.raises(ImageUnavailable) as caught:
        store(root, engine).resolve(["site"])
    assert caught.value.image == "upstream/web"
    assert [rung for rung, _ in caught.value.answers] == ["official web:1", "packages"]
    assert "no such host" in str(caught.value)
    assert "failing step: Step 2/2 : RUN make" in str(caught.value)
    assert "disk is full" in caught.value.hint


def test_a_base_that_can_not_be_made_says_what_each_rung_answered(root: Path) -> None:
    shell = Shell(answers={"mmdebstrap": (1, "E: some mirror is down\n")})
    with pytest.raises(ImageUnavailable) as caught:
        store(root, Engine(), shell=shell).resolve(["base"])
    assert "mmdebstrap could not make Debian trixie (exit code 1): E: some mirror is down" in str(caught.value)
    assert "build.mirror" in caught.value.hint


def test_a_failed_build_has_the_step_and_the_last_lines(root: Path) -> None:
    engine = Engine()
    engine.broken["site"] = "The command '/bin/sh -c make' returned a non-zero code: 2"
    with pytest.raises(BuildFailed) as caught:
        store(root, engine).resolve(["site"])
    assert (caught.value.image, caught.value.step) == ("site", "Step 2/2 : RUN make")
    assert caught.value.log == tuple(f"line {number}" for number in range(10, 30))
    assert "returned a non-zero code: 2" in str(caught.value)


def test_after_a_failure_nothing_new_is_begun(root: Path) -> None:
    engine = Engine()
    engine.broken["upstream/web"] = "broken"
    with pytest.raises(ImageUnavailable):
        store(root, engine).resolve(["site"])
    assert not [build for build in engine.builds if "site" in build["tag"]]


def test_variants_are_tried_in_turn_and_the_source_is_kept(root: Path) -> None:
    engine = Engine()
    engine.broken["Dockerfile.module"] = "403 Forbidden"
    images = store(root, engine)
    found = images.resolve(["agent"])
    assert [build["dockerfile"] for build in engine.builds] == ["Dockerfile.module", "Dockerfile.own"]
    assert (found["agent"].source, found["agent"].rung) == ("own", "packages")
    assert store(root, engine).resolve(["agent"])["agent"].source == "own"
    engine.broken["Dockerfile.own"] = "no compiler"
    engine.local.clear()
    with pytest.raises(ImageUnavailable) as caught:
        store(root, engine).resolve(["agent"])
    assert [rung for rung, _ in caught.value.answers] == ["binary", "module", "own"]


def test_independent_builds_run_side_by_side(root: Path) -> None:
    engine, both = Engine(), threading.Barrier(2)
    images = store(root, engine)
    together = {images.tag("upstream/web"), images.tag("agent")}

    def meet(tag: str) -> None:
        # Either alone would wait in vain for the other.
        if tag in together:
            both.wait(10)

    engine.on_build = meet
    assert "agent" in images.resolve(["upstream/web", "agent"])


def test_what_most_waits_for_is_begun_first(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(climb, "SIDE_BY_SIDE", 1)
    engine = Engine()
    images = store(root, engine)
    images.resolve(("agent", "site"))
    # `agent` is asked for first; behind upstream/web another one waits.
    assert [build["labels"][IMAGE_LABEL] for build in engine.builds] == ["upstream/web", "agent", "site"]


def test_the_plan_tells_what_is_there_and_changes_nothing(root: Path) -> None:
    engine = Engine()
    images = store(root, engine)
    plan = images.plan_for(["site", "upstream/web"])
    assert {name: one.rung for name, one in plan.items()} == {"upstream/web": "to get", "site": "to get"}
    assert (plan["upstream/web"].reference, plan["site"].reference) == ("web:1", images.tag("site"))
    assert (engine.calls, engine.pulls, engine.builds) == (["images"], [], [])
    assert images.plan_for(["site"], listed=[])["site"].rung == "to get"
    assert engine.calls == ["images"]
    found = images.resolve(["site"])
    plan = images.plan_for(["site", "upstream/web"])
    assert {name: (one.rung, one.reference) for name, one in plan.items()} == {
        name: ("present", found[name].reference) for name in ("upstream/web", "site")
    }


def test_superseded_builds_are_ours_older_and_unused(root: Path) -> None:
    """At once what the stack's containers used before; an hour later what was built for this stack and is left over."""
    engine = Engine()
    images = store(root, engine)
    current = images.resolve(["site"])["site"]
    old, used, parent, left, theirs = (f"silverlining/site:{letter * 12}" for letter in "abcde")
    for tag, stack in {old: "other", used: "shop", parent: "", left: "shop", theirs: "other"}.items():
        mark = {BUILT_FOR_LABEL: stack} if stack else {}
        engine.add(tag, {IMAGE_LABEL: "site", FINGERPRINT_LABEL: tag.rpartition(":")[2], **mark})
    shop, name = {BUILT_FOR_LABEL: "shop"}, "aaaaaaaaaaaa"
    engine.add("somebody/committed:1", {IMAGE_LABEL: "site", FINGERPRINT_LABEL: name, **shop})
    engine.add("silverlining/site:latest", {IMAGE_LABEL: "site", FINGERPRINT_LABEL: name, **shop})
    engine.add("silverlining/stranger:dddddddddddd", shop)
    engine.add("silverlining/elsewhere:eeeeeeeeeeee", {IMAGE_LABEL: "elsewhere", FINGERPRINT_LABEL: "eeeeeeeeeeee", **shop})
    images.forget()
    containers, replaced = [{"ImageID": f"sha256:{used}"}], {old, used, parent, current.reference, "nginx:1"}
    assert images.superseded(replaced, containers, NOW + LEFT_OVER) == [old, parent]
    assert images.superseded(replaced, containers, NOW + LEFT_OVER + 1) == [old, parent, left]
    assert images.superseded((), containers, NOW + LEFT_OVER + 1) == [left]
    neighbour = {"ImageID": "sha256:x", "Labels": {STACK: "other"}}
    assert images.superseded(replaced, [*containers, neighbour], NOW + LEFT_OVER + 1) == [old, parent]
    engine.in_use.add(parent)
    assert images.prune([old, parent]) == [old]
    assert current.reference in engine.local


def test_the_engine_is_asked_once_for_what_it_has_until_that_is_forgotten(root: Path) -> None:
    engine = Engine()
    images, asked = store(root, engine), []
    listing = engine.images
    engine.images = lambda *words, **more: (asked.append(1), listing(*words, **more))[1]  # type: ignore[method-assign]
    assert images.plan_for(["site"])["site"].rung == "to get"
    store(root, engine).resolve(["site"])  # somebody else
    del asked[:]
    assert images.plan_for(["site"])["site"].rung == "to get" and not asked
    images.forget()
    assert images.plan_for(["site"])["site"].rung == "present" and len(asked) == 1
    images.prune([images.tag("site")])
    assert images.plan_for(["site"])["site"].rung == "to get" and len(asked) == 2
    images.resolve(["site"])
    del asked[:]
    assert images.plan_for(["site"])["site"].rung == "present" and not asked


def test_a_registry_that_says_nothing_is_given_up() -> None:
    registries = Registries(Engine(default="hang"), patience=0.05)  # type: ignore[arg-type]
    with pytest.raises(PullFailed, match=r"timeout: no answer within 0.05 s"):
        registries.pull("web:1", lambda text: None)
    with pytest.raises(PullFailed, match="timeout"):
        registries.pull("base:1", lambda text: None)


def test_every_stage_gets_a_label_and_the_image_its_marks() -> None:
    text = "ARG BASE\nFROM ${BASE} AS build\nRUN make\n\nfrom base\nCOPY --from=build /a /a\n"
    stamped = text.replace("AS build\n", f"AS build\nLABEL {STAGE_LABEL}=site\n") + f"LABEL a=1 b=2 {STAGE_LABEL}=\n"
    assert stamp(text, "site", {"a": "1", "b": "2"}) == stamped
    assert stamp("ARG BASE\nFROM ${BASE}", "site", {"a": "1"}) == "ARG BASE\nFROM ${BASE}\nLABEL a=1\n"
