"""Commands on this machine: one that is interrupted before it has begun ends as Ctrl-C does."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from invoke import Context

from silverlining.host.host import Host, _for_real
from silverlining.ops.settings import read_settings


def test_an_interrupt_before_the_command_has_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """Invoke's runner looks at the end of a run at what its beginning would have set: that must not hide the interrupt."""
    context = _for_real(Context())

    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(context.config["runners"]["local"], "_setup", interrupted)
    with pytest.raises(KeyboardInterrupt):
        context.run("true")


@pytest.mark.parametrize(
    ("command", "there", "tools", "borrowed"), (("curl -s x", None, "tools:1", True), ("curl -s x", "/usr/bin/curl", "tools:1", False))
)
def test_curl_comes_from_our_image_where_there_is_none(
    monkeypatch: pytest.MonkeyPatch, command: str, there: str | None, tools: str, borrowed: bool
) -> None:
    said: list[str] = []
    monkeypatch.setattr("shutil.which", lambda name: there)
    host = Host(Context(), read_settings({}, environ={}))
    host.__dict__["engine"] = SimpleNamespace(environment={})
    host.context = SimpleNamespace(run=lambda line, **_options: said.append(line))
    host.tools = tools
    host.shell(command)
    host.shell("docker ps")
    assert said[0].endswith(command) and ("--entrypoint curl tools:1" in said[0]) == borrowed and said[1] == "docker ps"
