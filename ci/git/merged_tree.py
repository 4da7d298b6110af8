"""What main would be once a branch is merged: the files that reviewers and rules must look at.

A three-way merge of whole files, without writing an object: what the branch changed since it left
main, over main as it is. Where both changed one file in different ways there is no telling what a
person would make of it.
"""

from __future__ import annotations

from collections.abc import Collection

from ci.errors import EntryError
from ci.git.commit_tree import CommitTree
from ci.git.store import GitStore
from ci.trees import Entry, Tree, below


class MergedTree:
    """A tree with some paths as they are in another: a ``ci.trees.Tree``."""

    def __init__(self, base: Tree, head: Tree, taken: Collection[str]) -> None:
        self.id = f"{base.id}+{head.id}"
        self._base, self._head, self._taken = base, head, frozenset(taken)
        self._paths = sorted(taken)

    def entries(self, folder: str = "") -> tuple[Entry, ...]:
        """Every file, symbolic link and submodule below a folder, by path."""
        kept = [entry for entry in self._base.entries(folder) if entry.path not in self._taken]
        found = (self._head.find(path) for path in self._paths[below(self._paths, folder)])
        return tuple(sorted([*kept, *(e for e in found if e)], key=lambda entry: entry.path))

    def names(self, folder: str = "") -> tuple[str, ...]:
        """The names right in a folder, sorted; those of folders end in ``/``."""
        start = f"{folder}/" if folder else ""
        inside = (path[len(start) :] for path in self._paths[below(self._paths, folder)])
        touched = {name + slash for name, slash, _ in (path.partition("/") for path in inside)}
        there = {name for name in touched if self._is_there(start + name)}
        return tuple(sorted({*self._base.names(folder), *there} - (touched - there)))

    def find(self, path: str) -> Entry | None:
        """The entry at a path; None for a folder, or if there is nothing."""
        return (self._head if path in self._taken else self._base).find(path)

    def read(self, path: str) -> bytes:
        """The content of a regular file."""
        return (self._head if path in self._taken else self._base).read(path)

    def _is_there(self, path: str) -> bool:
        if path.endswith("/"):
            return bool(self.entries(path[:-1]))
        return self.find(path) is not None


def merged(store: GitStore, base: str, head: str) -> tuple[Tree, tuple[str, ...]]:
    """What main at ``base`` is with ``head`` merged into it, and the paths that the merge changes.

    Raises ``EntryError``: no common history, or files that both changed in different ways.
    """
    onto, branch = store.tree(base), store.tree(head)
    if store.is_ancestor(base, head):
        return branch, onto.differs(branch)
    forks = store.merge_bases(base, head)
    if len(forks) > 1:
        hint = "merge main into the branch"
        raise EntryError("main and the branch were merged into each other crosswise", hint=hint)
    if not forks:
        hint = "start the branch from main; in a shallow clone, fetch all of its history"
        raise EntryError("the branch has no history in common with main", hint=hint)
    left = store.tree(forks[0])
    wanted = left.differs(branch)
    _check_conflicts(set(wanted) & set(left.differs(onto)), onto, branch)
    taken = [path for path in wanted if not onto.same(branch, path)]
    result = MergedTree(onto, branch, taken)
    _check_places(result, taken, branch, onto)
    return result, tuple(taken)


def _check_conflicts(both: Collection[str], onto: CommitTree, branch: CommitTree) -> None:
    for path in sorted(both):
        if not onto.same(branch, path):
            raise _conflict(path)


def _check_places(
    result: MergedTree, taken: Collection[str], branch: CommitTree, onto: CommitTree
) -> None:
    """Where one has a file, the other must not have a folder."""
    for path in taken:
        if branch.find(path) is None:
            continue
        above = [path[:end] for end, letter in enumerate(path) if letter == "/"]
        if any(result.find(folder) is not None for folder in above):
            raise _conflict(path)
        if onto.names(path) and result.names(path):
            raise _conflict(path)


def _conflict(path: str) -> EntryError:
    message = "was changed on main too, since this branch left it"
    return EntryError(message, path=path, hint="merge main into the branch")
