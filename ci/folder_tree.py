"""A folder on disk as a tree."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from ci.errors import EntryError, SettingsError
from ci.trees import MAX_READ, Entry, Gate, below, check_depth, check_readable, names_in, too_large

_NOT_CONTENT = frozenset({".venv", ".cache", "__pycache__", "node_modules"})


class FolderTree:
    """A folder on disk, without ``.git`` and what tools leave behind (``.venv``, caches)."""

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise SettingsError(f"{path} is not a folder")
        self.path = path

    @cached_property
    def id(self) -> str:
        """SHA-256 over names, executable bits and contents, as ``sha256:<hex>``."""
        digest = hashlib.sha256()
        for entry in self.entries():
            digest.update(f"{entry.path}\0{entry.mode:o}\0".encode())
            digest.update(_digest_of(self.path / entry.path, entry))
        return f"sha256:{digest.hexdigest()}"

    def entries(self, folder: str = "") -> tuple[Entry, ...]:
        """Every file and symbolic link, of all or below a folder, by path."""
        return self._sorted[below(self._paths, folder)]

    def names(self, folder: str = "") -> tuple[str, ...]:
        """The names right in a folder, sorted; those of folders end in ``/``."""
        return names_in(self._paths, folder)

    def find(self, path: str) -> Entry | None:
        """The entry at a path; None for a folder, or if there is nothing."""
        return self._listing.get(path)

    def read(self, path: str) -> bytes:
        """The content of a regular file that is listed."""
        check_readable(self._listing.get(path), path)
        try:
            # O_NOFOLLOW: what was a file when it was listed may be a link by now
            descriptor = os.open(self.path / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as file:
                content = file.read(MAX_READ + 1)
        except OSError as error:
            raise EntryError(f"cannot be read: {error.strerror}", path=path) from error
        if len(content) > MAX_READ:
            raise too_large(path, len(content))
        return content

    @cached_property
    def _listing(self) -> dict[str, Entry]:
        gate = Gate()
        found = [gate.passed(entry) for entry in _walk(self.path)]
        return {entry.path: entry for entry in sorted(found, key=lambda entry: entry.path)}

    @cached_property
    def _paths(self) -> tuple[str, ...]:
        return tuple(self._listing)

    @cached_property
    def _sorted(self) -> tuple[Entry, ...]:
        return tuple(self._listing.values())


def _walk(root: Path) -> Iterator[Entry]:
    todo = [""]
    while todo:
        folder = todo.pop()
        try:
            with os.scandir(os.path.join(root, folder)) as found:
                for item in found:
                    path = _named(folder + item.name)
                    if item.name == ".git":  # the repository, or a work tree's pointer to it
                        continue
                    if not item.is_dir(follow_symlinks=False):
                        status = item.stat(follow_symlinks=False)
                        yield Entry(path, _git_mode(status.st_mode, path), status.st_size)
                    elif item.name not in _NOT_CONTENT:
                        check_depth(path)
                        todo.append(f"{path}/")
        except OSError as error:
            raise EntryError(f"cannot be read: {error.strerror}", path=folder[:200]) from error


def _named(path: str) -> str:
    if any("\ud800" <= character <= "\udfff" for character in path):  # os.fsdecode
        shown = os.fsencode(path).decode("utf-8", "backslashreplace")
        raise EntryError("a file's name is not UTF-8", path=shown)
    return path


def _git_mode(mode: int, path: str) -> int:
    if stat.S_ISLNK(mode):
        return 0o120000
    if not stat.S_ISREG(mode):
        raise EntryError("is neither a file nor a folder (a device, pipe or socket)", path=path)
    return 0o100755 if mode & 0o100 else 0o100644


def _digest_of(file: Path, entry: Entry) -> bytes:
    if entry.is_symlink:
        return hashlib.sha256(os.fsencode(file.readlink())).digest()
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").digest()
    except OSError as error:
        raise EntryError(f"cannot be read: {error.strerror}", path=entry.path) from error
