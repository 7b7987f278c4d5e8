"""`open` and `shell`: which address and which container a person means, and where there is a browser."""

from __future__ import annotations

import io
import subprocess
import sys
import webbrowser
from types import SimpleNamespace
from typing import Any, cast

import pytest

import steps
from silverlining.console.voice import Voice
from silverlining.model import labels
from silverlining.model.errors import SilverliningError
from silverlining.model.stack import Container, Stack
from silverlining.ops.open import browse, browser_there, open_service
from silverlining.ops.shell import container_of

from .builders import stack
from .test_voice import Terminal


class Client:
    """An engine on which a stack stands; some of its containers may be in another state."""

    def __init__(self, made: Stack, **states: str) -> None:
        self.made, self.states = made, {name.replace("_", "-"): state for name, state in states.items()}

    def containers(self, **more: Any) -> list[dict[str, Any]]:
        return [self.entry(c) for c in self.made.containers if self.states.get(f"{c.service}-{c.index}") != "gone"]

    def entry(self, c: Container) -> dict[str, Any]:
        return {
            "Id": c.name,
            "Names": [f"/{c.name}"],
            "Labels": {labels.STACK: c.stack, labels.SERVICE: c.service, labels.INDEX: str(c.index)},
            "NetworkSettings": {"Networks": {c.network: {"IPAddress": c.address}}},
            "Status": "",
            "State": self.states.get(f"{c.service}-{c.index}", "running"),
            "Image": "",
        }

    def inspect_container(self, identity: str) -> dict[str, Any]:
        (c,) = (c for c in self.made.containers if c.name == identity)
        ports = {f"{inside}/tcp": [{"HostIp": address or "0.0.0.0", "HostPort": str(outside)}] for address, outside, inside in c.ports}
        return {"NetworkSettings": {"Ports": ports}}


def desk(step: str = "step08-netdata", stream: Any = None, **states: str) -> Any:
    client = Client(stack(step), **states)
    return cast(
        Any,
        SimpleNamespace(
            host=SimpleNamespace(client=client, remote=False, direct=True, name="localhost"),
            voice=Voice(stream or io.StringIO()),
            settings=SimpleNamespace(stack="silver"),
            json=False,
        ),
    )


ADDRESSES = (
    ("step08-netdata", "haproxy", "http://localhost/"),
    ("step08-netdata", "ping-app", "http://localhost/"),
    ("step08-netdata", "web", "http://localhost/"),
    ("step08-netdata", "statistics", "http://localhost:8404/stats"),
    ("step08-netdata", "haproxy-stats", "http://localhost:8404/stats"),
    ("step08-netdata", "Netdata", "http://localhost:19999/"),
    ("step08-netdata", "etcd", "http://localhost:2379/version"),
    ("step06-haproxy", "stats", "http://localhost:8404/stats"),
    ("step06-lvs", "ping-app", "http://10.0.7.9:8000/"),
    ("step06-lvs", "lvs", "http://10.0.7.9:8000/"),
    ("step05-sentinel", "ping-app", "http://localhost:8080/"),
    ("step03-redis", "django", "http://localhost:8080/"),
    ("step03-redis", "app", "http://localhost:8080/"),
    ("step01-nginx", "nginx", "http://localhost/"),
    ("step01-nginx", "site", "http://localhost/"),
)


@pytest.mark.parametrize(("step", "name", "url"), ADDRESSES)
def test_the_address(step: str, name: str, url: str) -> None:
    stream = io.StringIO()
    assert open_service(desk(step, stream), name)["url"] == url
    assert stream.getvalue() == f"{url}\n"


REFUSED = (
    ("step08-netdata", "redis-master", "only the private network", "invoke shell redis-master"),
    ("step08-netdata", "sentinel", "only the private network", "invoke shell sentinel"),
    ("step08-netdata", "nginx", "nginx does not stand now", "invoke step01-nginx"),
    ("step08-netdata", "lvs", "lvs does not stand now", "invoke step06-lvs"),
    ("step05-sentinel", "stats", "haproxy does not stand now", "invoke step06-haproxy"),
    ("step01-nginx", "ping-app", "ping-app does not stand now", "invoke step04-image"),
    ("step08-netdata", "hapoxy", "hapoxy: there is no such service", "did you mean haproxy?"),
    ("step00-install", "haproxy", "nothing of silver stands", "invoke deploy-all"),
)


@pytest.mark.parametrize(("step", "name", "what", "hint"), REFUSED)
def test_what_has_no_address(step: str, name: str, what: str, hint: str) -> None:
    with pytest.raises(SilverliningError) as caught:
        open_service(desk(step), name)
    assert what in caught.value.what and hint in caught.value.hint


