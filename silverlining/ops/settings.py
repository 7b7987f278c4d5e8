"""Reads the settings where a person writes them: silverlining.yaml, the environment, the flags."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..host.host import ROOT
from ..model.errors import SettingsError
from ..model.settings import FILE, Settings, load
from ..model.text import _


def read_settings(flags: Mapping[str, str], directory: Path = ROOT, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings from flags, environment, silverlining.yaml and the example. Raises SettingsError."""
    from yaml import YAMLError

    path = directory / FILE
    if (other := path.with_suffix(".yml")).exists() and not path.exists():
        raise SettingsError(_("{name} is not read").format(name=other.name), _("name it {name}").format(name=FILE))
    try:
        own = _parse(path.read_text(encoding="utf-8")) if path.exists() else None
    except YAMLError as error:
        raise SettingsError(_words(error), _("docs/silverlining.example.yaml shows how it is written")) from None
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or _("it is not UTF-8 text")
        raise SettingsError(_("{name} can't be read: {why}").format(name=FILE, why=why), _("mend it, or move it away")) from None
    return load(_parse((ROOT / "docs" / "silverlining.example.yaml").read_text()), own or {}, environ, flags)


def _parse(text: str) -> Any:
    """What a YAML text holds. Raises YAMLError, also for a key that stands twice: PyYAML itself takes the last one (yaml/pyyaml issue 165)."""
    import yaml

    class Strict(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen: set[Any] = set()
            for key, _value in node.value:
                if isinstance(key.value, str) and key.value in seen:
                    raise yaml.constructor.ConstructorError(None, None, _("{key} stands twice").format(key=key.value), key.start_mark)
                seen.add(str(key.value))
            return super().construct_mapping(node, deep)

    return yaml.load(text, Strict)


def _words(error: Any) -> str:
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    return f"{FILE}, line {mark.line + 1}: {problem}" if mark and problem else f"{FILE}: {error}"
