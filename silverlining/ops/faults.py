"""Errors that the engine, or the way to it, has caused: in words for people."""

from __future__ import annotations

import sys
from http.client import HTTPException

from ..model.errors import EngineError, SilverliningError, TimedOut
from ..model.text import _


def explain(error: Exception) -> SilverliningError | None:
    """What `error` means and what to do; None if neither the engine nor the connection to it has caused it."""
    from invoke.exceptions import CommandTimedOut

    if isinstance(error, CommandTimedOut):  # by -T, which holds for every command
        return TimedOut(error.result.command, error.timeout)
    return _of_ssh(error) or _of_the_engine(error)


def _of_ssh(error: Exception) -> EngineError | None:
    if "paramiko" not in sys.modules:
        return None
    from paramiko import ChannelException, SSHException

    from ..host.engine import chain
    from ..host.ssh.link import NoSession

    # What only came up while an error of that kind was handled is a bug of ours.
    if not isinstance(error, (OSError, SSHException)) and type(error).__module__.partition(".")[0] not in ("docker", "urllib3"):
        return None
    full = next((cause for cause in chain(error) if isinstance(cause, (NoSession, ChannelException))), None)
    if full:
        return EngineError(
            _("the docker host opens no further session: {words}").format(words=full),
            _("MaxSessions in its sshd_config must be 3 or more; AllowStreamLocalForwarding yes saves most of them"),
        )
    if isinstance(error, SSHException):
        return EngineError(_("the SSH connection broke: {words}").format(words=error), _("run the same command again: it goes on from what stands"))
    return None


def _of_the_engine(error: Exception) -> EngineError | None:
    if "docker" not in sys.modules:
        return None
    from docker.errors import APIError, DockerException
    from requests.exceptions import RequestException, Timeout
    from urllib3.exceptions import HTTPError, TimeoutError

    again = _("run the same command again: it goes on from what stands")
    if isinstance(error, (DockerException, RequestException, HTTPError)):
        words = " ".join(str(getattr(error, "explanation", None) or error).split())
        if "no space left on device" in words.lower():
            return EngineError(
                _("no space left on the docker host: {words}").format(words=words),
                _("make room (`docker system df` shows what takes it), then run the same command again"),
            )
        if isinstance(error, APIError):
            return EngineError(_("the engine refused: {words}").format(words=words), again)
        if isinstance(error, (Timeout, TimeoutError)):
            return EngineError(_("the engine did not answer in time: {words}").format(words=words), _("`docker info` says whether it is well"))
    if isinstance(error, (DockerException, RequestException, HTTPError, HTTPException, ConnectionError)):
        return EngineError(
            _("the connection to the engine broke: {words}").format(words=error), _("`docker info` says whether the engine is well; then ") + again
        )
    return None
