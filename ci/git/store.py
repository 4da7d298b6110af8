"""Commits of a git repository as trees, read straight from the object store.

Nothing is checked out, no attribute, filter, hook or submodule of the repository is followed
(see ``ci.git.process``). Names from outside are only ever passed to git after they match a strict
pattern, and commits are 40 hex digits everywhere else.
"""

from __future__ import annotations

import os
import re
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from ci.errors import EntryError, SettingsError
from ci.git.ancestry import is_ancestor
from ci.git.commit_tree import CommitTree
from ci.git.names import check_commit
from ci.git.objects import ObjectReader
from ci.git.process import git_output
from ci.trees import export

_REF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+@-]{0,199}([~^][0-9]{0,4})*", re.ASCII)
_KEPT = 4  # commits whose listings are kept in memory


@dataclass(frozen=True, slots=True)
class CommitLine:
    """A commit in one line. ``time`` is when it was committed, in Unix seconds."""

    id: str
    subject: str
    author: str
    email: str
    time: int


class GitStore:
    """A git repository, read only. ``git_dir`` is the bare repository or the ``.git`` folder."""

    def __init__(self, git_dir: Path) -> None:
        if not os.path.isfile(git_dir / "HEAD"):  # False also for a name that is too long
            raise SettingsError(f"{git_dir} is not a git repository")
        self.git_dir = git_dir.absolute()
        self._trees: OrderedDict[str, CommitTree] = OrderedDict()
        self._objects = ObjectReader(self.git_dir)

    def heads(self, *, not_in: str = "") -> dict[str, str]:
        """Each branch and the commit it is at; with ``not_in``, those that this commit lacks."""
        chosen = [f"--no-merged={check_commit(not_in)}"] if not_in else []
        shape = "--format=%(objectname) %(refname)"
        code, output = git_output(self.git_dir, "for-each-ref", shape, *chosen, "refs/heads/")
        if code:
            raise SettingsError(f"{self.git_dir}: git cannot list the branches")
        lines = (line.partition(" ") for line in output.decode("utf-8", "replace").splitlines())
        return {ref.removeprefix("refs/heads/"): commit for commit, _, ref in lines}

    def resolve(self, ref: str) -> str:
        """The commit (40 hex digits) that a branch, tag, ``HEAD~1`` or abbreviation names."""
        if not _REF.fullmatch(ref) or ".." in ref or "@{" in ref:
            raise EntryError(f"{ref!r} is not the name of a commit")
        code, output = git_output(
            self.git_dir,
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            f"{ref}^{{commit}}",
        )
        if code:
            raise EntryError(f"there is no commit {ref!r}")
        return check_commit(output.decode("ascii", "replace").strip())

    def tree(self, commit: str) -> CommitTree:
        """The tree of a commit. Raises ``EntryError``: there is no such commit."""
        known = self._trees.pop(check_commit(commit), None) or CommitTree(commit, self._objects)
        self._trees[commit] = known
        while len(self._trees) > _KEPT:
            self._trees.popitem(last=False)
        return known

    @property
    def objects(self) -> ObjectReader:
        """Its objects by id."""
        return self._objects

    def changed_paths(self, base: str, head: str) -> tuple[str, ...]:
        """Paths that are not the same in two commits (added, removed or changed), sorted.

        Only folders that differ are looked into. ``git diff`` has no limit on memory.
        """
        return self.tree(base).differs(self.tree(head))

    def is_ancestor(self, ancestor: str, commit: str) -> bool:
        """Whether ``ancestor`` is in the history of ``commit`` (or is that commit)."""
        return is_ancestor(self.git_dir, ancestor, commit)

    def merge_bases(self, one: str, other: str) -> tuple[str, ...]:
        """The newest commits that both have in their history; several if they crossed."""
        names = ("merge-base", "--all", check_commit(one), check_commit(other))
        code, output = git_output(self.git_dir, *names)
        if code not in {0, 1}:
            raise EntryError(f"there is no commit {one} or {other}")
        return tuple(output.decode("ascii").split())

    def log(self, commit: str, *, limit: int = 1) -> tuple[CommitLine, ...]:
        """The commit and those before it, newest first, at most ``limit``."""
        shape = "--format=%H%x00%s%x00%an%x00%ae%x00%ct"
        options = ["--no-show-signature", "--no-mailmap", "--no-notes", "--no-color", "-z"]
        code, output = git_output(
            self.git_dir, "log", shape, *options, f"--max-count={int(limit)}", check_commit(commit)
        )
        if code:
            raise EntryError(f"there is no commit {commit}")
        words = [_printable(word) for word in output.decode("utf-8", "replace").split("\0")]
        rows = (words[start : start + 5] for start in range(0, len(words) - 4, 5))
        return tuple(CommitLine(r[0], r[1], r[2], r[3], _seconds(r[4])) for r in rows)

    def export(self, commit: str, prefixes: Collection[str], destination: Path) -> None:
        """Write files of a commit to a folder: see ``ci.trees.export``."""
        export(self.tree(commit), prefixes, destination)

    def close(self) -> None:
        """End the processes that read objects; a later read starts others."""
        self._objects.close()


def find_git_dir(folder: Path) -> tuple[Path, str] | None:
    """The repository that a folder is in, and where in it the folder lies (empty: at its root).

    The ``.git`` of a folder above counts before files of the checkout that look like a repository:
    those may be a stranger's. Raises ``SettingsError`` for a bare repository inside a checkout.
    """
    start = folder.resolve()
    is_bare = (start / "HEAD").is_file() and (start / "objects").is_dir()
    if is_bare and start.name == ".git":
        return start, ""
    for parent in (start, *start.parents):
        pointer = parent / ".git"
        if not pointer.exists():
            continue
        if is_bare and parent != start:
            hint = "copy it out of the checkout that it lies in"
            raise SettingsError(f"{folder} may be a repository, or a part of one", hint=hint)
        inside = start.relative_to(parent).as_posix()
        return _pointed_to(pointer), "" if inside == "." else inside
    return (start, "") if is_bare else None


def _pointed_to(pointer: Path) -> Path:
    if pointer.is_dir():
        return pointer
    # a work tree of another repository: "gitdir: <path>"
    target = pointer.read_text("utf-8", "replace").removeprefix("gitdir:").strip()
    return pointer.parent / target[:1000]


def _seconds(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 20 else 0  # a damaged commit has none


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)
