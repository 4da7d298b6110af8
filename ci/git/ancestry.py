"""Whether one commit is in the history of another. Starts fast: a hook of git asks it."""

from __future__ import annotations

from pathlib import Path

from ci.errors import EntryError
from ci.git.names import check_commit
from ci.git.process import git_output


def is_ancestor(git_dir: Path, ancestor: str, commit: str) -> bool:
    """Whether ``ancestor`` is in the history of ``commit`` (or is that commit).

    Raises ``EntryError``: one of them is not there, or is not 40 hex digits.
    """
    names = ("merge-base", "--is-ancestor", check_commit(ancestor), check_commit(commit))
    code, _ = git_output(git_dir, *names)
    if code not in {0, 1}:
        raise EntryError(f"there is no commit {ancestor} or {commit}")
    return code == 0
