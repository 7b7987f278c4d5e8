"""What teardown finds of lessons that were killed, and which containers it gives time to stop."""

from __future__ import annotations

from typing import Any

from silverlining.model import labels
from silverlining.ops.teardown import _holds_data, _left_by_lessons


def test_an_image_without_a_name_goes_by_its_id() -> None:
    """20.10 names such a one by a placeholder, later engines by nothing."""
    left = {labels.STACK: "silver", labels.HELPER: "lesson", "other": "word"}
    listed: list[dict[str, Any]] = [
        {"Id": "sha256:a", "RepoTags": ["silver-lesson:committed"], "Labels": left},
        {"Id": "sha256:b", "RepoTags": ["<none>:<none>"], "Labels": left},
        {"Id": "sha256:c", "RepoTags": [], "Labels": left},
        {"Id": "sha256:d", "RepoTags": None, "Labels": left},
        {"Id": "sha256:e", "RepoTags": ["gold-lesson:committed"], "Labels": left | {labels.STACK: "gold"}},
        {"Id": "sha256:f", "RepoTags": ["silver:own"], "Labels": {labels.STACK: "silver"}},
        {"Id": "sha256:g", "RepoTags": ["nginx:latest"], "Labels": None},
    ]
    assert _left_by_lessons(listed, "silver") == ["silver-lesson:committed", "sha256:b", "sha256:c", "sha256:d"]


def test_what_writes_to_a_volume_holds_data() -> None:
    data = {"Type": "volume", "Name": "silver-etcd-1", "RW": True}
    secrets = {"Type": "volume", "Name": "silver-secrets", "RW": False}
    code = {"Type": "bind", "Source": "/code", "RW": True}
    assert _holds_data({"Mounts": [secrets, data]})
    assert not _holds_data({"Mounts": [secrets, code]}) and not _holds_data({"Mounts": []})
