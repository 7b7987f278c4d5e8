"""A plan in a few short lines, for a screen that many people look at: the commands that say most, each on one line."""

from __future__ import annotations

from .actions import Action, CreateNetwork, MoveMaster, Plan, Remove, Replace, Run
from .commands import Argv, commands, line

# What says most of a plan, in this order; the rest comes after them.
TELLING = (CreateNetwork, Run, Replace, MoveMaster, Remove)


def brief(plan: Plan, most: int, width: int) -> tuple[list[str], int]:
    """At most `most` lines of at most `width` characters, in the plan's order, and how many commands are left out.

    Of each service one container comes before a second one.
    """
    ranked: list[tuple[int, int, str]] = []
    seen: set[tuple[type[Action], str]] = set()
    for action in plan.actions:
        rank = TELLING.index(type(action)) if isinstance(action, TELLING) else len(TELLING)
        about = (type(action), _service(action))
        said = [_short(action, argv) for argv in commands(action)]
        main = len(said) - 1 if isinstance(action, Replace) else 0
        for number, text in enumerate(said):
            aside = about in seen or number != main
            ranked.append((rank + aside * (len(TELLING) + 1), len(ranked), cut(text, width)))
        seen.add(about)
    chosen = sorted(sorted(ranked)[:most], key=lambda entry: entry[1])
    return [text for _rank, _number, text in chosen], len(ranked) - len(chosen)


def _service(action: Action) -> str:
    """The service of the container that an action is about; "" if it is about none."""
    if isinstance(action, (Run, Replace)):
        return action.container.service
    return action.old.service if isinstance(action, Remove) else ""


def _short(action: Action, argv: Argv) -> str:
    """`docker run` with nothing but its name and its image; any other command as it is."""
    if isinstance(action, (Run, Replace)) and argv[1] == "run":
        return f"docker run --detach --name {action.container.name} … {action.container.image.reference}"
    return line(argv)


def cut(text: str, width: int) -> str:
    """The text on one line of at most `width` characters."""
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 1].rstrip() + "…"
