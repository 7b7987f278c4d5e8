"""Measures what this tool promises, each figure beside its peer in the same run: `bench()` is the whole story."""

from __future__ import annotations

import shlex
import tempfile
from pathlib import Path
from typing import Any

import steps

from ...model.errors import SilverliningError
from ...model.text import _, _n
from ..desk import Desk
from .calls import count_calls
from .cold import build_all
from .throughput import CONNECTIONS, measure
from .turns import Peer, Us, compare, desk_for, lists

MOST = 100
FEWEST = 5  # a median of fewer runs is a look, no figure


def bench(desk: Desk, wanted: str, cold: bool) -> dict[str, Any]:
    """Runs each figure `wanted` times beside its peer and gives medians in seconds. Stands and falls with stacks and images of its own.

    `cold` builds every image once more. Fewer runs than FEWEST are done as well, and said to be too few.
    Raises SilverliningError for what is no number, and while the person's own stack holds the ports.
    """
    if not wanted.isdecimal() or not 1 <= (runs := int(wanted)) <= MOST:
        raise SilverliningError(_("--runs {text}: it must be a number from 1 to {most}").format(text=wanted, most=MOST), "invoke bench --runs 5")
    from ...host.compose import newest
    from ...model.compose import register_script, render, settle
    from ..converge import get_images

    if desk.observe().containers:
        raise SilverliningError(_("stack {name} stands, and would hold the ports").format(name=desk.settings.stack), "invoke teardown --yes")
    ours, theirs = desk_for(desk, "us"), desk_for(desk, "them")
    images = get_images(ours, steps.load(steps.LAST).TOPOLOGY)
    seen = theirs.observe()
    peer = settle(theirs.stack(steps.load("step09-compose").TOPOLOGY, images, seen), seen)
    compose = newest(desk.host, desk.store)
    desk.voice.note(_("the peer is Docker Compose {version} ({source})").format(version=compose.version, source=compose.source))
    with tempfile.TemporaryDirectory() as folder:
        file, script = Path(folder, "compose.yaml"), Path(folder, "register.sh")
        file.write_text(render(peer))
        script.write_text(register_script(peer))
        figures = compare(desk, Us(ours), Peer(compose.prefix(shlex.quote(str(file))), script, theirs, peer), runs)
    figures |= lists(runs)
    result: dict[str, Any] = {"compose": compose.version, "runs": runs, "enough": runs >= FEWEST, "figures": figures}
    _tell_figures(desk, result)
    with desk.voice.progress(slow=True) as board:
        result["engine_calls"] = count_calls(ours, lambda words: board.update(_("counting calls"), words))
    _tell(desk, _("Engine calls of a run without changes"), (_("with"), _("calls")), result["engine_calls"])
    with desk.voice.progress(slow=True) as board:
        result["throughput"] = measure(ours, runs, lambda words: board.update(_("requests through HAProxy"), words))
    _tell_throughput(desk, result["throughput"], runs)
    if cold:
        result["cold"] = build_all(desk)
        _tell(desk, _("Every image anew, side by side, in seconds"), (_("image"), _("seconds")), result["cold"])
    return result


def _tell_figures(desk: Desk, result: dict[str, Any]) -> None:
    desk.voice.title(_n("Median of {count} run, in seconds", "Medians of {count} runs, in seconds", result["runs"]))
    peer = _("Compose {version}, or an empty tasks.py").format(version=result["compose"])
    rows = [(name, f"{f['ours']:.2f}", f"{f['peer']:.2f}", f"{f['ratio']:.2f}") for name, f in result["figures"].items()]
    desk.voice.table((_("figure"), _("ours"), peer, _("ratio")), rows)
    _tell_if_few(desk, result["runs"])


def _tell_if_few(desk: Desk, runs: int) -> None:
    """Says below medians that they are made of too few runs, where that is so."""
    if runs < FEWEST:
        words = _n("{count} run is too few for a figure", "{count} runs are too few for a figure", runs)
        desk.voice.warn(_("{words}: a median to rely on takes at least {fewest}").format(words=words, fewest=FEWEST))


def _tell_throughput(desk: Desk, figures: dict[str, dict[str, float]], runs: int) -> None:
    medians = _n("median of {count} run", "medians of {count} runs", runs)
    desk.voice.title(_("Through HAProxy, by wrk with {count} connections: {medians}").format(count=CONNECTIONS, medians=medians))
    rows = [(name, *(f"{value:g}" for value in f.values())) for name, f in figures.items()]
    desk.voice.table((_("settings"), _("requests a second"), _("99 % within, ms"), _("failed")), rows)
    _tell_if_few(desk, runs)


def _tell(desk: Desk, title: str, head: tuple[str, str], figures: dict[str, Any]) -> None:
    desk.voice.title(title)
    desk.voice.table(head, [(name, str(number)) for name, number in figures.items()])