def test_what_does_not_run() -> None:
    with pytest.raises(SilverliningError, match="silver-netdata-1 does not run: exited"):
        open_service(desk(netdata_1="exited"), "netdata")


def test_every_published_port_can_be_opened() -> None:
    """A service that a step publishes has a name here."""
    for step in steps.NAMES[1:-1]:
        for service in steps.load(step).TOPOLOGY.services:
            if service.ports:
                assert open_service(desk(step), service.name)["url"].startswith("http://")


@pytest.mark.parametrize(
    ("environ", "platform", "name", "there"),
    (
        ({}, "linux", "firefox", False),
        ({"DISPLAY": ":0"}, "linux", "firefox", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", "xdg-open", True),
        ({"DISPLAY": ":0"}, "linux", "/usr/bin/w3m", False),
        ({"BROWSER": "lynx"}, "linux", "lynx", False),
        ({"BROWSER": "/opt/show"}, "linux", "/opt/show", True),
        ({}, "darwin", "default", True),
        ({"DISPLAY": ":0"}, "linux", "", False),
    ),
)
def test_where_there_is_a_browser(environ: dict[str, str], platform: str, name: str, there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def get() -> Any:
        if not name:
            raise webbrowser.Error("could not locate runnable browser")
        return SimpleNamespace(name=name)

    monkeypatch.setattr(webbrowser, "get", get)
    assert browser_there(environ, platform) is there


def test_a_browser_neither_blocks_nor_writes_here(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(subprocess, "Popen", lambda command, **more: asked.append((command, more)))
    assert browse("http://localhost/")
    ((command, more),) = asked
    assert command[0] == sys.executable and command[-1] == "http://localhost/"
    assert {more[name] for name in ("stdin", "stdout", "stderr")} == {subprocess.DEVNULL} and more["start_new_session"]


@pytest.fixture
def browsers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that a browser was given."""
    given: list[str] = []
    monkeypatch.setattr("silverlining.ops.open.browser_there", lambda environ: True)
    monkeypatch.setattr("silverlining.ops.open.browse", lambda url: not given.append(url))  # type: ignore[func-returns-value]
    return given


def test_on_a_terminal_a_browser_that_is_there_opens_it(browsers: list[str]) -> None:
    facts = open_service(desk(stream=Terminal()), "netdata")
    assert facts == {"service": "netdata", "url": "http://localhost:19999/", "browser": True}
    assert browsers == ["http://localhost:19999/"]


def test_what_is_said_of_it(browsers: list[str]) -> None:
    stream = Terminal()
    open_service(desk(stream=stream), "netdata")
    assert stream.getvalue().startswith("http://localhost:19999/\n") and "your browser opens it" in stream.getvalue()


@pytest.mark.parametrize("why", ("a pipe", "json", "none is there", "it does not start"))
def test_no_browser_opens_it(why: str, browsers: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO() if why == "a pipe" else Terminal()
    one = desk(stream=stream)
    one.json = why == "json"
    if why == "none is there":
        monkeypatch.setattr("silverlining.ops.open.browser_there", lambda environ: False)
    if why == "it does not start":
        monkeypatch.setattr("silverlining.ops.open.browse", lambda url: False)
    assert open_service(one, "netdata")["browser"] is False
    assert not browsers and stream.getvalue() == "http://localhost:19999/\n"


# ---- shell


@pytest.mark.parametrize(
    ("service", "index", "name"),
    (("ping-app", "", "silver-ping-app-1"), ("ping-app", "3", "silver-ping-app-3"), ("redis-master", "1", "silver-redis-master-1")),
)
def test_the_container_that_is_meant(service: str, index: str, name: str) -> None:
    assert container_of(desk(), service, index) == name


def test_without_a_number_the_first_that_runs() -> None:
    assert container_of(desk(ping_app_1="paused"), "ping-app") == "silver-ping-app-2"
    assert container_of(desk(ping_app_1="paused"), "ping-app", "1") == "silver-ping-app-1"
    assert container_of(desk(netdata_1="exited"), "netdata") == "silver-netdata-1"


@pytest.mark.parametrize("index", ("0", "4", "-1", "x", "1.0"))
def test_a_number_that_does_not_stand(index: str) -> None:
    with pytest.raises(SilverliningError, match="no ping-app number") as caught:
        container_of(desk(), "ping-app", index)
    assert "1, 2, 3" in caught.value.hint
    with pytest.raises(SilverliningError) as caught:
        container_of(desk(ping_app_2="gone"), "ping-app", "2")
    assert "1, 3" in caught.value.hint


@pytest.mark.parametrize("service", ("nope", "nginx"))
def test_a_service_that_does_not_stand(service: str) -> None:
    with pytest.raises(SilverliningError, match=service):
        container_of(desk(), service)
