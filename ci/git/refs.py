"""Moving a reference of a repository of ours: from the commit that it is at, or not at all."""

from __future__ import annotations

from pathlib import Path

from ci.errors import EntryError, SiteError
from ci.git import process
from ci.git.names import NONE, check_commit, check_ref
from ci.git.process import Permit, git_output
from ci.git.writing import remove_left_locks

_LARGEST = 64 * 1024 * 1024  # bytes: the log of a reference, and all references in one file
_WHO = {"GIT_COMMITTER_NAME": "hpcwaas", "GIT_COMMITTER_EMAIL": "hpcwaas@localhost"}


def move_ref(git_dir: Path, ref: str, new: str, old: str = NONE, *, why: str = "waas") -> None:
    """Move a branch or ``refs/pull/<number>/head`` from ``old`` to ``new``; its log says so.

    ``old`` of 40 zeros: it must not be there yet. Idempotent: it may be at ``new`` already. Raises
    ``EntryError``: it moved meanwhile, or ``new`` is not there; ``SiteError`` (transient): another
    process holds it.
    """
    check_ref(ref)
    if check_commit(new) == NONE:
        raise EntryError(f"{ref} cannot be removed")
    permit = Permit(file_size=_LARGEST, environment=_WHO)
    remove_left_locks(git_dir, [ref], process.TIMEOUT)
    told = "".join(letter if letter.isprintable() else " " for letter in why)[:200]
    arguments = ("update-ref", "--create-reflog", "-m", told, "--end-of-options")
    code, _ = git_output(git_dir, *arguments, ref, new, check_commit(old), permit=permit)
    if code == 0:
        return
    now = read_ref(git_dir, ref)
    if now == new:
        return
    if now != old:
        hint = "look at what is there now, and try again"
        raise EntryError(f"{ref} has moved meanwhile, to {now[:10]}", hint=hint)
    if not _is_commit(git_dir, new):
        raise EntryError(f"there is no commit {new}")
    raise SiteError(f"{ref} is being moved by another process", transient=True)


def read_ref(git_dir: Path, ref: str) -> str:
    """The commit that a reference is at; 40 zeros if there is none."""
    names = ("rev-parse", "--verify", "--quiet", "--end-of-options")
    code, output = git_output(git_dir, *names, check_ref(ref))
    return NONE if code else check_commit(output.decode("ascii", "replace").strip())


def _is_commit(git_dir: Path, commit: str) -> bool:
    code, output = git_output(git_dir, "cat-file", "-t", commit)
    return code == 0 and output.strip() == b"commit"
