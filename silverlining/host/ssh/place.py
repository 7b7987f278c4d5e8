"""A directory on the host for the files that its commands need: it goes when the connection does, however that ends."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from ...model.errors import SilverliningError
from ...model.text import _

if TYPE_CHECKING:
    from .link import Link

# The directory lives as long as this process can read from the connection.
KEEP = "d=$(mktemp -d /tmp/silverlining-XXXXXX) || exit 1; trap 'rm -rf \"$d\"' EXIT; trap 'exit 1' HUP INT TERM; echo \"$d\"; cat >/dev/null"


class Workplace:
    """Made on the host at once. Raises SilverliningError where the host has no room for it."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._keeper = link.process(f"sh -c {shlex.quote(KEEP)}")
        self.path = self._keeper.makefile("rb").readline().decode().strip()
        self._there: dict[str, bytes] = {}
        if not self.path:
            raise SilverliningError(
                _("no temporary directory can be made on {host}").format(host=link.host), _("see `df /tmp` there; then run the same command again")
            )

    def put(self, name: str, data: bytes) -> None:
        """Writes a file, unless it is there with this content. Raises SilverliningError."""
        if self._there.get(name) == data:
            return
        target = shlex.quote(f"{self.path}/{name}")
        code, _said, words = self._link.run(f"cat >{target}", given=data)
        if code:
            raise SilverliningError(
                _("{name} can't be written on the host: {words}").format(name=name, words=words.strip()), _("see `df /tmp` there")
            )
        self._there[name] = data

    def close(self) -> None:
        """Takes the directory away."""
        self._keeper.close()
