"""What a step's folder asks pip for: entries with their places, and the lock.

A ``requirements.lock`` has the form of a ``requirements.txt``, and is used instead of it: every
project that is needed, each with one version, with or without hashes (as ``pip-compile`` and
``uv pip compile`` write it). Then nothing is resolved when an image is built.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ci.errors import EntryError
from ci.software import requirements
from ci.software.requirements import (
    PipRequirement,
    RequirementLine,
    parse_requirement,
    requirement_lines,
)

MAX_BYTES = 256 * 1024  # the public registry's largest such file has 1 KiB
MAX_REQUIREMENTS = 2000  # of one file
_NAMED = 5  # places that one message lists


class Place(NamedTuple):
    """Where a value stands, for the message; line and column count from 1.

    ``written`` is the line of a ``requirements.txt``, which may go on in the next.
    """

    path: str
    line: int = 0
    column: int = 0
    written: RequirementLine | None = None

    def error(self, message: str, *, hint: str = "") -> EntryError:
        """An error at this place."""
        return EntryError(message, path=self.path, line=self.line, column=self.column, hint=hint)

    def inside(self, error: EntryError) -> EntryError:
        """An error of the value's reader, whose column is that of the value."""
        line, column = self.line, self.column
        if self.written and error.column:
            line, column = self.written.place(error.column - 1)
        return Place(self.path, line, column).error(error.message, hint=error.hint)

    @property
    def short(self) -> str:
        """File and line."""
        return f"{self.path.rpartition('/')[2]}:{self.line}"


def text_of(content: bytes, path: str, largest: int = MAX_BYTES) -> str:
    """The text of a file. Raises ``EntryError``: too large, or not UTF-8."""
    if len(content) > largest:
        raise EntryError(f"larger than {largest // 1024} KiB", path=path)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise EntryError("not UTF-8 text", path=path, line=line) from None


def requirement_items(content: bytes, path: str) -> Iterator[tuple[str, Place]]:
    """The requirements of a file, not yet read. Raises ``EntryError``."""
    lines = requirement_lines(text_of(content, path, requirements.MAX_BYTES))
    for number, line in enumerate(lines, start=1):
        place = Place(path, line.line, line.column, line)
        if number > MAX_REQUIREMENTS:
            raise place.error(f"more than {MAX_REQUIREMENTS} requirements in one file")
        yield line.text, place


def read_requirement(value: str, place: Place) -> PipRequirement:
    """Read a requirement. Raises ``EntryError`` with the place of what is wrong in it."""
    if not value.isprintable():
        raise place.error(f"a control character in the pip entry {value[:80]!r}")
    try:
        return parse_requirement(value)
    except EntryError as error:
        raise place.inside(error) from None


def read_lock(content: bytes, path: str) -> list[PipRequirement]:
    """Read a ``requirements.lock``: each project once, each with one version. May be empty.

    Raises ``EntryError`` with the place.
    """
    found: list[tuple[PipRequirement, Place]] = []
    before: dict[tuple[str, str], Place] = {}
    for value, place in requirement_items(content, path):
        entry = read_requirement(value, place)
        if not entry.version:
            hint = f"{entry.requirement.name}==<version>, as pip-compile writes it"
            raise place.error("a lock has one version of each requirement", hint=hint)
        key = (entry.key, str(entry.requirement.marker or ""))
        if key in before:
            message = f"{key[0]} is in line {before[key].line} already"
            raise place.error(message, hint="keep one of them")
        before[key] = place
        found.append((entry, place))
    check_hashes(found)
    return [entry for entry, _ in found]


def check_hashes(asked: list[tuple[PipRequirement, Place]]) -> None:
    """As pip does: once one has hashes, all must, and each of them must name one version.

    Raises ``EntryError``.
    """
    if not any(entry.hashes for entry, _ in asked):
        return
    missing = [place for entry, place in asked if not entry.hashes]
    if missing:
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        named = ", ".join(place.short for place in missing[:_NAMED]) + more
        message = f"some requirements have hashes, these have none: {named}"
        raise missing[0].error(message, hint="pip demands hashes of all or of none")
    for entry, place in asked:
        if not entry.version:
            name = entry.requirement.name
            hint = f"{name}==<version>"
            raise place.error(f"{name} has hashes, but no single version", hint=hint)
