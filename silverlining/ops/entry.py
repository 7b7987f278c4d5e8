"""The way in from a task: reads the settings, makes the desk, and turns errors for people into Invoke's exit."""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

from invoke import Exit, ParseError, Task, task

from ..model.text import _

if TYPE_CHECKING:
    from .desk import Desk


@contextmanager
def operation(
    c: Any,
    set: list[str] | None,
    *,
    dry: bool = False,
    yes: bool = False,
    play: bool = False,
    quick: bool = False,
    json: bool = False,
    here: bool = False,
) -> Iterator[Desk]:
    """A desk for one task; `here` says that it has no sense over SSH. Whatever a user can cause ends as one clear message and exit code 1."""
    _refuse_fab(c, here)
    from ..console.voice import Voice
    from ..model.errors import SilverliningError
    from .desk import Desk, read_settings

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that knows no arrows gets question marks, not a traceback
            stream.reconfigure(errors="replace")
    voice = Voice(quiet=json)
    if hasattr(c, "original_host"):
        voice.program = f"fab -H {_target(c)}"
    try:
        with _ended_as_by_ctrl_c():
            settings = read_settings(_pairs(set or []))
            desk = Desk(c, settings, voice, dry=dry or bool(c.config.run.dry), yes=yes, play=play, quick=quick, json=json)
            try:
                yield desk
            finally:
                desk.host.close()
    except SilverliningError as error:
        raise Exit(_message(str(error), voice.program), code=1) from None
    except KeyboardInterrupt:
        raise Exit(_message(_("interrupted") + "\n  → " + _("run the same command again: it goes on from what stands")), code=1) from None
    except Exception as error:
        if (known := _of_the_engine(error)) is None:
            raise
        raise Exit(_message(str(known), voice.program), code=1) from None


def _target(c: Any) -> str:
    """What a person has typed after -H, or what means the same."""
    user = f"{c.user}@" if c.user != (c.ssh_config.get("user") or c.config.user) else ""
    port = f":{c.port}" if c.port != int(c.ssh_config.get("port", c.config.port)) else ""
    return f"{user}{c.original_host}{port}"


def _message(text: str, program: str = "invoke") -> str:
    from ..console.voice import Voice

    voice = Voice(sys.stderr)
    voice.program = program
    return "\n" + voice.error(text)


def _of_the_engine(error: Exception) -> Exception | None:
    """An error that the engine or the way to it has caused, in words for people; None for any other."""
    if "docker" not in sys.modules:
        return None
    from .faults import explain

    return explain(error)


@contextmanager
def _ended_as_by_ctrl_c() -> Iterator[None]:
    """SIGTERM and a terminal that goes away end a run as Ctrl-C does: what a proof has paused is put back."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_DFL}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def tidy_invoke() -> None:
    """Makes what Invoke itself prints keep our rules: a closed pipe is no error, and a word that it doesn't know names the next command."""

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, BrokenPipeError):
            os._exit(0)
        sys.__excepthook__(kind, error, trace)

    def flush() -> None:
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            # What Python still holds in its buffer must not raise at the very end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def words(error: ParseError) -> str:
        text = str(error.args[0]) if error.args else ""
        return _message(f"{text}\n  → " + _("`invoke --list` names the tasks, `invoke --help TASK` the flags of one"))

    sys.excepthook = hook
    atexit.register(flush)
    ParseError.__str__ = words  # type: ignore[method-assign, assignment]


def _pairs(given: list[str]) -> dict[str, str]:
    from ..model.errors import SettingsError

    for text in given:
        if "=" not in text:
            raise SettingsError(_("--set {text}: write it as path=value").format(text=text), _("for example --set ports.web=8081"))
    return dict(text.split("=", 1) for text in given)


def _refuse_fab(c: Any, here: bool) -> None:
    if c.config.get("silverlining_under_fab") and not hasattr(c, "host"):
        raise Exit(_message(_("fab works on other hosts: name one with -H HOST\n  → for this machine: invoke TASK")), code=1)
    if hasattr(c, "host") and here:
        raise Exit(_message(_("this is done on the machine where you sit, not on {host}\n  → invoke TASK").format(host=c.host)), code=1)


def step_task(name: str) -> Task[Any]:
    """The task of a step."""
    import steps

    def body(c: Any, yes: bool = False, dry: bool = False, play: bool = False, quick: bool = False, set: list[str] | None = None) -> None:
        with operation(c, set, dry=dry, yes=yes, play=play, quick=quick) as desk:
            from .run import run_step

            run_step(desk, name)

    body.__doc__ = f"{steps.SUMMARIES[name]}\n\nExample: invoke {name} --play"
    help_texts = {
        "yes": "take away without asking",
        "dry": "print the plan and change nothing",
        "play": "play the lesson even if nothing changed",
        "quick": "leave the lesson out: only its checks",
        "set": "a setting, as path=value",
    }
    decorate: Callable[[Any], Task[Any]] = task(help=help_texts, iterable=["set"])
    return decorate(body)
