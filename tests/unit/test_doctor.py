"""doctor as a task: without an engine, in words and in JSON, with a deadline for whoever doesn't answer."""

from __future__ import annotations

import json
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
from invoke import Context, Exit

from silverlining.host import probes
from silverlining.host.probes import Asked
from silverlining.model.diagnosis import Answer
from silverlining.model.errors import Unhealthy
from silverlining.ops.doctor import Patient, doctor
from silverlining.ops.entry import operation

OUTSIDE = {
    "config": "CONFIG_OVERLAY_FS=y\nCONFIG_BRIDGE=y\nCONFIG_NF_TABLES=y",
    "programs": "docker\ncurl\nss",
    "iptables": "iptables v1.8.9 (nf_tables)",
    "disk": "/dev/vda 263174212 21000000 74000000 23% /",
    "listen": 'LISTEN 0 511 0.0.0.0:80 0.0.0.0:* users:(("nginx",pid=7,fd=6))',
}


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    monkeypatch.setattr(probes, "outside", lambda host, root: OUTSIDE)
    monkeypatch.setattr(probes, "ask_url", lambda url, settings: Answer(url, 200 if "debian" in url else 0, "refused", time.time(), "us"))


def run(**more: Any) -> Exit:
    with pytest.raises(Exit) as caught, operation(Context(), None, **more) as desk:
        desk.give_diagnosis(*doctor(desk))
    assert caught.value.code == 1
    return caught.value


def test_without_an_engine_the_rest_is_told_all_the_same(no_engine: None, capsys: pytest.CaptureFixture[str]) -> None:
    exit = run()
    text = capsys.readouterr().out
    for words in ("✗ engine: the engine's socket is missing", "✗ port web: 80 is taken by nginx (pid 7)", "✓ kernel: bridge", "✓ disk: 76 GB free"):
        assert words in text, text
    assert "! Python packages" in text and "! registry: https://registry-1.docker.io/v2/: refused" in text and "packages: debian," in text
    assert "the course can't run here: engine, port web" in exit.message


def test_json_and_nothing_else(no_engine: None, capsys: pytest.CaptureFixture[str]) -> None:
    run(json=True)
    data = json.loads(capsys.readouterr().out)
    facts = {fact["name"]: fact for fact in data["facts"]}
    assert not data["ok"] and facts["engine"]["state"] == "fail" and facts["disk"]["by"] == "this machine"
    rungs = {image["name"]: image["rung"] for image in data["images"]}
    assert rungs["upstream/redis"] == "packages"
    # No Python package answers here.
    assert (rungs["django"], rungs["app"]) == ("", "")
    # No setting names a binary.
    assert rungs["confd"] == "release / module / agent"
    asked = {"engine", "kernel: overlay", "kernel: bridge", "kernel: IP_VS", "iptables", "port web", "disk", "programs", "compose", "time", "images"}
    assert asked | {"Debian packages", "Python packages", "registry"} <= set(facts)


def test_a_registry_is_asked_for_each_name_that_an_image_may_have_there(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def ask(_client: Any, reference: str) -> Answer:
        asked.append(reference)
        return Answer(reference, 200 if "library" in reference else 404)

    monkeypatch.setattr(probes, "ask_registry", ask)
    patient = Patient(SimpleNamespace(), SimpleNamespace(), {}, Asked(dict), Asked(dict))  # type: ignore[arg-type]
    mirrored = [("m.example/debian:1", "mirror"), ("m.example/library/debian:1", "mirror"), ("debian:1", "official")]
    store = SimpleNamespace(candidates=lambda name: mirrored if name == "debian" else [])
    answers = patient._ask_registries(store, ["nothing", "debian"])
    assert {name: one.get(time.monotonic() + 5).ok for name, one in answers.items()} == {"m.example": True, "": False}
    assert sorted(asked) == ["debian:1", "m.example/debian:1", "m.example/library/debian:1"]


def test_who_does_not_answer_is_not_waited_for(no_engine: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("silverlining.ops.doctor.PATIENCE", 0.2)
    monkeypatch.setattr(probes, "ask_url", lambda url, settings: threading.Event().wait())
    began = time.monotonic()
    run()
    assert time.monotonic() - began < 3
    text = capsys.readouterr().out
    assert "! Debian packages" in text and "no answer within" in text and "✗ images: can't be had from here" in text


def test_a_bundle_counts_as_a_rung_and_a_broken_one_is_told(no_engine: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, capsys: Any) -> None:
    (tmp_path / "all.bundle").write_bytes(b"hello")
    monkeypatch.setenv("SILVERLINING_IMAGES_BUNDLE", str(tmp_path / "all.bundle"))
    run()
    assert "! bundle: " in (text := capsys.readouterr().out) and "was not written by Silverlining" in text


@pytest.mark.parametrize(("error", "state"), ((Unhealthy("no namespace time"), "fail"), (None, "warn")))
def test_an_engine_that_can_start_no_container(error: Exception | None, state: str) -> None:
    def ask() -> dict[str, str]:
        if error:
            raise error
        threading.Event().wait()
        return {}

    patient = Patient(SimpleNamespace(), None, {}, Asked(dict), Asked(dict))  # type: ignore[arg-type]
    assert patient._inside(Asked(ask), time.monotonic() + 0.2) == {}
    (found,) = patient.findings
    assert (found.name, found.state) == ("containers", state) and found.hint and (not error or "no namespace time" in found.seen)
