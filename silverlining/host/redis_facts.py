"""What Redis nodes and Sentinels say of themselves. One process asks them all; who stays silent is asked by a process of its own."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Executor
from typing import Any

from ..model.observed import RedisNode, SeenContainer, SentinelView
from .exec import Answer, execute

REDIS_PORT, SENTINEL_PORT = 6379, 26379
REPLICATION = ("redis-ask", "info", "replication")
SENTINEL_MASTER = ("redis-ask", "-p", str(SENTINEL_PORT), "sentinel", "master", "master")
# A process inside a container costs the engine a tenth of a second of a processor, whatever it asks.
# Each answer is written at once, and is shorter than what a pipe keeps whole (PIPE_BUF, pipe(7): 4096 bytes): none is mixed with another.
ROLL_CALL = """
for node; do
    case $node in *:26379) ask='sentinel master master' ;; *) ask='info replication' ;; esac
    { said=$(timeout 1 redis-ask -h "${node%:*}" -p "${node#*:}" $ask) && [ ${#said} -lt 4000 ] && printf '@%s\\n%s\\n' "$node" "$said"; } &
done 2> /dev/null
wait
"""


def question(c: SeenContainer) -> tuple[str, ...]:
    """What tells, inside of its container, what a Redis node or a Sentinel is."""
    return SENTINEL_MASTER if c.service == "sentinel" else REPLICATION


def ask_all(client: Any, nodes: Iterable[SeenContainer], pool: Executor) -> dict[str, Answer]:
    """The answers of running Redis nodes and Sentinels of one stack to their question, by container name."""
    nodes = list(nodes)
    places = {f"{c.address}:{SENTINEL_PORT if c.service == 'sentinel' else REDIS_PORT}": c.name for c in nodes if c.on_network}
    speaker = next((c.name for c in sorted(nodes, key=lambda c: c.health != "healthy") if c.on_network), "")
    called = execute(client, speaker, ("sh", "-c", ROLL_CALL, "roll-call", *places)) if len(places) > 1 else Answer(None, "")
    answers = {places[place]: Answer(0, words) for place, words in _blocks(called.text) if place in places}
    silent = {c.name: pool.submit(execute, client, c.name, question(c)) for c in nodes if c.name not in answers}
    # In the order in which they were given: what is told of them doesn't hang on who was quicker.
    return {c.name: silent[c.name].result() if c.name in silent else answers[c.name] for c in nodes}


def _blocks(text: str) -> Iterable[tuple[str, str]]:
    """The answers of a roll call, each with who gave it."""
    for block in f"\n{text}".split("\n@")[1:]:
        place, _newline, words = block.partition("\n")
        yield place, words


def redis_fields(text: str) -> dict[str, str]:
    """The fields of an INFO answer."""
    return dict(line.strip().split(":", 1) for line in text.splitlines() if ":" in line)


def redis_node(answer: Answer) -> RedisNode | None:
    """What INFO replication says; None if it was no answer."""
    facts = redis_fields(answer.text) if answer.ok else {}
    if "role" not in facts:
        return None
    return RedisNode(
        role=facts["role"],
        master=facts.get("master_host", ""),
        link_up=facts.get("master_link_status") == "up",
        offset=int(facts.get("slave_repl_offset") or facts.get("master_repl_offset") or 0),
        replicas=int(facts.get("connected_slaves", 0)),
    )


def sentinel_rows(answer: Answer) -> list[dict[str, str]]:
    """What SENTINEL MASTER or REPLICAS has answered, by field (ip, flags, num-slaves …); empty if there was no answer.

    Without a terminal redis-cli writes fields and values in turns, one a line; each row begins with its name.
    """
    lines = answer.text.splitlines() if answer.ok else []
    rows: list[dict[str, str]] = []
    for key, value in zip(lines[::2], lines[1::2], strict=False):
        if key == "name":
            rows.append({})
        if rows:
            rows[-1][key] = value
    return rows


def sentinel_view(answer: Answer) -> SentinelView | None:
    """What SENTINEL MASTER says; None if it was no answer."""
    facts = next(iter(sentinel_rows(answer)), {})
    if "num-other-sentinels" not in facts:
        return None
    return SentinelView(facts["ip"], int(facts["num-other-sentinels"]), int(facts["num-slaves"]), facts["flags"])
