"""A target as it is given by hand: ``platform=…,microarchitecture=…`` or a YAML file."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from builder.targets import FAMILIES, check, normal
from ci.documents import load
from ci.errors import EntryError
from ci.target import Target

_FIELDS = tuple(field.name for field in fields(Target))


def parse_target(text: str) -> Target:
    """Read a target. Raises ``EntryError`` that names the field and the right names."""
    values = _pairs(text) if "=" in text else _file(text)
    family = FAMILIES.get(values.get("platform", ""))
    if family:  # a platform alone means its family's generic processor
        values = {"microarchitecture": family, **values}
    target = Target(**values)
    check(target)
    return normal(target)


def _pairs(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.split(","))
    values = {name.strip(): value.strip() for name, _, value in pairs}
    if set(values) - set(_FIELDS):
        raise EntryError(f"target {text!r}: its fields are {', '.join(_FIELDS)}")
    return values


def _file(path: str) -> dict[str, str]:
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        hint = "a YAML file, or microarchitecture=zen3,mpi=openmpi@4.1.5,…"
        raise EntryError(f"target {path!r} cannot be read: {error}", hint=hint) from error
    items = load(data, path).only(_FIELDS, "a target")
    return {name: value.string(name) for name, value in items.items()}
