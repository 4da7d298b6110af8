"""A target as it is given by hand: ``platform=…,microarchitecture=…`` or a YAML file."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import yaml

from builder.targets import check
from ci.errors import EntryError
from ci.target import Target

_FIELDS = tuple(field.name for field in fields(Target))


def parse_target(text: str) -> Target:
    """Read a target. Raises ``EntryError`` that names the field and the right names."""
    if "=" in text:
        pairs = (part.partition("=") for part in text.split(","))
        values = {name.strip(): value.strip() for name, _, value in pairs}
    else:
        try:
            values = yaml.safe_load(Path(text).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise EntryError(f"target {text!r} cannot be read: {error}") from error
    if not isinstance(values, dict) or set(values) - set(_FIELDS):
        raise EntryError(f"target {text!r}: its fields are {', '.join(_FIELDS)}")
    target = Target(**{name: str(value) for name, value in values.items()})
    check(target)
    return target
