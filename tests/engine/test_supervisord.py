"""supervisord in our images (builds/lib/supervisord): it starts its programs, sees one end and hears a signal at once, not a second later."""

from __future__ import annotations

import re
from datetime import datetime, timezone

import pytest
from docker import APIClient
from invoke import Context

from silverlining.console.voice import Voice
from silverlining.host.contexts import File, pack
from silverlining.ops.desk import Desk
from silverlining.ops.settings import read_settings

from .course import until

# By itself it sleeps through the rest of a second first: after RUNNING nearly a whole one.
AT_ONCE = 0.5  # seconds
# The program's pipe must not wake it: HAProxy's output goes past it as well.
CONFIG = rb"""[supervisord]
nodaemon=true
logfile=/dev/null
logfile_maxbytes=0
pidfile=/tmp/supervisord.pid
[program:one]
command=sh -c 'echo $$ > /tmp/one; exec sleep 600 > /dev/null 2>&1'
redirect_stderr=true
startsecs=1
"""


class Log:
    """What supervisord has written in a container."""

    def __init__(self, engine: APIClient, container: str) -> None:
        self.engine, self.container = engine, container

    def moments(self, words: str) -> list[float]:
        """When it has said this, in seconds since the epoch."""
        lines = re.findall(rf"(?m)^(\S+ \S+) \w+ .*{words}", self.engine.logs(self.container).decode())
        return [datetime.strptime(line, "%Y-%m-%d %H:%M:%S,%f").replace(tzinfo=timezone.utc).timestamp() for line in lines]

    def await_words(self, words: str, times: int = 1) -> float:
        """When it said this for so many times."""
        until(lambda: len(self.moments(words)) >= times, words, 20, 0.02)
        return self.moments(words)[times - 1]


@pytest.mark.parametrize("name", ("app", "haproxy-confd"))
def test_it_acts_at_once(engine: APIClient, name: str) -> None:
    desk = Desk(Context(), read_settings({}, environ={}), Voice(quiet=True))
    made = engine.create_container(
        desk.store.resolve([name])[name].reference,
        entrypoint=["/usr/local/bin/supervisord", "-n", "-c", "/supervised.conf"],
        command=[],
        host_config=engine.create_host_config(network_mode="none"),
        labels=["sl-test-supervisord"],
    )["Id"]
    log = Log(engine, made)

    try:
        engine.put_archive(made, "/", pack({"supervised.conf": File(0o644, CONFIG)}).getvalue())
        engine.start(made)
        assert log.await_words("spawned: 'one'") - log.await_words("supervisord started") < AT_ONCE
        log.await_words("one entered RUNNING")
        killer = engine.exec_create(made, ["sh", "-c", "kill -9 $(cat /tmp/one); date +%s.%N"])["Id"]
        killed = float(engine.exec_start(killer))
        assert log.await_words("exited: one") - killed < AT_ONCE
        assert log.await_words("spawned: 'one'", times=2) - killed < 2 * AT_ONCE
        log.await_words("one entered RUNNING", times=2)
        engine.kill(made, "SIGTERM")
        told = datetime.now(timezone.utc).timestamp()
        assert engine.wait(made, timeout=20)["StatusCode"] == 0
        assert log.await_words("received SIGTERM") - told < AT_ONCE and log.await_words("stopped: one") - told < AT_ONCE
    finally:
        engine.remove_container(made, force=True, v=True)
