"""The application's directory for a docker host that can't mount it: packed as a tar, and its digest."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ..model.errors import SilverliningError
from ..model.text import _
from .contexts import files_below, pack, read


def packed(top: Path) -> bytes:
    """The files below `top` as a tar, the same bytes for the same files. Raises SilverliningError where one can't be read."""
    try:
        return pack({path.relative_to(top).as_posix(): read(path) for path in files_below(top)}).getvalue()
    except OSError as error:
        what = _("{path} can't be read: {why}").format(path=error.filename or top, why=error.strerror)
        raise SilverliningError(what, _("mend that; in a checkout of git, `git status` shows what was edited")) from None


def digest(top: Path) -> str:
    """Stands for the content of the files below `top`: 12 hex digits. Raises like `packed`."""
    return hashlib.sha256(packed(top)).hexdigest()[:12]
