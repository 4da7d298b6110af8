"""Rules on the files of a tree, whatever they hold."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

from ci.findings import Finding, Severity
from ci.rules.base import FilesRule
from ci.trees import MAX_READ, Entry

_LARGE = 5 * 1024 * 1024  # bytes
_BAD_CHARACTERS = frozenset('\\:*?"<>|')


class SymbolicLink(FilesRule):
    """A registry holds no symbolic links: where one points to is decided by whoever reads it.

    Copy the file, or keep it in one place and name it there.
    """

    id = "files/symbolic-link"

    def check(self, subject: Sequence[Entry]) -> Iterator[Finding]:
        """Report every symbolic link."""
        for entry in subject:
            if entry.is_symlink:
                yield self.on(entry.path, "is a symbolic link", "put the file itself here")


class Submodule(FilesRule):
    """A registry holds no submodules: their content is not in the commit that is reviewed."""

    id = "files/submodule"

    def check(self, subject: Sequence[Entry]) -> Iterator[Finding]:
        """Report every submodule."""
        for entry in subject:
            if not entry.is_file and not entry.is_symlink:
                yield self.on(entry.path, "is a submodule", "put the files themselves here")


class TooLarge(FilesRule):
    """A file has at most 32 MiB; above 5 MiB it is a warning, since every clone carries it.

    Data belongs into a data catalogue or on a web server, and is staged in.
    """

    id = "files/too-large"

    def check(self, subject: Sequence[Entry]) -> Iterator[Finding]:
        """Report large files."""
        for entry in subject:
            if entry.size > _LARGE:
                level = Severity.ERROR if entry.size > MAX_READ else Severity.WARNING
                message = f"has {entry.size / 2**20:.1f} MiB"
                yield self.on(entry.path, message, "stage it in instead", level)


class UnportableName(FilesRule):
    """Names must work on every system, and in every command line.

    Refused are control characters, a backslash and ``: * ? " < > |``, a name that begins with
    ``-`` (it reads as an option) or with or ends in a space, one that ends in a dot, one of more
    than 200 bytes, and one whose accents are not composed (Unicode NFC).
    """

    id = "files/unportable-name"

    def check(self, subject: Sequence[Entry]) -> Iterator[Finding]:
        """Report bad names, each part of a path once per file."""
        for entry in subject:
            for part in entry.path.split("/"):
                if reason := _unportable(part):
                    yield self.on(entry.path, f"the name {part[:80]!r} {reason}", "rename it")


class CaseCollision(FilesRule):
    """Two names that differ in upper and lower case only are one file on some systems."""

    id = "files/case-collision"

    def check(self, subject: Sequence[Entry]) -> Iterator[Finding]:
        """Compare the changed files with all there are."""
        folded: dict[str, list[str]] = {}
        for entry in self.context.registry.tree.entries():
            folded.setdefault(entry.path.casefold(), []).append(entry.path)
        for entry in subject:
            others = [path for path in folded.get(entry.path.casefold(), ()) if path != entry.path]
            if others:
                message = f"differs from {others[0]!r} in upper and lower case only"
                yield self.on(entry.path, message, "rename one of them")


def _unportable(name: str) -> str:
    if any(not character.isprintable() for character in name):
        return "has a control character"
    if bad := _BAD_CHARACTERS & set(name):
        return f"has the character {min(bad)!r}"
    if name.startswith(("-", " ")) or name.endswith((" ", ".")):
        return "begins with a dash or blank, or ends in a blank or dot"
    if len(name.encode()) > 200:
        return "is longer than 200 bytes"
    return "" if unicodedata.is_normalized("NFC", name) else "is not in Unicode's normal form C"


RULES = (SymbolicLink, Submodule, TooLarge, UnportableName, CaseCollision)
