"""Progress of what is under way: on a terminal live lines, in a pipe plain ones."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from ..model.errors import SilverliningError
from ..model.text import _n

if TYPE_CHECKING:
    from rich.text import Text

    from .voice import Voice

EVERY = 5.0  # seconds between two lines about the same thing in a pipe
BRIEF = 8  # lines of what is under way
SHORTEST = 16  # columns that are left of a name


class Board:
    """Progress as plain lines: one when something is done, and where it is meanwhile if that is `slow` or takes long. The live one's base."""

    def __init__(self, voice: Voice, slow: bool = False) -> None:
        self.voice = voice
        self.slow = slow
        self.started: dict[str, float] = {}
        self._told: dict[str, tuple[float, str]] = {}  # when each was last said, and in which words
        self._kept: dict[str, str] = {}  # the newest that has come since
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._teller: threading.Thread | None = None
        self._trouble: Exception | None = None

    def update(self, name: str, words: str) -> None:
        """`name` is under way, and `words` say where it is; what is not `slow` is said when it takes long all the same."""
        begun = self.started.setdefault(name, time.monotonic())
        if not self.slow:
            self._told.setdefault(name, (begun, ""))
        self._tell(name, words)

    def amount(self, name: str, words: str) -> None:
        """`name` is under way and `words` measure it: said on every board, since it may take minutes."""
        self.started.setdefault(name, time.monotonic())
        self._tell(name, words)

    def done(self, name: str, words: str = "") -> None:
        """`name` is done."""
        seconds = time.monotonic() - self.started.get(name, time.monotonic())
        self.dropped(name)
        self.voice.ok(f"{name}{f' ({words})' if words else ''}  {self.voice.styled(f'{seconds:.1f} s', 'dim')}")

    def failed(self, name: str) -> None:
        """`name` has failed; the error follows."""
        self.dropped(name)
        self.voice.fail(name)

    def dropped(self, name: str) -> None:
        """`name` is under way no more: it was given up because of something else, say."""
        self.started.pop(name, None)
        with self._lock:
            self._told.pop(name, None)
            self._kept.pop(name, None)

    def close(self) -> None:
        """Ends the display."""
        self._closed.set()
        if self._teller:
            self._teller.join()

    def _tell(self, name: str, words: str) -> None:
        """Says what is new of `name`, but nothing twice within EVERY seconds: what comes too early is kept until then."""
        if self._trouble:
            raise self._trouble
        with self._lock:
            self._say(name, words)
            if self._kept and not self._teller:
                self._teller = threading.Thread(target=self._tell_late, daemon=True)
                self._teller.start()

    def _say(self, name: str, words: str) -> None:
        now = time.monotonic()
        when, last = self._told.get(name, (float("-inf"), None))
        self._kept.pop(name, None)
        if words == last:
            return
        if now - when < EVERY:
            self._kept[name] = words
            return
        self._told[name] = (now, words)
        line = f"  … {name}: {words}".partition("\n")[0]
        # A build's step may be a command of many hundred characters.
        self.voice.write(line if len(line) <= self.voice.width else f"{line[: self.voice.width - 2]} …")

    def _tell_late(self) -> None:
        """Says what was kept. A step that is silent for minutes may be the one that began right after another was told."""
        while not self._closed.wait(EVERY / 5):
            try:
                with self._lock:
                    for name, words in list(self._kept.items()):
                        self._say(name, words)
            except (OSError, SilverliningError) as error:
                self._trouble = error  # a full disk, say: raised where the work is done
                return


class LiveBoard(Board):
    """Progress on a terminal: what is under way is shown with its time and changes in place, what is done stays above.

    With `brief` what is done is counted only: a page that doesn't scroll has no room for it.
    """

    def __init__(self, voice: Voice, brief: bool = False) -> None:
        super().__init__(voice)
        from rich.console import Console
        from rich.live import Live

        self.words: dict[str, str] = {}
        self._brief, self._ready = brief, 0
        self._console = Console(file=voice.stream, no_color=not voice.colour, highlight=False)
        self._live = Live(get_renderable=self._lines, console=self._console, refresh_per_second=8, transient=True)
        self._live.start()
        voice.above = self._above

    def _above(self, text: str) -> None:
        from rich.text import Text

        self._console.print(Text.from_ansi(text.removesuffix("\n")), soft_wrap=True)

    def _lines(self) -> Text:
        from rich.text import Text

        now = time.monotonic()
        most = BRIEF if self._brief else max(3, self._console.height - 3)
        lines = [self._line(name, words, now - self.started.get(name, now)) for name, words in list(self.words.items())[:most]]
        if self._ready:
            lines.append(f"  ✓ {self._count()}")
        return Text("\n".join(lines))

    def _line(self, name: str, words: str, seconds: float) -> str:
        """In one line. Of a long name the beginning goes, and of long words the end: where something is says more than what it is called."""
        time_taken = f" ({seconds:.0f} s)"
        room = self._console.width - 1 - len("  … : ") - len(time_taken)
        most = max(SHORTEST, room - len(words))
        if len(name) > most:
            name = f"…{name[1 - most :]}"
        return f"  … {name}: {words[: max(0, room - len(name))]}{time_taken}"[: self._console.width - 1]

    def _count(self) -> str:
        return _n("{count} is done", "{count} are done", self._ready)

    def update(self, name: str, words: str) -> None:
        self.started.setdefault(name, time.monotonic())
        self.words[name] = words

    def done(self, name: str, words: str = "") -> None:
        if self._brief:
            self.dropped(name)
            self._ready += 1
        else:
            super().done(name, words)

    def amount(self, name: str, words: str) -> None:
        self.update(name, words)

    def dropped(self, name: str) -> None:
        self.words.pop(name, None)
        super().dropped(name)

    def close(self) -> None:
        self.voice.above = None
        self._live.stop()
        if self._ready:
            self.voice.ok(self._count())
