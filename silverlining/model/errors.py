"""What can go wrong in a way that a person can mend: what happened, why, and what to do next."""

from __future__ import annotations

from .text import _


class SilverliningError(Exception):
    """An error for people. `what` says what happened and why, `hint` the next thing to do or to run."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.what}\n  → {self.hint}" if self.hint else self.what


class SettingsError(SilverliningError):
    """A setting is unknown, of the wrong type or out of range; `what` begins with its path."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what, hint or _("docs/silverlining.example.yaml says what each setting may be"))


class Conflict(SilverliningError):
    """Something on the host that is not ours holds a name, a port or a subnet that the plan needs."""


class EngineError(SilverliningError):
    """The Docker engine can't be reached, refuses, or is of a kind that can't run the course."""


class Unhealthy(SilverliningError):
    """Something did not become what it should be before its deadline."""


class TimedOut(SilverliningError):
    """A command of the host's shell did not end within its time, and is not awaited any more."""

    def __init__(self, command: str, seconds: float) -> None:
        what = _("`{command}` did not end within {seconds:g} s").format(command=" ".join(command.split()), seconds=seconds)
        super().__init__(what, _("run it by hand on the docker host, to see what it waits for; then the same command again"))


class Busy(SilverliningError):
    """Another writer holds the lock of this stack."""


class HostUnreachable(SilverliningError):
    """The docker host, or a gateway on the way to it, can't be reached over SSH, or doesn't speak it."""


class AccessRefused(SilverliningError):
    """The docker host, or a gateway on the way to it, doesn't let this user in with what was tried."""


class HostKeyRefused(SilverliningError):
    """The key that a host has shown is changed, revoked or not known; nothing was sent to it."""


class FileRefused(SilverliningError):
    """A file of ours (a bundle, a backup) can't be written, or can't be read or trusted; nothing was done with it."""
