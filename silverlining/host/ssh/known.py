"""The known_hosts files, as sshd(8) describes them under SSH_KNOWN_HOSTS FILE FORMAT: what is known of a host, and what is added.

paramiko's own reader knows neither patterns nor markers (a key that is marked as revoked would count as good), and stops at a broken line.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import hashlib
import hmac
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...model.errors import HostKeyRefused
from ...model.text import _


@dataclass(frozen=True)
class Line:
    """One line of a known_hosts file; `kind` is the key's type as SSH writes it, `blob` the key's bytes."""

    file: Path
    number: int
    marker: str
    names: tuple[str, ...]
    kind: str
    blob: bytes

    @property
    def place(self) -> str:
        """Where it stands, as FILE:LINE."""
        return f"{self.file}:{self.number}"

    def speaks_of(self, name: str) -> bool:
        """Whether the line is about the host of this name (`host`, or `[host]:port`)."""
        found = False
        for pattern in self.names:
            wanted = not pattern.startswith("!")
            if _matches(pattern.removeprefix("!"), name.lower()):
                if not wanted:
                    return False
                found = True
        return found


def _matches(pattern: str, name: str) -> bool:
    if pattern.startswith("|1|"):
        try:
            _empty, _version, salt, digest = pattern.split("|")
            return hmac.compare_digest(hmac.digest(base64.b64decode(salt), name.encode(), "sha1"), base64.b64decode(digest))
        except (ValueError, binascii.Error):
            return False
    # Not fnmatch: [host]:port is no set of characters.
    return bool(re.fullmatch(re.escape(pattern.lower()).replace(r"\*", ".*").replace(r"\?", "."), name))


@dataclass(frozen=True)
class Verdict:
    """What the files say of a key: known, new, revoked, or changed; `lines` are those that say so."""

    kind: str
    lines: tuple[Line, ...] = ()


class KnownHosts:
    """The known_hosts files of one host: the user's, to the first of which new keys are added, and the system's."""

    def __init__(self, user: Sequence[Path], system: Sequence[Path] = ()) -> None:
        self.user = tuple(user)
        self.system = tuple(system)

    def of(self, name: str) -> list[Line]:
        """The lines about a host. Raises HostKeyRefused where a file is there but can't be read: what it says would be missing."""
        return [line for file in (*self.user, *self.system) for line in read(file) if line.speaks_of(name)]

    def judge(self, name: str, kind: str, blob: bytes) -> Verdict:
        """What the files say of the key that a host has shown.

        A host of which only keys of other types are known has changed its key, too: known types are asked for first, so it has lost them.
        """
        lines = self.of(name)
        same = [line for line in lines if line.blob == blob]
        if revoked := [line for line in same if line.marker == "@revoked"]:
            return Verdict("revoked", tuple(revoked))
        if plain := [line for line in same if not line.marker]:
            return Verdict("known", tuple(plain))
        others = [line for line in lines if not line.marker]
        return Verdict("changed", tuple([line for line in others if line.kind == kind] or others)) if others else Verdict("new")

    def authorities(self, name: str) -> list[Line]:
        """The lines that name a certificate authority for the host."""
        return [line for line in self.of(name) if line.marker == "@cert-authority"]

    def kinds(self, name: str) -> list[str]:
        """The types of the keys that are known of a host, each once."""
        return list(dict.fromkeys(line.kind for line in self.of(name) if not line.marker))

    def add(self, name: str, kind: str, blob: bytes, hashed: bool = False) -> Path:
        """Adds a key to the user's first file, which is made if need be; gives the file. Raises HostKeyRefused where that can't be done."""
        if not self.user:
            raise HostKeyRefused(
                _("the key of {name} can't be remembered: UserKnownHostsFile is none").format(name=name), _("name a file in ~/.ssh/config")
            )
        file = self.user[0]
        shown = _hashed(name) if hashed else name
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.fdopen(os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600), "r+b") as stream:
                # Several hosts at once may get to know the same gateway.
                fcntl.flock(stream, fcntl.LOCK_EX)
                before = stream.read()
                if not any(line.speaks_of(name) and (line.kind, line.blob, line.marker) == (kind, blob, "") for line in _parsed(file, before)):
                    gap = b"" if not before or before.endswith(b"\n") else b"\n"
                    stream.write(gap + f"{shown} {kind} {base64.b64encode(blob).decode()}\n".encode())
        except OSError as error:
            raise HostKeyRefused(
                _("the key of {name} can't be remembered: {file}: {why}").format(name=name, file=file, why=error.strerror),
                _("make the file writable, or name another one with UserKnownHostsFile in ~/.ssh/config"),
            ) from None
        return file


def read(file: Path) -> Iterator[Line]:
    """The lines of a file that can be understood; none if there is no such file. Raises HostKeyRefused if it can't be read."""
    try:
        data = file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise HostKeyRefused(
            _("{file} can't be read, so no host key can be judged: {why}").format(file=file, why=error.strerror), _("make it readable")
        ) from None
    yield from _parsed(file, data)


def _parsed(file: Path, data: bytes) -> Iterator[Line]:
    for number, text in enumerate(data.decode(errors="replace").split("\n"), 1):
        words = text.split()
        if not words or words[0].startswith("#"):
            continue
        marker = words.pop(0) if words[0].startswith("@") else ""
        if len(words) < 3:
            continue
        try:
            blob = base64.b64decode(words[2], validate=True)
        except (ValueError, binascii.Error):
            continue
        yield Line(file, number, marker, tuple(words[0].split(",")), words[1], blob)


def _hashed(name: str) -> str:
    salt = os.urandom(hashlib.sha1().digest_size)
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(hmac.digest(salt, name.encode(), 'sha1')).decode()}"


def files(text: str, tokens: dict[str, str]) -> list[Path]:
    """The files that UserKnownHostsFile or GlobalKnownHostsFile names: separated by blanks, with ~ and ssh_config's % tokens; none for `none`."""
    import shlex

    try:
        words: Iterable[str] = shlex.split(text)
    except ValueError:
        words = text.split()
    filled = [re.sub("%(.)", lambda found: tokens.get(found[1], found[0]), word) for word in words]
    return [] if filled == ["none"] else [Path(word).expanduser() for word in filled]
