"""Rules on the names of files and folders."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ci.content.names import folded, is_git_folder, mixed_word, shown, unportable
from ci.findings import Finding, Severity
from ci.rules.base import FilesRule
from ci.trees import Entry

_FEW = 50  # folders that are listed one by one; for more of them everything is


class UnportableName(FilesRule):
    """Names of files and folders must work on every system, and in every command line.

    Refused are control characters and a backslash, ``: * ? " < > | $`` and the backtick; a name
    that begins with ``-`` (it reads as an option), ``~`` (a shell replaces it) or a space, or that
    ends in a space or a dot; names of devices of Windows such as ``aux.py`` or ``nul`` (nobody
    could clone the registry there); names of more than 200 bytes; and accents that are not composed
    (Unicode NFC). Rename the file: letters, digits, ``.``, ``_`` and ``-`` always work.
    """

    id = "files/unportable-name"

    def check(self, subject: Sequence[Entry]) -> Iterator[Finding]:
        """Report bad names, each file and folder once."""
        for path, name in _named(subject):
            if not is_git_folder(name) and (reason := unportable(name)):
                yield self.on(path, f"the name {name[:80]!r} {reason}", "rename it")


class CaseCollision(FilesRule):
    """Two names in one folder differ in more than upper and lower case or forms of letters.

    ``Data`` and ``data`` are one folder on macOS and Windows: whoever clones the registry there
    gets one of the two, and git reports changes that nobody made. Rename one of them.
    """

    id = "files/case-collision"

    def check(self, subject: Sequence[Entry]) -> Iterator[Finding]:
        """Compare what changed with what lies beside it."""
        wanted: dict[str, set[str]] = {}
        for path, name in _named(subject):
            wanted.setdefault(path[: -len(name) - 1], set()).add(name)
        beside = self._beside(wanted)
        for parent, names in wanted.items():
            for first, *others in _alike(beside[parent] | names):
                judged = [name for name in others if name in names] or [first]
                for name in judged if names & {first, *others} else ():
                    path = f"{parent}/{name}".lstrip("/")
                    other = first if name != first else others[0]
                    message = f"is the same as {other!r} on systems that ignore case"
                    yield self.on(path, message, "rename one of them")

    def _beside(self, parents: dict[str, set[str]]) -> dict[str, set[str]]:
        """The names in each of these folders."""
        tree = self.context.registry.tree
        if len(parents) <= _FEW:
            return {p: {name.rstrip("/") for name in tree.names(p)} for p in parents}
        found: dict[str, set[str]] = {parent: set() for parent in parents}
        for path, name in _named(tree.entries()):
            parent = path[: -len(name) - 1]
            if parent in found:
                found[parent].add(name)
        return found


class LookAlikeName(FilesRule):
    """A name does not mix Latin letters with ones of another script that only look like them.

    A Cyrillic ``а`` looks like a Latin one, so that ``pаth.py`` is another file than ``path.py``
    although nobody can see it: a reviewer takes the one for the other. Type the name again.
    """

    id = "files/look-alike-name"
    severity = Severity.WARNING

    def check(self, subject: Sequence[Entry]) -> Iterator[Finding]:
        """Look at every name that is not plain ASCII."""
        for path, name in _named(subject):
            if word := mixed_word(name):
                message = f"the name has letters that only look Latin: {shown(word)}"
                yield self.on(path, message, "type the name again")


def _alike(names: Iterable[str]) -> Iterator[list[str]]:
    """Names that are the same on some systems, two or more at a time."""
    groups: dict[str, list[str]] = {}
    for name in sorted(names):
        plain = name.isascii() and name.islower()
        groups.setdefault(name if plain else folded(name), []).append(name)
    return (group for group in groups.values() if len(group) > 1)


def _named(entries: Iterable[Entry]) -> Iterator[tuple[str, str]]:
    """Every path with its name, of files and of the folders above them, once each."""
    known: set[str] = set()
    for entry in entries:
        path = entry.path
        while path and path not in known:
            known.add(path)
            parent, _, name = path.rpartition("/")
            yield path, name
            path = parent


RULES = (UnportableName, CaseCollision, LookAlikeName)
