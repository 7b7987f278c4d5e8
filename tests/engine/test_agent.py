"""The Go tests of our confd agent, run where its image is built: with the libraries of Debian's packages."""

from __future__ import annotations

import os

from silverlining.console.voice import Voice
from silverlining.host.contexts import File, host_files, pack
from silverlining.host.host import ROOT
from silverlining.ops.desk import Desk, read_settings

COMPILE = "RUN cd /agent && export"


def test_the_agents_own_tests() -> None:
    from invoke import Context

    desk = Desk(Context(), read_settings({}, environ={}), Voice(quiet=True))
    base = desk.store.resolve(["debian"])["debian"].reference
    recipe = (ROOT / "builds/confd/Dockerfile.agent").read_text()
    # Up to the line that compiles, so that the layer with Go and its libraries is the one that the image has made.
    head, compile_line, rest = recipe.partition(COMPILE)
    assert compile_line, "Dockerfile.agent no longer has the line that this test replaces"
    settings_of_go = rest.split("\\\n")[0]
    files = {f"agent/{path.name}": File(0o644, path.read_bytes()) for path in (ROOT / "builds/confd/agent").iterdir() if path.is_file()}
    files["apt-delta"] = File(0o755, (ROOT / "builds/lib/apt-delta").read_bytes())
    files["Dockerfile"] = File(0o644, f"{head}{compile_line}{settings_of_go} && go test -vet=off .\n".encode())
    files |= host_files(desk.settings.build, os.environ)
    assert any(name.endswith("_test.go") for name in files)
    client = desk.host.client
    said = list(client.build(fileobj=pack(files), custom_context=True, decode=True, rm=True, forcerm=True, buildargs={"BASE": base}))
    text = "".join(line.get("stream", "") for line in said)
    assert not [line["error"] for line in said if "error" in line], text[-3000:]
    assert "ok" in text
    made = [line["aux"]["ID"] for line in said if "aux" in line]
    client.remove_image(made[-1], noprune=True)
