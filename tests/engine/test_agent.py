"""The Go tests of our confd agent, run where its image is built: with the libraries of Debian's packages."""

from __future__ import annotations

import os
import re

from silverlining.console.voice import Voice
from silverlining.host.build import stamp
from silverlining.host.contexts import File, host_files, pack
from silverlining.host.host import ROOT
from silverlining.ops.desk import Desk
from silverlining.ops.settings import read_settings


def test_the_agents_own_tests() -> None:
    from invoke import Context

    desk = Desk(Context(), read_settings({}, environ={}), Voice(quiet=True))
    base = desk.store.resolve(["debian"])["debian"].reference
    recipe = stamp((ROOT / "builds/confd/Dockerfile.agent").read_text(), "confd", {})
    # The whole stage that compiles: its layers are those that the image has made, with Go's cache of all that is compiled.
    stage, found, _rest = recipe.partition("\nFROM scratch")
    prepare = re.search(r"RUN (cd /agent && export .*?) \\\n", stage)
    assert found and prepare, "Dockerfile.agent no longer has the lines that this test uses"
    files = {}
    for path in (ROOT / "builds/confd/agent").iterdir():
        # An image's own build leaves its tests out.
        folder = "tests" if path.name.endswith("_test.go") else "agent"
        files[f"{folder}/{path.name}"] = File(0o644, path.read_bytes())
    files["apt-delta"] = File(0o644, (ROOT / "builds/lib/apt-delta").read_bytes())
    files["Dockerfile"] = File(0o644, f"{stage}COPY tests/ /agent/\nRUN {prepare[1]} && go test -trimpath -vet=off .\n".encode())
    files |= host_files(desk.settings.build, os.environ)
    assert any(name.startswith("tests/") for name in files)
    client = desk.host.client
    said = list(client.build(fileobj=pack(files), custom_context=True, decode=True, rm=True, forcerm=True, buildargs={"BASE": base}))
    text = "".join(line.get("stream", "") for line in said)
    assert not [line["error"] for line in said if "error" in line], text[-3000:]
    assert "ok" in text
    made = [line["aux"]["ID"] for line in said if "aux" in line]
    client.remove_image(made[-1], noprune=True)
