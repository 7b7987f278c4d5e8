"""Errors that the engine, or the way to it, has caused: in words for people."""

from __future__ import annotations

from http.client import HTTPException

from ..model.errors import EngineError
from ..model.text import _


def explain(error: Exception) -> EngineError | None:
    """What `error` means and what to do; None if neither the engine nor the connection to it has caused it."""
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
