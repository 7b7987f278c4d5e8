"""Every text a person reads goes through `_`, so that a catalogue in another language can follow."""

from __future__ import annotations

import gettext
from pathlib import Path

_LOCALES = Path(__file__).parents[2] / "locale"
_ = gettext.translation("silverlining", _LOCALES, fallback=True).gettext
