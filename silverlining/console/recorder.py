"""A voice that also remembers what it said, so that a lesson that is played can be kept."""

from __future__ import annotations

from collections.abc import Sequence

from ..model.recording import Said
from .tables import columns
from .voice import Voice, shortened


class Recorder(Voice):
    """Says everything as Voice does. What belongs to a lesson's page is kept until it is taken."""

    def __init__(self, quiet: bool = False) -> None:
        super().__init__(quiet=quiet)
        self._heard: list[Said] = []

    def take(self) -> tuple[Said, ...]:
        """What was said since the last time."""
        heard, self._heard = tuple(self._heard), []
        return heard

    def command(self, line: str) -> None:
        self._heard.append(Said("command", line))
        super().command(line)

    def output(self, text: str, most: int = 30) -> None:
        self._heard.append(Said("output", "\n".join(line.rstrip() for line in shortened(text, most))))
        super().output(text, most)

    def ok(self, text: str) -> None:
        self._heard.append(Said("ok", text))
        super().ok(text)

    def fail(self, text: str) -> None:
        self._heard.append(Said("fail", text))
        super().fail(text)

    def note(self, text: str) -> None:
        self._heard.append(Said("note", text))
        super().note(text)

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]], indent: str = "  ") -> None:
        self._heard.append(Said("table", "\n".join(columns((head, *rows)))))
        super().table(head, rows, indent)
