"""etcd's keys as a list of pairs: all at one revision, and back again, by the JSON gateway that etcd has on the host's loopback."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..model.errors import Unhealthy
from ..model.text import _

if TYPE_CHECKING:
    from .host import Host

EVERYTHING = b64encode(b"\0").decode()
PAGE = 1000
AT_ONCE = 100  # etcd takes 128 operations in a transaction
BYTES = 500_000  # and a request of 1.5 MB


def read(host: Host, port: int) -> dict[bytes, bytes]:
    """All keys with their values, as they were at one revision. A key with a lease is left out: it lives only as long as its owner renews it."""
    found: dict[bytes, bytes] = {}
    start, revision = b"\0", 0
    while True:
        question = {"key": b64encode(start).decode(), "range_end": EVERYTHING, "limit": PAGE, "revision": revision}
        answer = _ask(host, port, "range", question)
        revision = int(answer["header"]["revision"])
        pairs = answer.get("kvs") or []
        found |= {b64decode(pair["key"]): b64decode(pair.get("value", "")) for pair in pairs if pair.get("lease", "0") in ("0", 0)}
        if not answer.get("more"):
            return found
        start = b64decode(pairs[-1]["key"]) + b"\0"


def write(host: Host, port: int, puts: Mapping[bytes, bytes], deletes: Iterable[bytes]) -> None:
    """Puts and deletes keys, many in one transaction."""
    operations: list[dict[str, Any]] = [
        {"request_put": {"key": b64encode(key).decode(), "value": b64encode(value).decode()}} for key, value in sorted(puts.items())
    ]
    operations += [{"request_delete_range": {"key": b64encode(key).decode()}} for key in sorted(deletes)]
    batch: list[dict[str, Any]] = []
    weight = 0
    for operation in operations:
        size = len(json.dumps(operation))
        if batch and (len(batch) >= AT_ONCE or weight + size > BYTES):
            _ask(host, port, "txn", {"success": batch})
            batch, weight = [], 0
        batch.append(operation)
        weight += size
    if batch:
        _ask(host, port, "txn", {"success": batch})


def version(host: Host, port: int) -> str:
    """The version of the etcd that answers."""
    reply = host.get(port, "/version")
    if reply.status != 200:
        raise _silent(port, f"{reply.status} {reply.text[:200]}")
    return str(json.loads(reply.text)["etcdserver"])


def _ask(host: Host, port: int, call: str, body: Mapping[str, Any]) -> dict[str, Any]:
    reply = host.post(port, f"/v3/kv/{call}", json.dumps(body))
    if reply.status != 200:
        raise _silent(port, f"{reply.status} {reply.text[:200]}")
    answer: dict[str, Any] = json.loads(reply.text)
    return answer


def _silent(port: int, words: str) -> Unhealthy:
    return Unhealthy(_("etcd on port {port} does not answer: {words}").format(port=port, words=words), _("invoke check, then invoke deploy-all"))


def pack(pairs: Mapping[bytes, bytes]) -> bytes:
    """The pairs as JSON: UTF-8 text as it is, anything else in base64."""
    return json.dumps([{"key": _text(key), "value": _text(value)} for key, value in sorted(pairs.items())], indent=1).encode()


def unpack(data: bytes) -> dict[bytes, bytes]:
    """The pairs of `pack`."""
    return {_bytes(pair["key"]): _bytes(pair["value"]) for pair in json.loads(data)}


def _text(data: bytes) -> str | dict[str, str]:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": b64encode(data).decode()}


def _bytes(text: str | dict[str, str]) -> bytes:
    return text.encode() if isinstance(text, str) else b64decode(text["base64"])
