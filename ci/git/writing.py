"""Who may write to a repository, and what a process that was killed left behind in it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ci.errors import SettingsError, SiteError

_LOCK = "waas.lock"
# git's names for files that it is writing; a pack being fetched has a .keep beside it
_LEFT = ("tmp_pack_", "tmp_idx_", "tmp_rev_", "tmp_obj_")


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


def remove_left_objects(git_dir: Path, age: float) -> None:
    """Remove what was never finished: objects, packs and their marks older than ``age`` seconds."""
    for folder in (git_dir / "objects").iterdir():
        for file in folder.iterdir() if folder.is_dir() else ():
            if file.name.startswith(_LEFT) or file.suffix == ".keep":
                _remove_older(file, age)


def _remove_older(file: Path, age: float) -> None:
    with suppress(FileNotFoundError):
        if time.time() - file.stat().st_mtime >= age:
            file.unlink()
