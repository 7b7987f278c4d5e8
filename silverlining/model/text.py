"""Every text a person reads goes through `_` or `_n`, so that a catalogue in another language can follow."""

from __future__ import annotations

import gettext
from pathlib import Path

_LOCALES = Path(__file__).parents[2] / "locale"
_catalogue = gettext.translation("silverlining", _LOCALES, fallback=True)
_ = _catalogue.gettext


def _n(one: str, many: str, count: int) -> str:
    """The text in the form that goes with `count`, which is filled in for {count}."""
    return _catalogue.ngettext(one, many, count).format(count=count)
