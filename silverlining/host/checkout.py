"""Which version of the project this is, read from its checkout without starting git."""

from __future__ import annotations

from pathlib import Path

ABBREVIATED = 12


def commit(root: Path) -> str:
    """The commit that is checked out, abbreviated; "" where there is no checkout. What was edited since doesn't show."""
    try:
        git = root / ".git"
        if git.is_file():  # a further work tree
            git = root / git.read_text().split(":", 1)[1].strip()
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head[:ABBREVIATED]
        common = git / (git / "commondir").read_text().strip() if (git / "commondir").exists() else git
        name = head.removeprefix("ref: ")
        if (common / name).exists():
            return (common / name).read_text().strip()[:ABBREVIATED]
        lines = (common / "packed-refs").read_text().splitlines()
        return next((line.split()[0][:ABBREVIATED] for line in lines if line.endswith(f" {name}")), "")
    except (OSError, ValueError, IndexError):
        return ""
