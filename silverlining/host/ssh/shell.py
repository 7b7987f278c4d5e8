"""The shell of a host over the open connection, in place of Fabric's `run`.

Fabric's own logs in anew, past our rules, where the connection has ended; it gives -1 for a command whose end nobody has seen; and what it
has started goes on when the run is broken off.
"""

from __future__ import annotations

import shlex
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ...model.errors import TimedOut
from ..install import as_root

if TYPE_CHECKING:
    from invoke import Result

    from .link import Link

PIECE = 65_536
# Lines of input up to `--` are for sudo, those up to the next one are variables: a proxy's address may hold a password, and a command line
# can be read by everybody there. The end of the input is the end of the connection; then the program must go, and remove what it has made.
# It says so on an output that nobody reads any more: that must not kill it before it is done. Without setsid (it is no Linux) what the
# program has started stays. It is told until it has gone: mmdebstrap hears nothing while it unpacks, but for a child of its that is hit.
GUARD = """
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin; export PATH
while read -r line && [ "$line" != -- ]; do :; done
while read -r line && [ "$line" != -- ]; do export "$line"; done
exec 3<&0
trap '' PIPE
[ -z "$SCRATCH" ] || { TMPDIR=$(mktemp -d) && chmod 711 "$TMPDIR" && export TMPDIR; }
tidy() { [ -z "$SCRATCH" ] || rm -rf "$TMPDIR"; }
$(command -v setsid) "$@" </dev/null 3<&- & job=$!
{
    while read -r line; do :; done
    trap '' TERM
    [ -n "$UNBROKEN" ] || for beat in 1 2 3 4 5; do kill -TERM "-$job" || kill -TERM "$job" || break; sleep 6; done
    tidy
} <&3 >/dev/null 2>&1 & watch=$!
exec 3<&-
wait "$job"; code=$?
kill "$watch" 2>/dev/null
tidy
exit "$code"
"""


class Shell:
    """Runs command lines as Invoke's Context and Fabric's Connection do: for what needs no engine."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.config: Any = link.connection.config

    def run(self, command: str, *, in_stream: Any = False, timeout: float | None = None, **_how: Any) -> Result:
        """Runs a command line, which is not ended with the run; `in_stream` is its input. Raises TimedOut, LinkLost, Refused.

        As with `hide` and `warn`, which may be said.
        """
        given = in_stream.read() if in_stream else ""
        return result(self._link, command, command, given, timeout or self.config.timeouts.command, ends=True)


def guarded(
    argv: Sequence[str], environment: Mapping[str, str], sudo: bool, password: str | None, unbroken: bool = False, scratch: bool = False
) -> tuple[str, str]:
    """The command line that runs `argv` as long as its input is open, as root with `sudo`, and what this input begins with.

    With `unbroken` it goes on to its end all the same, though nobody hears of it. With `scratch` its temporary files have a directory
    of their own, which goes with it.
    """
    line, words = shlex.join(["sh", "-c", GUARD, "guard", *argv]), None
    if sudo:
        line, words = as_root(line, password)
    variables = [f"{name}={value}" for name, value in environment.items() if "\n" not in value]
    variables += [f"{name}=yes" for name, wanted in (("UNBROKEN", unbroken), ("SCRATCH", scratch)) if wanted]
    return line, (words or "") + "\n".join(["--", *variables, "--", ""])


def result(link: Link, command: str, line: str, given: str, timeout: float | None, ends: bool = False) -> Result:
    """What `follow` gives, as Invoke's Result. `command` is what a person calls it. Raises TimedOut, LinkLost, Refused."""
    from invoke import Result

    said: list[bytes] = []
    try:
        code, errors = follow(link, line, given, said.append, timeout, ends)
    except TimeoutError:
        raise TimedOut(command, timeout or 0) from None
    return Result(stdout=b"".join(said).decode(errors="replace"), stderr=errors, command=command, exited=code)


def follow(link: Link, line: str, given: str, take: Callable[[bytes], object], timeout: float | None = None, ends: bool = False) -> tuple[int, str]:
    """Runs a command line and hands each piece of its output to `take`; gives its exit code and what it said on standard error.

    `given` is its input, or with `ends` all of it. Raises LinkLost, Refused, or TimeoutError after `timeout` seconds.
    """
    end = None if timeout is None else time.monotonic() + timeout
    with link.process(line) as made:

        def until_end() -> float | None:
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError
            made.settimeout(left)
            return left

        until_end()
        with suppress(BrokenPipeError):  # it has ended already, and its words say why
            made.sendall(given.encode())
        if ends:
            made.shutdown(socket.SHUT_WR)
        while piece := made.recv(PIECE):
            take(piece)
            until_end()
        errors = made.words()
        if not made.channel.status_event.wait(until_end()):
            raise TimeoutError
        link.check()
        return made.channel.exit_status, errors
