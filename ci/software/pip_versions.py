"""Whether any version at all can meet what a requirement for pip asks (PEP 440)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # imported when a requirement is there: it takes 20 ms
    from packaging.specifiers import Specifier, SpecifierSet
    from packaging.version import Version

_LONGEST = 40  # characters of one version that is judged
_MOST = 20  # specifiers that are judged
_PARTS = 5  # of a version that is judged: 1.2.3.4.5


def can_be_met(wanted: SpecifierSet) -> bool:
    """Whether a version may satisfy all of it; True where that is not plain to see.

    What is asked changes only at the versions that are named, so it is tried with these, with what
    comes right after each of them, and with the next of each of their parts.
    """
    if len(wanted) < 2 or len(wanted) > _MOST:
        return True
    named = [_named(specifier) for specifier in wanted]
    plain = [version for version in named if version is not None]
    if len(plain) < len(named):
        return True
    tried = {"0", *(other for version in plain for other in _around(version))}
    return any(wanted.contains(version, prereleases=True) for version in tried)


def _named(specifier: Specifier) -> Version | None:
    """The version that a specifier names, if it is a plain release."""
    from packaging.version import InvalidVersion, Version

    text = specifier.version.removesuffix(".*")
    if specifier.operator == "===" or len(text) > _LONGEST:
        return None
    try:
        version = Version(text)
    except InvalidVersion:
        return None
    special = version.is_prerelease or version.is_postrelease or version.epoch
    return None if special or len(version.release) > _PARTS else version


def _around(version: Version) -> Iterator[str]:
    yield str(version)
    parts = [str(part) for part in version.release]
    padded = [*parts, *["0"] * (_PARTS - len(parts))]
    yield ".".join([*padded, "1"])
    for at in range(_PARTS):
        yield ".".join([*padded[:at], str(int(padded[at]) + 1)])
