"""ssh_config with its Include lines, which paramiko passes over: Debian's own file has one, and many a person's, too."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from glob import glob
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from paramiko import ConfigParseError, SSHConfig

from ...model.errors import SilverliningError
from ...model.text import _

if TYPE_CHECKING:
    from fabric import Config

DEEPEST = 16  # as in OpenSSH's readconf.c
LINE = re.compile(r"\s*(\w+)(?:\s*=\s*|\s+)(.+?)\s*$")


def read_includes(config: Config) -> None:
    """Puts what the files of ssh_config include in its place. Raises SilverliningError where one can't be read or understood."""
    if config._runtime_ssh_path is not None:
        files = [(config._runtime_ssh_path, "~/.ssh")]
    elif config.load_ssh_configs:
        files = [(config._user_ssh_path, "~/.ssh"), (config._system_ssh_path, "/etc/ssh")]
    else:
        return
    texts = {}
    for name, base in files:
        path = Path(os.path.expanduser(name))
        if path.is_file():
            texts[path] = list(lines(path, Path(os.path.expanduser(base))))
    whole = SSHConfig()
    for path, text in texts.items():
        try:
            whole.parse(StringIO("\n".join(text)))
        except ConfigParseError as error:
            raise _wrong(path, str(error)) from None
    config._set(base_ssh_config=whole)


def lines(path: Path, base: Path, depth: int = 0, outer: tuple[str, ...] = ()) -> Iterator[str]:
    """The lines of a file with those of the files that it includes; names without a folder are below `base`. Raises SilverliningError.

    `outer` are the conditions of the blocks that its Include stands in: they hold for all of it, its own blocks too.
    """
    if depth > DEEPEST:
        raise _wrong(path, _("files include each other"))
    try:
        text = path.read_text(errors="replace")
    except OSError as error:
        raise _wrong(path, error.strerror or str(error)) from None
    block = outer
    for line in text.splitlines():
        found = LINE.match(line)
        word = found[1].lower() if found else ""
        try:
            if found and word in ("host", "match"):
                own = _condition(word, found[2])
                block = (*outer, own) if own else outer
                yield _heading(block) if outer else line
            elif found and word == "include":
                for pattern in shlex.split(found[2], comments=True):
                    for name in sorted(glob(str(base / os.path.expanduser(pattern)))):
                        yield from lines(Path(name), base, depth + 1, block)
                # What follows belongs to the block that the Include stands in, not to the last one of what was included.
                yield _heading(block)
            else:
                yield line
        except ValueError as error:
            raise _wrong(path, f"{line.strip()}: {error}") from None


def _condition(word: str, value: str) -> str:
    """A block's condition as Match writes it; "" for one that always holds. Raises ValueError."""
    if word == "host":
        patterns = ",".join(shlex.split(value))
        return "" if patterns == "*" else f"originalhost {shlex.quote(patterns)}"
    return "" if value.lower() == "all" else value


def _heading(block: tuple[str, ...]) -> str:
    """The line that begins a block for which all the conditions hold."""
    return f"Match {' '.join(block)}" if block else "Host *"


def _wrong(path: Path, why: str) -> SilverliningError:
    return SilverliningError(_("{path} can't be read: {why}").format(path=path, why=why), _("mend it, or name another ssh_config with -S"))
