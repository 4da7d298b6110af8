"""Spack's versions: their order, and what ``@…`` of a spec allows.

As Spack 0.22 and later do it (https://spack.readthedocs.io, "Version specifier" and "Version
comparison"): a version is its runs of digits and of letters; digits are compared as numbers and
are greater than letters, ``develop`` and its like are greater than all, and ``alpha``, ``beta``
and ``rc`` at the end come before the version itself. ``@1.2`` is the range of everything that
begins with 1.2; ``@=1.2`` is that version only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from ci.errors import EntryError

_DEVELOP = ("stable", "nightly", "trunk", "head", "master", "main", "develop")  # least first
_EARLY = {"alpha": 0, "beta": 1, "rc": 2, "final": 3}
_FINAL = (3,)
_LETTERS, _NUMBER, _BRANCH = range(3)  # kinds of parts, least first
_PART = re.compile(r"([0-9]+)|([A-Za-z]+)", re.ASCII)
_LONGEST = 200  # characters of a version that count: no released one has more
_GIT = re.compile(r"git\.[\w./-]+|[a-f0-9]{40}", re.ASCII)

_Part = tuple[int, int | str]
Order = tuple[tuple[_Part, ...], tuple[int, ...]]


@lru_cache(maxsize=10_000)
def order(version: str) -> Order:
    """A key that sorts versions as Spack does; texts with the same key are the same version."""
    found = _PART.findall(version[:_LONGEST])
    early: tuple[int, ...] = _FINAL
    if len(found) >= 3 and found[-2][1] in _EARLY and found[-1][0]:
        early = (_EARLY[found[-2][1]], int(found[-1][0]))
        found = found[:-2]
    elif len(found) >= 2 and found[-1][1] in _EARLY:
        early = (_EARLY[found[-1][1]],)
        found = found[:-1]
    return tuple(_part(digits, letters) for digits, letters in found), early


def _part(digits: str, letters: str) -> _Part:
    if digits:
        return _NUMBER, int(digits)
    if letters in _DEVELOP:
        return _BRANCH, _DEVELOP.index(letters)
    return _LETTERS, letters


def _after(version: Order) -> Order:
    """The first version that does not begin with this one."""
    parts, early = version
    if early != _FINAL:
        return parts, (early[0], early[1] + 1 if len(early) > 1 else 0)
    if not parts:
        return ((_LETTERS, "A"),), early
    kind, value = parts[-1]
    following = value + 1 if isinstance(value, int) else _next_letters(value)
    return (*parts[:-1], (kind, following)), early


def _next_letters(text: str) -> str:
    """The next text of letters, where ``a`` comes after ``Z``."""
    while True:
        if not text or text[-1] == "z":
            text += "A"
        else:
            text = text[:-1] + ("a" if text[-1] == "Z" else chr(ord(text[-1]) + 1))
        if text not in _DEVELOP:
            return text


@dataclass(frozen=True, slots=True)
class VersionRange:
    """All versions from ``low`` until before ``high``; None: no limit.

    ``exact``: only ``low`` itself.
    """

    low: Order | None = None
    high: Order | None = None
    exact: bool = False

    def allows(self, version: str) -> bool:
        """Whether a version lies in it."""
        found = order(version)
        if self.exact:
            return found == self.low
        return (self.low is None or self.low <= found) and (self.high is None or found < self.high)

    def meets(self, other: VersionRange) -> bool:
        """Whether a version may lie in both."""
        if self.exact and other.exact:
            return self.low == other.low
        return _starts_before(self, other) and _starts_before(other, self)


def _starts_before(first: VersionRange, other: VersionRange) -> bool:
    """Whether the first begins before the other has ended."""
    if first.low is None:
        return True
    if other.exact:
        return other.low is None or first.low <= other.low
    return other.high is None or first.low < other.high


@dataclass(frozen=True, slots=True)
class Versions:
    """What ``@…`` allows: some of the ranges. ``git``: a commit, branch or tag, so anything.

    Without ranges and without ``git`` every version is allowed.
    """

    ranges: tuple[VersionRange, ...] = ()
    git: str = ""

    def allows(self, version: str) -> bool:
        """Whether this version is allowed."""
        anything = bool(self.git) or not self.ranges
        return anything or any(part.allows(version) for part in self.ranges)

    def allows_any(self, versions: Iterable[str]) -> bool:
        """Whether one of these versions is allowed."""
        return any(self.allows(version) for version in versions)

    def meets(self, other: Versions) -> bool:
        """Whether one version may satisfy both. What git has is not known, so it may."""
        if self.git or other.git:
            return not (self.git and other.git) or self.git == other.git
        if not self.ranges or not other.ranges:
            return True
        return any(mine.meets(theirs) for mine in self.ranges for theirs in other.ranges)


ANY = Versions()


def read_versions(text: str) -> Versions:
    """Read what stands after the ``@``. Raises ``EntryError``, with the column in the text."""
    if _GIT.match(text):
        return Versions(git=text.partition("=")[0])
    ranges, column = [], 1
    for part in text.split(","):
        ranges.append(_range(part.strip(), column + len(part) - len(part.lstrip())))
        column += len(part) + 1
    return Versions(tuple(ranges))


def _range(text: str, column: int) -> VersionRange:
    first, colon, last = text.partition(":")
    low = order(first.removeprefix("=")) if first else None
    if not colon:
        if low is None:
            raise EntryError("a version is missing", column=column, hint="name@version")
        exact = first.startswith("=")
        return VersionRange(low, None if exact else _after(low), exact)
    high = _after(order(last.removeprefix("="))) if last else None
    if low is not None and high is not None and high <= low:
        hint = f"the smaller one first: {last}:{first}"
        raise EntryError(f"no version lies in {text}", column=column, hint=hint)
    return VersionRange(low, high)
