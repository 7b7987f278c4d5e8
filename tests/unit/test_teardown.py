"""What teardown finds of lessons that were killed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from silverlining.ops.teardown import _left_by_lessons


def test_an_image_without_a_name_goes_by_its_id() -> None:
    """20.10 names such a one by a placeholder, later engines by nothing."""
    listed: list[dict[str, Any]] = [
        {"Id": "sha256:a", "RepoTags": ["silver-lesson:committed"]},
        {"Id": "sha256:b", "RepoTags": ["<none>:<none>"]},
        {"Id": "sha256:c", "RepoTags": []},
        {"Id": "sha256:d", "RepoTags": None},
    ]
    client = SimpleNamespace(images=lambda filters: listed)
    assert _left_by_lessons(client, "silver") == ["silver-lesson:committed", "sha256:b", "sha256:c", "sha256:d"]
