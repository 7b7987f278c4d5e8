"""Checks of ports that only the host's loopback has."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from silverlining.host.host import Reply
from silverlining.ops import checks


@pytest.mark.parametrize(
    ("reply", "wrong"),
    (
        (Reply(200, "OK", {}), []),
        (Reply(503, "away", {}), ["port 8404 of the host's loopback: 503"]),
        (Reply(0, "ConnectionRefusedError: no", {}), ["port 8404 of the host's loopback: ConnectionRefusedError: no"]),
    ),
)
@pytest.mark.parametrize(("remote", "local", "asked"), ((False, True, True), (True, False, True), (False, False, False)))
def test_a_port_is_asked_where_there_is_a_way_to_it(reply: Reply, wrong: list[str], remote: bool, local: bool, asked: bool) -> None:
    said: list[tuple[int, str]] = []
    host = SimpleNamespace(remote=remote, engine=SimpleNamespace(local=local), get=lambda port, path: said.append((port, path)) or reply)
    scene = SimpleNamespace(host=host, desk=SimpleNamespace(settings=SimpleNamespace(ports=SimpleNamespace(stats=8404))))
    assert checks._by_port(scene, "stats", "/healthz") == (wrong if asked else [])  # type: ignore[arg-type]
    assert said == ([(8404, "/healthz")] if asked else [])
