"""The pages of the course as Markdown: rendered from the lessons and what was recorded of them. Pure functions of data."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..model.lesson import Act, Change, Lesson
from ..model.recording import RecordedAct, Recording, Said
from ..model.text import _, _n
from .voice import folded

WIDTH = 96


@dataclass(frozen=True)
class Step:
    """What a step's page is made of. `changes` are the docker commands that lead here from the step before, `services` name its containers."""

    name: str
    lesson: Lesson
    recording: Recording
    changes: Sequence[str]
    services: Sequence[str]

    @property
    def heading(self) -> str:
        """Its number and its title."""
        return _("Step {number}: {title}").format(number=int(self.name[4:6]), title=self.lesson.title)

    @property
    def source(self) -> str:
        """The file that its lesson stands in."""
        return f"steps/{self.name.replace('-', '_')}.py"


def step_page(step: Step, before: str, after: str) -> str:
    """A step's page. `before` and `after` name its neighbours ("" for none); `changes` come from the one before."""
    lesson, words = step.lesson, step.recording.words
    blocks = [_made_from(step.source, f"docs/recorded/{step.name}.json"), _way(before, after), f"# {step.heading}", lesson.summary]
    blocks += [_code([f"./invoke {step.name}"], "")]
    alt = _("What stands after {step}: {services}").format(step=step.name, services=", ".join(step.services) or _("nothing yet"))
    blocks.append(f"![{alt}](../pictures/{step.name}.svg)")
    if step.changes:
        blocks += _changes(step.changes, before)
    for number, (act, played) in enumerate(zip(lesson.acts, step.recording.acts, strict=True), 1):
        blocks += _act(number, act, played, words)
    if lesson.questions:
        blocks.append("## " + _("To think about"))
        blocks += [_unfolds(one.question.format_map(words), one.answer.format_map(words)) for one in lesson.questions]
    if lesson.since:
        blocks += ["## " + _("What has changed since 2017"), _table((_("then"), _("now"), _("why")), [_cells(change) for change in lesson.since])]
    varies = _(
        "The output was recorded with Docker {engine}. IDs, image tags, addresses, process numbers, times and the counter are others with you."
    )
    blocks += ["---", varies.format(engine=step.recording.engine)]
    return "\n\n".join(blocks) + "\n"


def index_page(steps: Sequence[Step]) -> str:
    """The table of all steps."""
    rows = [
        (
            f"[{step.name}]({step.name}.md)",
            step.lesson.title,
            step.lesson.summary,
            ", ".join(step.services),
            _seconds(step.recording.changes + step.recording.lesson),
        )
        for step in steps
    ]
    intro = _(
        "Each step brings the host to its state and plays its lesson. `./invoke STEP` runs it, and works from any other step,"
        " backwards too. A page shows what a run says, for reading without a host."
    )
    times = _(
        "The time is that of a run on two processors, changes and lesson, from the step before and with all images there."
        " Getting the images takes some minutes, once."
    )
    head = (_("step"), _("title"), _("what it is about"), _("what stands"), _("time"))
    return "\n\n".join((_made_from("steps/", "docs/recorded/"), "# " + _("The course, step by step"), intro, _table(head, rows), times)) + "\n"


def since_page(steps: Sequence[Step]) -> str:
    """Where the course leaves the article, all steps in one table."""
    intro = _(
        "The course follows an article of April 2017 act by act. Its ideas have aged well, its versions haven't. Where a step leaves it, this is why."
    )
    rows = [(f"[{step.name[:6]}](steps/{step.name}.md)", *_cells(change)) for step in steps for change in step.lesson.since]
    head = (_("step"), _("then"), _("now"), _("why"))
    return "\n\n".join((_made_from("steps/"), "# " + _("What has changed since 2017"), intro, _table(head, rows))) + "\n"


def _made_from(*sources: str) -> str:
    return f"<!-- {_('Written by `invoke docs` from {sources}: an edit here is lost.').format(sources=_(' and ').join(sources))} -->"


def _way(before: str, after: str) -> str:
    parts = [f"[← {before}]({before}.md)"] if before else []
    parts.append(f"[{_('all steps')}](index.md)")
    return " · ".join([*parts, *([f"[{after} →]({after}.md)"] if after else [])])


def _changes(commands: Sequence[str], before: str) -> list[str]:
    """What the step tells Docker, folded away."""
    count = _("What the step tells Docker, coming from {step}: {commands}").format(
        step=before, commands=_n("{count} command", "{count} commands", len(commands))
    )
    note = _("A real run shows each image with its tag, a hash of what it is made from; `--dry` shows its plan and changes nothing.")
    return [f"<details>\n<summary>{html.escape(count, quote=False)}</summary>", note, _code([folded(c, WIDTH) for c in commands]), "</details>"]


def _act(number: int, act: Act, played: RecordedAct, words: Mapping[str, str]) -> list[str]:
    blocks = [f"## {number}. {act.title}", act.text.format_map(words)]
    shown = [line for c in played.commands for line in (f"$ {folded(c.line, WIDTH)}", *c.output.splitlines())]
    if shown:
        blocks.append(_code(shown))
    if act.look:
        blocks.append(f"**{_('Look:')}** {act.look.format_map(words)}")
    if played.said:
        blocks += [_("Shown and checked on the running system:"), _code([line for said in played.said for line in _lines(said)])]
    return blocks


def _lines(said: Said) -> list[str]:
    """Something that was said, as it stands on the screen."""
    lines = said.text.splitlines()
    marks = {"ok": ("✓ ", "  "), "fail": ("✗ ", "  "), "note": ("→ ", "  "), "command": ("$ ", "")}
    first, more = marks.get(said.kind, ("  ", "  "))
    if said.kind == "command":
        lines = folded(said.text, WIDTH).splitlines()
    return [(first if number == 0 else more) + line for number, line in enumerate(lines)]


def _code(lines: Sequence[str], language: str = "console") -> str:
    return "\n".join((f"```{language}", *lines, "```"))


def _unfolds(question: str, answer: str) -> str:
    """A question whose answer is unfolded. Markdown is not read between the tags of a summary."""
    marked = re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(question, quote=False))
    return f"<details>\n<summary>{marked}</summary>\n\n{answer}\n\n</details>"


def _cells(change: Change) -> tuple[str, str, str]:
    return change.then, change.now, change.why


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _seconds(number: float) -> str:
    return _("{seconds} s").format(seconds=max(1, round(number)))
