"""The way in from a task: reads the settings, makes the desk, and turns errors for people into Invoke's exit."""

from __future__ import annotations

import atexit
import inspect
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from types import TracebackType
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
    from ..console.voice import Voice, launched_as
    from ..model.errors import SilverliningError
    from .desk import Desk
    from .interrupt import interruptible
    from .settings import read_settings

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that knows no arrows gets question marks, not a traceback
            stream.reconfigure(errors="replace")
    voice = Voice(quiet=json)
    if hasattr(c, "original_host"):
        voice.program = f"{launched_as('fab')} -H {_target(c)}"
    try:
        with interruptible():
            settings = read_settings(pairs(set or []))
            desk = Desk(c, settings, voice, dry=dry or bool(c.config.run.dry), yes=yes, play=play, quick=quick, json=json)
            try:
                yield desk
            finally:
                desk.tell_notes()
                desk.host.close()
    except SilverliningError as error:
        raise Exit(message(str(error), voice.program), code=1) from None
    except KeyboardInterrupt:
        raise Exit(message(_("interrupted") + "\n  → " + _("run the same command again: it goes on from what stands")), code=1) from None
    except Exception as error:
        from .faults import explain

        if (known := explain(error)) is None:
            raise
        raise Exit(message(str(known), voice.program), code=1) from None


def _target(c: Any) -> str:
    """What a person has typed after -H, or what means the same."""
    user = f"{c.user}@" if c.user != (c.ssh_config.get("user") or c.config.user) else ""
    port = f":{c.port}" if c.port != int(c.ssh_config.get("port", c.config.port)) else ""
    return f"{user}{c.original_host}{port}"


def message(text: str, program: str = "") -> str:
    """An error as it is shown; `program` is what a person types in place of invoke."""
    from ..console.voice import Voice

    voice = Voice(sys.stderr)
    voice.program = program or voice.program
    return "\n" + voice.error(text)


def tidy_invoke(known: Callable[[], list[str]]) -> None:
    """Makes what Invoke itself prints keep our rules: a closed pipe is no error, and a word that it doesn't know names the next command.

    `known` gives the names of the tasks.
    """

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, BrokenPipeError):
            os._exit(0)
        if words := _of_ssh_config(error):
            print(message(words), file=sys.stderr)
        else:
            sys.__excepthook__(kind, error, trace)

    def flush() -> None:
        try:
            if sys.stdout:  # None where it was closed from the start
                sys.stdout.flush()
        except BrokenPipeError:
            # What Python still holds in its buffer must not raise at the very end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def words(error: ParseError) -> str:
        text = str(error.args[0]) if error.args else ""
        unknown = re.match(r"No idea what '([^']+)' is", text)
        if unknown and (close := _meant(unknown[1], known())):
            text += "\n  → " + _("did you mean {names}?").format(names=", ".join(close))
        if unknown and re.match("[a-z-]+=", unknown[1]):
            text += "\n  → " + _("several services go in one word: scale ping-app=3,redis-slave=3")
        return message(f"{text}\n  → " + _("`invoke --list` names the tasks, `invoke --help TASK` the flags of one"))

    sys.excepthook = hook
    atexit.register(flush)
    ParseError.__str__ = words  # type: ignore[method-assign, assignment]


def _meant(word: str, known: list[str]) -> list[str]:
    """The tasks that are like the one which Invoke's parser doesn't know."""
    from difflib import get_close_matches

    word, names = word.replace("_", "-"), [name.replace("_", "-") for name in known]
    return [name for name in names if name.startswith(word)] or get_close_matches(word, names, 2)


def _of_ssh_config(error: BaseException) -> str:
    """What is wrong with ssh_config, in words for people: Fabric reads it before any of our code runs. "" if it isn't that."""
    from traceback import walk_tb

    frames = [frame.f_code for frame, _line in walk_tb(error.__traceback__)]
    if isinstance(error, RecursionError) and any(code.co_name == "get_gateway" for code in frames):
        what, hint = _("ProxyJump leads back to the same host"), _("name the gateway in `Match` or `Host` so that it has no ProxyJump itself")
    elif any(code.co_name == "_load_ssh_files" for code in frames):
        why = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
        what, hint = (
            _("ssh_config can't be read: {why}").format(why=why),
            _("mend ~/.ssh/config or /etc/ssh/ssh_config, or name another file with -S"),
        )
    else:
        return ""
    return f"{what}\n  → {hint}"


def pairs(given: Sequence[str]) -> dict[str, str]:
    """The settings of `--set`, by path. Raises SettingsError."""
    from ..model.errors import SettingsError

    for text in given:
        if "=" not in text:
            raise SettingsError(_("--set {text}: write it as path=value").format(text=text), _("for example --set ports.web=8081"))
    return dict(text.split("=", 1) for text in given)


def _refuse_fab(c: Any, here: bool) -> None:
    if c.config.get("silverlining_under_fab") and not hasattr(c, "host"):
        raise Exit(message(_("fab works on other hosts: name one with -H HOST\n  → for this machine: invoke TASK")), code=1)
    if hasattr(c, "host") and here:
        raise Exit(message(_("this is done on the machine where you sit, not on {host}\n  → invoke TASK").format(host=c.host)), code=1)


# What a task's desk may be told by flags; a task names those that it takes.
DESK_FLAGS = ("yes", "dry", "play", "quick", "json")


def on_host(name: str | None = None, /, iterable: Sequence[str] = (), here: bool = False, **flags: str) -> Callable[[Callable[..., None]], Task[Any]]:
    """Makes a task of a function that takes a desk. `flags` are the task's flags with their help, in the order in which they are shown:
    parameters of the function, and DESK_FLAGS, which reach it by the desk. `--set` comes with every task, and `--accept-new-host-key` unless
    `here` says that it has no sense over SSH.
    """
    texts = {**flags, "set": _("a setting, as path=value")}
    if not here:
        texts["accept_new_host_key"] = _("fab: trust a new host, and keep its key")

    def decorate(body: Callable[..., None]) -> Task[Any]:
        context, *own = inspect.signature(body).parameters.values()
        known = {parameter.name: parameter for parameter in own}
        for flag in (*DESK_FLAGS, "accept_new_host_key"):
            known.setdefault(flag, inspect.Parameter(flag, context.kind, default=False))
        known["set"] = inspect.Parameter("set", context.kind, default=None)
        signature = inspect.Signature([context, *(known[flag] for flag in texts)])

        @wraps(body)
        def run(*args: Any, **kwargs: Any) -> None:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            given = dict(bound.arguments)
            c = given.pop(context.name)
            settings = [*(given.pop("set") or []), *(["ssh.accept_new_host_key=true"] if given.pop("accept_new_host_key", False) else [])]
            told = {flag: given.pop(flag) for flag in DESK_FLAGS if flag in given}
            with operation(c, settings, here=here, **told) as desk:
                body(desk, **given)

        run.__signature__ = signature  # type: ignore[attr-defined]
        made: Task[Any] = task(name=name, help={flag.replace("_", "-"): text for flag, text in texts.items()}, iterable=[*iterable, "set"])(run)
        return made

    return decorate


def step_task(name: str) -> Task[Any]:
    """The task of a step."""
    import steps

    def body(desk: Desk) -> None:
        from .run import run_step

        run_step(desk, name)

    body.__doc__ = f"{steps.SUMMARIES[name]}\n\nExample: invoke {name} --play"
    return on_host(
        yes="take away without asking",
        dry="print the plan and change nothing",
        play="play the lesson even if nothing changed",
        quick="leave the lesson out: only its checks",
    )(body)
