"""The commands that a dry run prints make, pasted into a shell on a clean host, the very objects that the task itself makes."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from .course import Course

# What differs from one creation to the next of the same object.
PASSING = {"MacAddress", "EndpointID", "NetworkID", "SandboxID", "SandboxKey", "DNSNames"}


def pasted(text: str) -> str:
    """The command lines of a task's output, as one script."""
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("  $ "):
            lines.append(line[4:])
        elif lines and lines[-1].endswith("\\"):
            lines.append(line)
    return "\n".join(lines) + "\n"


def tidy(value: Any) -> Any:
    """A value less what passes. The client writes [] and {} where the API's null means the same: nothing, empty and false are one."""
    if isinstance(value, dict):
        return {key: new for key, old in value.items() if key not in PASSING and (new := tidy(old))}
    return value


def container(course: Course, name: str) -> dict[str, Any]:
    """What `docker inspect` says of a container's definition."""
    facts = course.client.inspect_container(name)
    endpoints = facts["NetworkSettings"]["Networks"]
    for endpoint in endpoints.values():
        endpoint["Aliases"] = sorted(set(endpoint["Aliases"] or []) - {facts["Id"][:12]})
        endpoint["Links"] = sorted(endpoint["Links"] or [])
    facts["Config"]["Env"] = sorted(facts["Config"]["Env"] or [])
    host = facts["HostConfig"]
    host["Mounts"] = sorted(host.get("Mounts") or [], key=lambda mount: str(mount["Target"]))
    return {"Config": tidy(facts["Config"]), "HostConfig": tidy(host), "Endpoints": tidy(endpoints), "Ports": tidy(facts["NetworkSettings"]["Ports"])}


def standing(course: Course) -> dict[str, Any]:
    """Everything of the stack, by kind and name."""
    found: dict[str, Any] = {f"container {name}": container(course, name) for name in course.ids()}
    for name in course.networks():
        facts = course.client.inspect_network(name)
        parts = ("Driver", "IPAM", "Labels", "Options", "Internal", "Attachable", "EnableIPv6", "Scope")
        found[f"network {name}"] = tidy({key: facts[key] for key in parts})
    for name in course.volumes().keys() - {f"{course.stack}-audit"}:
        facts = course.client.inspect_volume(name)
        found[f"volume {name}"] = {key: facts[key] for key in ("Driver", "Labels", "Options", "Scope")}
    return json.loads(json.dumps(found))  # type: ignore[no-any-return]


@pytest.mark.parametrize("step", ["step08-netdata", "step06-lvs", "step03-redis"])
def test_pasted_commands_make_the_same(course: Course, step: str) -> None:
    """Every container, network and volume is equal by `docker inspect`; the task finds nothing to do on what was pasted."""
    course.clean()
    course.run("deploy-all" if step == "step08-netdata" else step, "--yes")
    by_task = standing(course)
    course.clean()
    text = course.run(step, "--dry")
    assert "would be fetched or built first" not in text, "the task that ran before has left its images"
    script = pasted(text)
    shell = subprocess.run(["sh", "-eu"], input=script, capture_output=True, text=True, timeout=300, check=False)
    assert shell.returncode == 0, f"{script}\n{shell.stdout[-2000:]}\n{shell.stderr[-2000:]}"
    by_hand = standing(course)
    course.must_stand(step)
    course.must_stand_still(step)
    assert by_hand.keys() == by_task.keys()
    for name, facts in by_task.items():
        assert by_hand[name] == facts, name
