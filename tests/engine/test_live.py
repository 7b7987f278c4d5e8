"""What stands is changed or broken while it is used: edits lose no request, and deploy-all mends what it finds."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .course import Course, until

APPS, REDIS, SENTINELS, HAPROXY = ("ping-app", 3), ("redis", 3), ("sentinel", 3), ("haproxy", 1)
EDITS = {
    "app": ("app/ping/urls.py", "\n", "\n# an edit\n"),
    "gunicorn": ("conf/gunicorn.conf.py.j2", "\n", "\n# an edit\n"),
    "redis": ("conf/redis.conf.j2", "appendonly yes", "appendonly yes\nslowlog-max-len 77"),
    "sentinel": ("conf/sentinel.conf.j2", "\n", "\n# an edit\n"),
    "haproxy": ("conf/haproxy.cfg.j2", "timeout queue 10s", "timeout queue 11s"),
}


def users(course: Course, edit: str) -> set[str]:
    """The containers that use what the edit changes."""
    services = {"app": ("ping-app",), "gunicorn": ("ping-app",), "redis": ("redis-master", "redis-slave"), "sentinel": ("sentinel",)}
    wanted = services.get(edit, ("haproxy",))
    # The Sentinels' image is made on Redis' own.
    return {name for name in course.ids() if name.removeprefix(f"{course.stack}-").rsplit("-", 1)[0] in wanted}


def steps_down(course: Course, names: set[str], seen: list[int]) -> Callable[[], None]:
    """Notes how many of the containers run at a moment."""

    def note() -> None:
        running = {entry["Names"][0].lstrip("/") for entry in course.mine() if entry["State"] == "running"}
        seen.append(len(names & running))

    return note
