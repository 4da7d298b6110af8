"""Who may write to a repository, and what a process that was killed left behind in it."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ci.errors import SettingsError, SiteError

_LOCK = "waas.lock"
# git's names for files that it is writing; a pack being fetched has a .keep beside it
_LEFT = ("tmp_pack_", "tmp_idx_", "tmp_rev_", "tmp_obj_")
_INCOMING = ("tmp_objdir-", "incoming-")  # of a push; the second of git before 2.36


@contextmanager
def alone(git_dir: Path, seconds: float) -> Iterator[int]:
    """Hold the repository against other writers of ours; waits at most that many seconds.

    Gives the descriptor of the lock, to be left open in git: the lock then ends with the last of
    its processes, also when this one was killed. Raises ``SiteError`` (transient): still held.
    """
    try:
        descriptor = os.open(git_dir / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SettingsError(f"cannot write to {git_dir}: {error.strerror}") from error
    try:
        _take(descriptor, git_dir, time.monotonic() + seconds)
        yield descriptor
    finally:
        os.close(descriptor)


def _take(descriptor: int, git_dir: Path, until: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                message = f"{git_dir.name} is being written to by another process"
                raise SiteError(message, transient=True) from None
            time.sleep(0.05)
        else:
            return


def remove_left_locks(git_dir: Path, refs: Iterable[str], age: float) -> None:
    """Remove lock files older than ``age`` seconds: those of these references, and of all together.

    git holds one for moments; one that stays is of a process that was killed.
    """
    for name in (*refs, "HEAD", "packed-refs", "config", "shallow"):
        _remove_older(git_dir / f"{name}.lock", age)


def held_refs(git_dir: Path) -> list[str]:
    """The references that have a lock file."""
    found = (git_dir / "refs").rglob("*.lock")
    return [file.relative_to(git_dir).as_posix().removesuffix(".lock") for file in found]


def remove_left_objects(git_dir: Path, age: float) -> None:
    """Remove what was never finished: objects, packs and their marks older than ``age`` seconds.

    A push brings its objects into a folder of its own, which stays if it is killed.
    """
    for folder in (git_dir / "objects").iterdir():
        if folder.name.startswith(_INCOMING) and _is_older(folder, age):
            shutil.rmtree(folder, ignore_errors=True)
            continue
        for file in folder.iterdir() if folder.is_dir() else ():
            if file.name.startswith(_LEFT) or file.suffix == ".keep":
                _remove_older(file, age)


def _is_older(file: Path, age: float) -> bool:
    try:
        return time.time() - file.stat().st_mtime >= age
    except FileNotFoundError:
        return False


def _remove_older(file: Path, age: float) -> None:
    if _is_older(file, age):
        file.unlink(missing_ok=True)
