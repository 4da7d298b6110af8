"""Objects of a git repository, by id: contents and sizes, many in one go.

Two long-lived children answer, ``git cat-file --batch`` and ``--batch-check``. Trees are taken
apart here (https://git-scm.com/book/en/v2/Git-Internals-Git-Objects): git's own listings expand
what they are given without a limit, and print names that no file can have.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TypeVar

from ci.errors import EntryError
from ci.git.process import GitProcess
from ci.trees import MAX_READ, check_count

_AT_ONCE = 256  # questions sent before the answers are read: both fit into a pipe
_MAX_TREES = 16 * 1024 * 1024  # bytes of all folders' objects of one request
_LONGEST_NAME = 255  # bytes: no file system of Linux has longer ones
_MODES = frozenset({0o040000, 0o100644, 0o100755, 0o100664, 0o120000, 0o160000})
_FOLDER, _SUBMODULE = 0o040000, 0o160000

T = TypeVar("T")
_Answer = Callable[[GitProcess, str], T]


class TreeItem(NamedTuple):
    """A line of a tree object. ``id`` is the object's, 40 hex digits."""

    name: str
    mode: int
    id: str

    @property
    def is_folder(self) -> bool:
        """Whether it is a tree itself."""
        return self.mode == _FOLDER

    @property
    def is_submodule(self) -> bool:
        """Whether it is a commit of another repository."""
        return self.mode == _SUBMODULE


class ObjectReader:
    """Reads objects of one repository; its processes are started when first needed."""

    def __init__(self, git_dir: Path) -> None:
        self._lock = threading.Lock()
        self._contents = _Child(git_dir, "--batch")
        self._checks = _Child(git_dir, "--batch-check")

    def blob(self, blob: str) -> bytes:
        """The content of a file. Raises ``EntryError``: missing, no blob, larger than 32 MiB."""
        with self._lock:
            return self._contents.answers([blob], _Limited("blob", MAX_READ))[0]

    def trees(self, names: Sequence[str]) -> list[tuple[TreeItem, ...]]:
        """The items of tree objects; ``<commit>^{tree}`` works too. Raises ``EntryError``."""
        with self._lock:
            found = self._contents.answers(names, _Limited("tree", _MAX_TREES))
        return [_items(data) for data in found]

    def sizes(self, blobs: Iterable[str]) -> dict[str, int]:
        """The size of each blob in bytes; those that are missing have 0."""
        names = list(dict.fromkeys(blobs))
        with self._lock:
            return dict(zip(names, self._checks.answers(names, _size), strict=True))

    def close(self) -> None:
        """End the processes; a later read starts others."""
        with self._lock:
            self._contents.stop()
            self._checks.stop()

    def __del__(self) -> None:
        self.close()


class _Child:
    """A ``git cat-file`` that answers questions in their order."""

    def __init__(self, git_dir: Path, option: str) -> None:
        self._git_dir, self._option = git_dir, option
        self._process: GitProcess | None = None

    def answers(self, names: Sequence[str], read: _Answer[T]) -> list[T]:
        found: list[T] = []
        for start in range(0, len(names), _AT_ONCE):
            part = names[start : start + _AT_ONCE]
            if self._process is not None:
                with suppress(EntryError):  # an old process may have reached its limits
                    found += self._asked(self._process, part, read)
                    continue
                self.stop()
            self._process = GitProcess(self._git_dir, ["cat-file", self._option])
            found += self._asked(self._process, part, read)
        return found

    def _asked(self, process: GitProcess, names: Sequence[str], read: _Answer[T]) -> list[T]:
        process.renew()
        try:
            process.send("".join(f"{name}\n" for name in names).encode())
            return [read(process, name) for name in names]
        except EntryError:
            self.stop()  # what it would still say belongs to questions of before
            raise

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.stop()


class _Limited:
    """Reads answers of ``--batch`` of one kind, up to a number of bytes of all together."""

    def __init__(self, kind: str, left: int) -> None:
        self._kind, self._left = kind, left

    def __call__(self, process: GitProcess, name: str) -> bytes:
        words = process.line().decode("ascii", "replace").split()
        if len(words) != 3 or words[1] != self._kind:
            commit, is_root, _ = name.partition("^")
            what = f"there is no commit {commit}" if is_root else f"git object {name} is missing"
            raise EntryError(f"{what}, or is no {self._kind}" if not is_root else what)
        size = int(words[2])
        self._left -= size
        if self._left < 0:
            what = "a file" if self._kind == "blob" else "the listing of the tree"
            raise EntryError(f"{what} is too large to be read")
        return process.exactly(size + 1)[:-1]  # a line break ends the content


def _size(process: GitProcess, _name: str) -> int:
    words = process.line().split()
    return int(words[2]) if len(words) == 3 and words[1] == b"blob" else 0


def _items(data: bytes) -> tuple[TreeItem, ...]:
    """Take a tree object apart: again and again a mode, a blank, a name, NUL, 20 bytes of id."""
    found: dict[str, TreeItem] = {}
    at = 0
    while at < len(data):
        blank, end = data.find(b" ", at, at + 8), data.find(b"\0", at)
        if blank < 0 or end < 0 or end + 21 > len(data):
            raise EntryError("a folder of the tree is damaged")
        name = _name(data[blank + 1 : end])
        try:
            mode = int(data[at:blank], 8)
        except ValueError:
            mode = 0
        if mode not in _MODES:
            raise EntryError(f"has the unknown mode {mode:o}", path=name)
        if name in found:
            raise EntryError("is there twice in one folder", path=name)
        check_count(len(found))
        found[name] = TreeItem(name, mode, data[end + 1 : end + 21].hex())
        at = end + 21
    return tuple(found.values())


def _name(raw: bytes) -> str:
    if len(raw) > _LONGEST_NAME:
        raise EntryError("a name of the tree is too long", path=raw[:80].decode("utf-8", "replace"))
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError:
        shown = raw[:80].decode("utf-8", "backslashreplace")
        raise EntryError("a file's name is not UTF-8", path=shown) from None
    if name in {"", ".", ".."} or "/" in name:
        raise EntryError("a file of the tree has a name that no file can have", path=name[:80])
    return name
