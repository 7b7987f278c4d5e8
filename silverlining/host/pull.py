"""Pulls images. Remembers for one run which registries don't answer, so that each is asked once and not once an image."""

from __future__ import annotations

import queue
import re
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..model.errors import SilverliningError
from ..model.images import registry_of, split_reference
from ..model.text import _

if TYPE_CHECKING:
    from docker import APIClient

# Answers that concern the registry, not the image: nothing else can be had there in this run either.
UNREACHABLE = re.compile(
    r"no such host|server misbehaving|timeout|timed out|deadline exceeded|connection refused|connection reset|no route to host"
    r"|network is unreachable|x509|certificate|proxyconnect|toomanyrequests|gave HTTP response|: EOF|request canceled",
    re.IGNORECASE,
)


class PullFailed(SilverliningError):
    """A registry did not give an image; `what` is its answer."""


class _Registry:
    """What one run knows of a registry: whether it has been asked, whether it has answered, and what is wrong with it."""

    def __init__(self) -> None:
        self.asked = False
        self.answered = threading.Event()
        self.dead = ""


class Registries:
    """All registries of one run. `patience` is how long a registry may take for its first word, in seconds."""

    def __init__(self, api: APIClient, patience: float = 20) -> None:
        self._api = api
        self._patience = patience
        self._lock = threading.Lock()
        self._known: dict[str, _Registry] = {}

    def pull(self, reference: str, step: Callable[[str], None]) -> None:
        """Pulls `reference`. Raises PullFailed with what the registry answered."""
        with self._lock:
            registry = self._known.setdefault(registry_of(reference), _Registry())
            first, registry.asked = not registry.asked, True
        if not first:
            # The first one's answer decides whether the others ask at all.
            registry.answered.wait()
            if registry.dead:
                raise PullFailed(registry.dead)
        try:
            self._stream(reference, registry, step)
        except PullFailed as error:
            if UNREACHABLE.search(error.what):
                registry.dead = error.what
            raise
        finally:
            registry.answered.set()

    def _stream(self, reference: str, registry: _Registry, step: Callable[[str], None]) -> None:
        events: queue.Queue[dict[str, Any] | Exception | None] = queue.Queue()
        threading.Thread(target=self._feed, args=(reference, events), daemon=True).start()
        patience: float | None = self._patience
        while True:
            try:
                event = events.get(timeout=patience)
            except queue.Empty:
                # The engine goes on trying by itself; its late answer interests nobody any more.
                text = _("timeout: no answer within {seconds:g} s")
                raise PullFailed(text.format(seconds=self._patience)) from None
            if event is None:
                return
            if isinstance(event, Exception):
                raise PullFailed(str(getattr(event, "explanation", None) or event).strip()) from None
            if event.get("error"):
                raise PullFailed(str(event["error"]).strip())
            # The engine's first line comes before the layers are known, but after the registry has answered.
            patience = None
            registry.answered.set()
            step(" ".join(str(event[key]) for key in ("id", "status", "progress") if event.get(key)))

    def _feed(self, reference: str, events: queue.Queue[dict[str, Any] | Exception | None]) -> None:
        from docker.errors import DockerException
        from requests import RequestException

        repository, tag = split_reference(reference)
        try:
            for event in self._api.pull(repository, tag=tag, stream=True, decode=True):
                events.put(event)
        except (DockerException, RequestException, OSError) as error:
            events.put(error)
        else:
            events.put(None)
