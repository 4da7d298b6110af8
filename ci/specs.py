"""Spack specs, as far as a name and a version are in them.

``name@version +variant key=value %compiler ^dependency`` (https://spack.readthedocs.io, "Spec
syntax").
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ci.errors import EntryError

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*", re.ASCII)
_VERSION = re.compile(r"@([=A-Za-z0-9_.:,-]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Spec:
    """The package that a spec names, and the version (or range) it asks for, or empty."""

    name: str
    version: str
    text: str


def parse_spec(text: str) -> Spec:
    """Read a spec. Raises ``EntryError`` without a place."""
    found = _NAME.match(text)
    if found is None:
        hint = "it begins with a package's name, in lower case"
        raise EntryError(f"{text[:80]!r} is not a Spack spec", hint=hint)
    rest = text[found.end() :]
    version = _VERSION.match(rest)
    if rest and not version and rest[0] not in "+~%^ ":
        raise EntryError(
            f"{text[:80]!r} is not a Spack spec", hint="name@version +variant key=value"
        )
    return Spec(found[0], version[1] if version else "", text)
