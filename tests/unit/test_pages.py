"""The pages of the course and the guides: never stale, nothing in them that is nobody's business, every link and every command is there."""

from __future__ import annotations

import ast
import json
import re
import unicodedata
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import steps
import tasks
from silverlining.console.recorder import Recorder
from silverlining.model.errors import SilverliningError
from silverlining.model.lesson import Act, Check, Lesson, Proof
from silverlining.model.recording import Recording, Said, leaks, recorded, stale
from silverlining.ops import docs, spoken

from .builders import ROOT

RECORDINGS = sorted((ROOT / "docs" / "recorded").glob("*.json"))
MADE = [*sorted((ROOT / "docs" / "steps").glob("*.md")), ROOT / "docs" / "since-2017.md"]
TEXTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [str(path.relative_to(ROOT)) for path in TEXTS]
PICTURES = ROOT / "docs" / "pictures"


# ---- what is written by `invoke docs`


def test_the_pages_are_what_the_lessons_and_recordings_give() -> None:
    wanted = docs.pages()
    assert set(wanted) == set(MADE), "`invoke docs` writes and removes pages"
    for path, text in wanted.items():
        assert path.read_text(encoding="utf-8") == text, f"{path.relative_to(ROOT)} is stale: `invoke docs` writes it anew"


@pytest.mark.parametrize("step", steps.NAMES)
def test_a_page_has_all_that_it_should(step: str) -> None:
    lesson: Lesson = steps.load(step).LESSON
    text = (ROOT / "docs" / "steps" / f"{step}.md").read_text(encoding="utf-8")
    found = docs.recording(step)
    for number, act in enumerate(lesson.acts, 1):
        assert f"## {number}. {act.title}\n" in text
    for played in found.acts:
        assert all(f"\n$ {c.line.split()[0]} " in text for c in played.commands)
        assert all(line.strip() in text for c in played.commands for line in c.output.splitlines()), "what a command has said"
        assert all(line in text for said in played.said for line in said.text.splitlines() if said.kind != "command")
    assert f"](../pictures/{step}.svg)" in text
    assert lesson.since and all(f"| {one.then} | {one.now} | {one.why} |" in text for one in lesson.since)
    assert lesson.questions and "## To think about\n" in text
    assert text.count("<summary>") == len(lesson.questions) + bool(docs.changes(step))
    assert text.count("<details>") == text.count("</details>") and text.count("```") % 2 == 0
    assert "{" + "url}" not in text


def test_the_commands_of_a_step_lead_from_the_one_before() -> None:
    told = {step: docs.changes(step) for step in steps.NAMES}
    assert not told["step00-install"] and not told["step09-compose"]
    runs = {step: [line.split("--name ")[1].split()[0] for line in lines if line.startswith("docker run --detach")] for step, lines in told.items()}
    assert runs["step01-nginx"] == ["silverlining-nginx-1"]
    assert runs["step08-netdata"] == ["silverlining-netdata-1"]
    assert sorted(runs["step02-django"]) == ["silverlining-django-1"] and "docker rm silverlining-nginx-1" in told["step02-django"]
    assert any("source=$PWD/app,target=/usr/src/app" in line for line in told["step03-redis"])


