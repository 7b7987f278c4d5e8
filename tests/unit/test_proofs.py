"""What proofs read out of programs' words."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from silverlining.ops.proofs.lvs import _same_packet
from silverlining.ops.proofs.redis import _bytes_behind, _say_what_was_lost

CLIENT, DIRECTOR, REAL = "02:42:41:c4:11:c9", "02:42:ac:1e:00:05", "02:42:ac:1e:00:1f"
ENDS = "172.30.0.1.49200 > 172.30.0.9.8000"


def seen(source: str, target: str, rest: str, ends: str = ENDS) -> str:
    return f"{source} > {target}, IPv4 {ends}: {rest}"


def test_the_same_packet_is_known_by_its_sequence_number() -> None:
    syn, data = "Flags [S], seq 3316200814", "Flags [P.], seq 3316200815:3316200890"
    director = [seen(CLIENT, DIRECTOR, syn), seen(DIRECTOR, REAL, syn), seen(CLIENT, DIRECTOR, "Flags [.]"), seen(CLIENT, DIRECTOR, data)]
    at_real = ["listening on eth0, link-type EN10MB (Ethernet)", seen(DIRECTOR, REAL, "Flags [.]"), seen(DIRECTOR, REAL, data)]
    pair = _same_packet({"lvs": director, "app1": [], "app2": at_real}, "lvs", ["app1", "app2"])
    assert pair == ("app2", director[3], at_real[2])


@pytest.mark.parametrize(
    "there",
    [
        seen(DIRECTOR, REAL, "Flags [S], seq 1"),  # of another packet
        seen(DIRECTOR, REAL, "Flags [.]"),  # one that can't be told from others
        seen(CLIENT, REAL, "Flags [S], seq 2"),  # not sent by the director
        seen(DIRECTOR, REAL, "Flags [S], seq 2", "172.30.0.5.49200 > 172.30.0.9.8000"),  # with another address
    ],
)
def test_what_is_not_the_same_packet(there: str) -> None:
    at_director = [seen(CLIENT, DIRECTOR, "Flags [S], seq 2"), seen(CLIENT, DIRECTOR, "Flags [.]")]
    assert _same_packet({"lvs": at_director, "app1": [there]}, "lvs", ["app1"]) is None


def test_bytes_that_no_replica_has() -> None:
    text = "role:master\r\nslave0:ip=10.0.0.1,port=6379,state=online,offset=90,lag=1\r\nslave1:ip=10.0.0.2,port=6379,state=online,offset=95,lag=0\r\n"
    assert _bytes_behind(text + "master_repl_offset:140\r\n") == 45
    assert _bytes_behind("role:master\r\nmaster_repl_offset:140\r\n") == 0


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ([5, 6, 7], ["nothing was lost"]),
        ([5, 5, 6], ["1 of them given again"]),
        ([5, 7, 8], ["1 left out"]),
        ([5, 4, 5, 8], ["1 of them given again", "2 left out"]),
    ],
)
def test_what_replication_has_lost_or_repeated(numbers: list[int], words: list[str]) -> None:
    said: list[str] = []
    scene: Any = SimpleNamespace(voice=SimpleNamespace(output=lambda text: None, ok=said.append))
    _say_what_was_lost(scene, numbers)
    assert len(said) == len(words) and all(word in text for word, text in zip(words, said, strict=True)), said
