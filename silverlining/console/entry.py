"""The way in from a task: reads the settings, makes the desk, and turns errors for people into Invoke's exit."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from invoke import Exit, Task, task

from ..model.text import _

if TYPE_CHECKING:
    from ..ops.desk import Desk


@contextmanager
def operation(
    c: Any,
    set: list[str] | None,
    *,
    dry: bool = False,
    yes: bool = False,
    play: bool = False,
    json: bool = False,
    engine: bool = True,
) -> Iterator[Desk]:
    """A desk for one task. Whatever a user can cause ends as one clear message and exit code 1."""
    _refuse_fab_without_host(c)
    from ..model.errors import SilverliningError
    from ..ops.desk import Desk, read_settings
    from .voice import Voice

    voice = Voice(quiet=json)
    try:
        settings = read_settings(_pairs(set or []))
        desk = Desk(c, settings, voice, dry=dry or bool(c.config.run.dry), yes=yes, play=play, json=json)
        yield desk
    except SilverliningError as error:
        raise Exit(_message(str(error)), code=1) from None
    except KeyboardInterrupt:
        raise Exit(_message(_("interrupted; the same command goes on where this ended")), code=130) from None
    except BrokenPipeError:
        raise Exit(code=0) from None
    except Exception as error:
        if (words := _engine_words(error)) is None:
            raise
        raise Exit(_message(words), code=1) from None


def _message(text: str) -> str:
    return f"\n✗ {text}"


def _engine_words(error: Exception) -> str | None:
    """The words of an error that the engine or the way to it has caused; None for any other."""
    if "docker" not in sys.modules:
        return None
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    if isinstance(error, (DockerException, RequestException)):
        words = getattr(error, "explanation", None) or str(error)
        return (
            _("the Docker engine: {words}").format(words=words)
            + "\n  → "
            + _("run the same command again; `docker info` says whether the engine is well")
        )
    return None


def _pairs(given: list[str]) -> dict[str, str]:
    from ..model.errors import SettingsError

    for text in given:
        if "=" not in text:
            raise SettingsError(_("--set {text}: write it as path=value").format(text=text))
    return dict(text.split("=", 1) for text in given)


def _refuse_fab_without_host(c: Any) -> None:
    if c.config.get("silverlining_under_fab") and not hasattr(c, "host"):
        raise Exit(_message(_("fab works on other hosts: name one with -H HOST\n  → for this machine: invoke TASK")), code=1)


def step_task(name: str) -> Task[Any]:
    """The task of a step."""
    import steps

    lesson = steps.load(name).LESSON

    def body(c: Any, yes: bool = False, dry: bool = False, play: bool = False, set: list[str] | None = None) -> None:
        with operation(c, set, dry=dry, yes=yes, play=play) as desk:
            from ..ops.run import run_step

            run_step(desk, name)

    body.__doc__ = f"{lesson.summary}\n\nExample: invoke {name} --play"
    help_texts = {
        "yes": "take away without asking",
        "dry": "print the plan and change nothing",
        "play": "play the lesson even if nothing changed",
        "set": "a setting, as path=value",
    }
    decorate: Callable[[Any], Task[Any]] = task(help=help_texts, iterable=["set"])
    return decorate(body)
