"""Trees: the files of a registry, in a folder or in a git commit.

A tree is never executed, imported or followed: symbolic links and submodules are entries that can
be listed and judged, but only regular files can be read or exported.
"""

from __future__ import annotations

import shutil
import stat
import tempfile
from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from ci.errors import EntryError, SettingsError

MAX_READ = 32 * 1024 * 1024  # bytes of one file that a reader or a rule looks at
MAX_ENTRIES = 100_000
MAX_DEPTH = 32  # folders above a file
MAX_TOTAL = 4 * 1024**3  # bytes of all files together


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a tree.

    ``path`` has forward slashes; ``mode`` is git's (octal 100644, 100755, 120000 symbolic link,
    160000 submodule); ``size`` is in bytes, 0 for a submodule.
    """

    path: str
    mode: int
    size: int

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file: the only kind that can be read."""
        return stat.S_ISREG(self.mode)

    @property
    def is_symlink(self) -> bool:
        """Whether it is a symbolic link."""
        return stat.S_ISLNK(self.mode)

    @property
    def is_executable(self) -> bool:
        """Whether it is a file with the executable bit."""
        return self.is_file and bool(self.mode & 0o111)


class Tree(Protocol):
    """The files of a registry. The listing does not change while the tree is held."""

    @property
    def id(self) -> str:
        """What identifies the content: the commit (40 hex digits) or a hash of everything."""

    def entries(self, folder: str = "") -> Iterable[Entry]:
        """Every file, symbolic link and submodule, of all or below a folder, by path.

        Raises ``EntryError``: too many, too deep, too large.
        """

    def names(self, folder: str = "") -> Iterable[str]:
        """The names right in a folder, sorted; those of folders end in ``/``."""

    def find(self, path: str) -> Entry | None:
        """The entry at a path; None for a folder, or if there is nothing."""

    def read(self, path: str) -> bytes:
        """The content of a regular file. Raises ``EntryError``: missing, no file, too large."""


class SubTree:
    """A folder of another tree, as a tree: a registry that lies inside a repository."""

    def __init__(self, tree: Tree, folder: str) -> None:
        self._tree, self._prefix = tree, folder.strip("/") + "/"

    @property
    def id(self) -> str:
        """That of the whole tree."""
        return self._tree.id

    def entries(self, folder: str = "") -> tuple[Entry, ...]:
        """What lies in the folder, or below a folder of it, by path relative to it."""
        start = len(self._prefix)
        inside = self._tree.entries((self._prefix + folder).rstrip("/"))
        return tuple(replace(entry, path=entry.path[start:]) for entry in inside)

    def names(self, folder: str = "") -> tuple[str, ...]:
        """The names right in a folder; those of folders end in ``/``."""
        return tuple(self._tree.names((self._prefix + folder).rstrip("/")))

    def find(self, path: str) -> Entry | None:
        """The entry at a path; None for a folder, or if there is nothing."""
        found = self._tree.find(self._prefix + path)
        return replace(found, path=path) if found else None

    def read(self, path: str) -> bytes:
        """The content of a regular file."""
        return self._tree.read(self._prefix + path)


class Gate:
    """Refuses a listing that is too long, too deep or too heavy, while it is being made."""

    def __init__(self) -> None:
        self.count = self.total = 0

    def passed(self, entry: Entry) -> Entry:
        """Count the entry and return it. Raises ``EntryError``."""
        self.count += 1
        self.total += entry.size
        check_count(self.count)
        if self.total > MAX_TOTAL:
            raise EntryError(f"the files of the tree are larger than {MAX_TOTAL} bytes together")
        check_depth(entry.path)
        return entry


def check_count(count: int) -> None:
    """Raise ``EntryError`` if a tree has that many files and cannot."""
    if count > MAX_ENTRIES:
        raise EntryError(f"the tree has more than {MAX_ENTRIES} files")


def check_depth(path: str) -> None:
    """Raise ``EntryError`` for a path that is too deep."""
    if path.count("/") > MAX_DEPTH:
        raise EntryError(f"{path[:80]!r}…: folders are nested more than {MAX_DEPTH} deep")


def below(paths: Sequence[str], folder: str) -> slice:
    """Where in a sorted list the paths below a folder are; all of them if it is empty."""
    if not folder:
        return slice(None)
    return slice(bisect_left(paths, f"{folder}/"), bisect_left(paths, f"{folder}0"))  # "/" + 1


def names_in(paths: Sequence[str], folder: str) -> tuple[str, ...]:
    """The names right in a folder, of sorted paths; those of folders end in ``/``."""
    start = len(folder) + 1 if folder else 0
    parts = (path[start:].partition("/") for path in paths[below(paths, folder)])
    return tuple(sorted({name + slash for name, slash, _ in parts if name}))


def check_readable(entry: Entry | None, path: str) -> Entry:
    """The entry, if it is a regular file of a size that readers take. Raises ``EntryError``."""
    if entry is None:
        raise EntryError("there is no such file", path=path)
    if not entry.is_file:
        kind = "symbolic link" if entry.is_symlink else "submodule"
        raise EntryError(f"is a {kind}, not a file", path=path)
    if entry.size > MAX_READ:
        raise too_large(path, entry.size)
    return entry


def export(tree: Tree, prefixes: Collection[str], destination: Path) -> None:
    """Write the files at or below the prefixes (all files if none) to ``destination/<path>``.

    ``destination`` appears whole or not at all; it must not exist, or be an empty folder. Files
    get the modes 0644 and 0755 and nothing else. Raises ``EntryError`` for a symbolic link, a
    submodule, a name that leaves the folder or that git treats specially, and for a prefix with
    no files.
    """
    chosen = [entry for entry in tree.entries() if not prefixes or _below(entry.path, prefixes)]
    for prefix in prefixes:
        if not any(_below(entry.path, [prefix]) for entry in chosen):
            raise EntryError("there are no such files", path=prefix)
    for entry in chosen:
        _check_exportable(entry)
    destination.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=destination.parent, prefix=f".{destination.name}-"))
    try:
        scratch.chmod(0o755)
        for entry in chosen:
            _write(scratch / entry.path, tree.read(entry.path), entry)
        scratch.rename(destination)
    except OSError as error:
        raise SettingsError(f"cannot write {destination}: {error.strerror}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _write(file: Path, content: bytes, entry: Entry) -> None:
    file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    file.write_bytes(content)
    file.chmod(0o755 if entry.is_executable else 0o644)


def _below(path: str, prefixes: Collection[str]) -> bool:
    return any(path == prefix or path.startswith(prefix.rstrip("/") + "/") for prefix in prefixes)


def _check_exportable(entry: Entry) -> None:
    check_readable(entry, entry.path)
    parts = entry.path.split("/")  # not PurePosixPath, which tidies up
    if any(part in {"", ".", ".."} or part.lower() == ".git" for part in parts):
        raise EntryError("this name cannot be written out", path=entry.path)


def too_large(path: str, size: int) -> EntryError:
    """The error for a file that is too large to be read."""
    hint = "keep large data outside the registry and stage it in"
    message = f"{size} bytes; a file of a registry has at most {MAX_READ}"
    return EntryError(message, path=path, hint=hint)
