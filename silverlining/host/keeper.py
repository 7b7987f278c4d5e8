"""What runs in the lock's container: it lasts as long as its holder is heard, and writes the trail (model/audit.py) into the stack's volume.

Its standard input is the holder's connection. An empty line is a beat, and is answered with one. Any other line is the rest of the trail's
last one. The end of the input, or (where the holder is on another machine) silence, means that the holder is lost, and that is what it writes
then. Times are the host's own. What can't be written (a full disk) does not end the lock.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..model import audit, labels

PLACE = "/audit"
FILE = "trail.jsonl"
LARGEST = 1 << 20  # bytes of a trail; from there on the older half goes

# Arguments: the file, its largest size, the seconds of silence ("" for any), what begins, what is lost, what is stopped.
SCRIPT = r"""
file=$1 largest=$2 silence=$3 begun=$4 lost=$5 stopped=$6
say() { printf '{"at":"%(%Y-%m-%dT%H:%M:%SZ)T",%s\n' -1 "$1" >> "$file"; }
end() { say "$1"; exit; }
trap 'end "$stopped"' TERM
if [[ -s $file ]]; then
    # A line that a crash has cut off must not swallow the next one.
    [[ -z $(tail -c 1 "$file") ]] || echo >> "$file"
    (( $(stat -c %s "$file") <= largest )) || { tail -c $((largest / 2)) "$file" | tail -n +2 > "$file.new" && mv "$file.new" "$file"; }
fi
say "$begun"
while IFS= read -r ${silence:+-t "$silence"} word; do
    [[ -z $word ]] || end "$word"
    echo
done
end "$lost"
"""


def command(op: str, begun: Mapping[str, object], silence: int, file: str = f"{PLACE}/{FILE}", largest: int = LARGEST) -> list[str]:
    """The command line of the keeper. `silence` is how many seconds it waits for a beat; 0: only the end of its input counts."""
    lines = [audit.fragment(op=op, event=event, **more) for event, more in (("begin", begun), ("lost", {}), ("stopped", {}))]
    return ["bash", "-c", SCRIPT, "keeper", file, str(largest), str(silence or ""), *lines]


def container(stack: str, image: str, marks: dict[str, str], words: list[str]) -> dict[str, Any]:
    """The container as the engine's API is told of it: labels `marks`, command line `words`.

    Its root has no capabilities, no network and nothing to write but the trail's volume, which is root's.
    """
    volume = {"NoCopy": True, "Labels": labels.trail(stack)}
    return {
        "Image": image,
        "Entrypoint": words[:1],
        "Cmd": words[1:],
        "User": "0:0",
        "Env": ["LC_ALL=C", "TZ=UTC"],
        "Labels": marks,
        "OpenStdin": True,
        "StdinOnce": True,
        "AttachStdin": True,
        "AttachStdout": True,
        "StopSignal": "SIGTERM",
        "Healthcheck": {"Test": ["NONE"]},
        # No bridge, no sandbox of the engine's: the kernel gives an empty namespace. That halves the start.
        "NetworkDisabled": True,
        "HostConfig": {
            "AutoRemove": True,
            "NetworkMode": "none",
            "IpcMode": "none",
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "LogConfig": {"Type": "none"},
            "Mounts": [{"Type": "volume", "Source": audit.volume_of(stack), "Target": PLACE, "VolumeOptions": volume}],
            "Memory": 64 * 1024 * 1024,
            "PidsLimit": 8,
        },
    }