@pytest.mark.parametrize("path", [*RECORDINGS, *MADE], ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_told_that_is_nobodys_business(path: Path) -> None:
    assert leaks(path.read_text(encoding="utf-8"), (str(ROOT), "/work/", "/tmp/wt")) == ()


@pytest.mark.parametrize(
    "text",
    (
        "source=/home/ann/silverlining/app",
        "at /srv/checkout/app now",
        "pulled from https://mirror.example.org/debian",
        "registry.example.org:5000/library/redis:8",
        "requirepass Ab3dEf6hIj9lMn2pQr5tUv8xYz1bCd4f",
    ),
)
def test_what_would_tell_too_much_is_found(text: str) -> None:
    assert leaks(text, ("/srv/checkout",))


@pytest.mark.parametrize(
    "text",
    (
        "http://localhost/ http://127.0.0.1:8404/stats http://nginx/ http://0.0.0.0:8000/",
        "silverlining/app:0a1b2c3d4e5f docs/steps/index.md conf/haproxy.cfg.j2 /usr/src/app",
        "https://docs.djangoproject.com/en/5.2/",
        "e5f61a7b0c2d4e6f8a9b0c1d2e3f4a5b6c7d8e9f00112233445566778899aabb",
        "unix:///var/run/docker.sock /srv/checkouts/other",
    ),
)
def test_what_everybody_may_know_is_not(text: str) -> None:
    assert leaks(text, ("/srv/checkout",)) == ()


# ---- recording

ACT = Act("Title", "Text.", ("echo {a}",), "Look at {a}.", (Proof("failover"),), (Check("redis"),))
LESSON = Lesson("Title", "Summary.", (ACT,))


def heard(capsys: pytest.CaptureFixture[str]) -> tuple[Said, ...]:
    voice = Recorder()
    voice.text("Text.")
    voice.command("echo 1")
    voice.output("\n".join(map(str, range(50))))
    voice.note("Look at 1.")
    voice.command("docker pause x")
    voice.ok("it holds")
    voice.table(("a", "b"), [("1", "22"), ("333", "4")])
    assert "docker pause x" in capsys.readouterr().out
    taken = voice.take()
    assert not voice.take()
    return taken


def test_what_an_act_says_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    act = recorded(ACT, ["echo 1"], "Look at 1.", heard(capsys))
    (command,) = act.commands
    assert (command.template, command.line) == ("echo {a}", "echo 1")
    assert command.output.splitlines()[24:27] == ["24", "… 21 lines …", "46"]
    assert act.said == (Said("command", "docker pause x"), Said("ok", "it holds"), Said("table", "a    b\n1    22\n333  4"))
    made = Recording("step05-sentinel", "29.0", 1.0, 2.0, {"a": "1"}, {"failover": "0f"}, (act,))
    assert Recording.of(json.loads(json.dumps(made.data()))) == made


def test_what_was_not_played_as_the_act_says_is_no_recording(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="echo 2"):
        recorded(ACT, ["echo 2"], "Look at 1.", heard(capsys))
    with pytest.raises(ValueError):
        recorded(ACT, ["echo 1"], "Look at 2.", heard(capsys))


@pytest.mark.parametrize(
    ("change", "word"),
    (
        ({"commands": ("echo {b}",)}, "commands"),
        ({"commands": ()}, "commands"),
        ({"proofs": ()}, "proofs"),
        ({"checks": (Check("redis"), Check("apps"))}, "checks"),
    ),
)
def test_a_recording_of_another_lesson_is_stale(change: dict[str, Any], word: str, capsys: pytest.CaptureFixture[str]) -> None:
    made = Recording("step05-sentinel", "29.0", 1.0, 2.0, {}, {"failover": "0f"}, (recorded(ACT, ["echo 1"], "Look at 1.", heard(capsys)),))
    now = {"failover": "0f"}
    assert stale(LESSON, made, now) == ""
    assert stale(replace(LESSON, acts=(replace(ACT, title="Other", text="Other."),)), made, now) == "", "texts are taken from the lesson as it is now"
    assert word in stale(replace(LESSON, acts=(replace(ACT, **change),)), made, now)
    assert "acts" in stale(replace(LESSON, acts=(ACT, ACT)), made, now)
    assert "failover may say" in stale(LESSON, made, {"failover": "1f"})


def test_a_hash_stands_for_what_a_function_may_say() -> None:
    """For its words and commands, and not for how it works or is described."""

    def one(name: str) -> str:
        """What it does."""
        return f"{name} is up" if name else "docker ps"

    def same(other: str) -> str:
        """Told in other words."""
        if not other:
            return "docker ps"
        return f"{other} is up"

    def another(name: str) -> str:
        """What it does."""
        return f"{name} runs" if name else "docker ps"

    assert spoken._hash(one) == spoken._hash(same) != spoken._hash(another)
    lesson = steps.load("step05-sentinel").LESSON
    assert set(spoken.texts_of(lesson)) == {one.name for act in lesson.acts for one in (*act.proofs, *act.checks)}


# ---- the task


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of docs/ that the task may write to."""
    import shutil

    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    for name, value in (("ROOT", tmp_path), ("DOCS", tmp_path / "docs"), ("RECORDED", tmp_path / "docs" / "recorded")):
        monkeypatch.setattr(docs, name, value)
    return tmp_path / "docs"


def desk(dry: bool = False) -> Any:
    return SimpleNamespace(voice=Recorder(), dry=dry)


def test_a_stale_page_is_written_and_one_too_many_goes(copy: Path) -> None:
    page, other = copy / "steps" / "step05-sentinel.md", copy / "steps" / "step99-none.md"
    right = page.read_text()
    page.write_text("old")
    other.write_text("old")
    docs.docs(desk(dry=True))
    assert page.read_text() == other.read_text() == "old", "--dry changes nothing"
    docs.docs(desk())
    assert page.read_text() == right and not other.exists()
    again = desk()
    docs.docs(again)
    assert "nothing to do" in again.voice.take()[0].text


def test_a_stale_picture_is_drawn_anew_and_one_too_many_goes(copy: Path) -> None:
    stale, lost, other = (copy / "pictures" / f"{name}.svg" for name in ("step05-sentinel", "stack", "step99-none"))
    right = {path: path.read_text() for path in (stale, lost)}
    stale.write_text("old")
    other.write_text("old")
    lost.unlink()
    times = {path: path.stat().st_mtime_ns for path in copy.rglob("*.*")}
    dry, wet = desk(dry=True), desk()
    docs.docs(dry)
    assert {said.text for said in dry.voice.take()} == {
        "docs/pictures/step05-sentinel.svg would be written",
        "docs/pictures/stack.svg would be written",
        "docs/pictures/step99-none.svg would be removed",
    }
    assert {path: path.stat().st_mtime_ns for path in copy.rglob("*.*")} == times, "--dry changes nothing"
    docs.docs(wet)
    assert {path: path.read_text() for path in right} == right and not other.exists()
    assert len(wet.voice.take()) == 3 and all(path.stat().st_mtime_ns == was for path, was in times.items() if path not in (stale, other))


def test_a_recording_that_is_missing_old_or_broken_names_the_way_out(copy: Path) -> None:
    file = copy / "recorded" / "step05-sentinel.json"
    data = json.loads(file.read_text())
    broken = [{**data, "acts": data["acts"][1:]}, {**data, "words": {}}, {"step": "step05-sentinel"}, []]
    for text in (*map(json.dumps, broken), "{", None):
        file.unlink() if text is None else file.write_text(text)
        with pytest.raises(SilverliningError) as caught:
            docs.docs(desk())
        assert caught.value.hint == "invoke docs --record --step step05-sentinel"


def test_what_the_task_is_not_for() -> None:
    with pytest.raises(SilverliningError, match="there is no step"):
        docs.docs(desk(), True, "step10")
    with pytest.raises(SilverliningError, match="--step"):
        docs.docs(desk(), False, "step05-sentinel")


# ---- links and commands in everything that is written


def slug(heading: str) -> str:
    """The anchor that a heading gets."""
    text = re.sub(r"[`*]|\[([^]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    kept = (c for c in text if c in "-_ " or unicodedata.category(c)[0] in "LNM")
    return "".join(kept).replace(" ", "-")


def without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("path", TEXTS, ids=NAMES)
def test_every_link_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(path.read_text(encoding="utf-8"))):
        if target.startswith(("http://", "https://")):
            continue
        file, _hash, anchor = target.partition("#")
        goal = (path.parent / file).resolve() if file else path
        if goal.parent == PICTURES and not PICTURES.exists():  # they come with the task `picture`
            continue
        assert goal.exists(), f"{path.relative_to(ROOT)}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", goal.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in map(slug, headings), f"{path.relative_to(ROOT)}: {target}"


CALL = re.compile(r"(?<![\w/])(?:\./)?invoke((?: --[\w-]+)*) ([a-z][\w.-]*)([^`|#\n]*)")


def calls(text: str) -> list[tuple[str, list[str]]]:
    """(task, flags) of each call of a task in the code of a page."""
    code = "\n".join(re.findall(r"^```.*?^```|`[^`\n]+`", text, re.MULTILINE | re.DOTALL))
    code = re.sub(r" --print-completion-script \w+", "", code)
    return [(name, re.findall(r" (--[a-z-]+)", rest)) for _core, name, rest in CALL.findall(code)]


@pytest.mark.parametrize("path", TEXTS, ids=NAMES)
def test_every_task_that_is_named_is_there(path: Path) -> None:
    contexts = tasks.namespace.to_contexts()
    known = {name: {*context.flags, *context.inverse_flags} for context in contexts for name in (context.name, *context.aliases)}
    for name, flags in calls(path.read_text(encoding="utf-8")):
        assert name in known, f"{path.relative_to(ROOT)}: invoke {name}"
        wrong = set(flags) - known.get(name, set(flags)) - {"--help"}
        assert not wrong, f"{path.relative_to(ROOT)}: invoke {name} has no {wrong}"


def test_calls_are_found() -> None:
    text = "`./invoke deploy-all --set a=1`, invoke nothing, `invoke --dry images.save F`\n```\nPATH=x invoke backup f  # --no\n```\n"
    assert calls(text) == [("deploy-all", ["--set"]), ("images.save", []), ("backup", [])]


# ---- the guides


def messages() -> set[str]:
    """Every text of the code that may be part of an error, its placeholders as `…`."""
    found = set()
    for file in (ROOT / "silverlining").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_" and isinstance(node.args[0], ast.Constant):
                found.add(re.sub(r"(\{[^}]*\})+", "…", str(node.args[0].value)))
    return found


def test_troubleshooting_explains_messages_that_exist() -> None:
    known = messages()
    headings = re.findall(r"^### (.*)$", (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(headings) > 20
    for heading in headings:
        part = heading.removesuffix(" …").rstrip(":")
        assert any(part in text for text in known), f"no message says {heading!r}"


def test_the_readme_stays_short_and_opens_the_three_doors() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 80
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["Two commands", "Learn", "Teach", "Deploy"]
    for guide in ("getting-started", "teaching", "deploying", "settings", "troubleshooting", "layout", "steps/index"):
        assert f"(docs/{guide}.md)" in text
