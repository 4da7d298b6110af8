"""Folders and locks that hold when processes are killed and power fails."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ci.errors import SettingsError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def try_lock(path: Path) -> int | None:
    """Return a descriptor that holds the lock file until it is closed, or None if another does.

    The kernel frees a lock when its holder dies (flock(2)), so the file that stays means nothing.
    """
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file, across threads and processes; waits for its turn."""
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def sync(path: Path) -> None:
    """Have the kernel write a file or a folder to the disk, so that a rename follows it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Have the kernel write a folder with all that is in it to the disk."""
    for place, _, names in os.walk(folder):
        for name in names:
            sync(Path(place, name))
        sync(Path(place))


def state_of(folder: Path) -> str:
    """Return what changes when an entry of a folder is added or removed: its time and links.

    Empty if there is no such folder.
    """
    try:
        found = folder.stat()
    except FileNotFoundError:
        return ""
    return f"{found.st_mtime_ns} {found.st_nlink} {found.st_ino}"


@contextmanager
def told(what: str) -> Iterator[None]:
    """Tell of a disk that is full, or a folder that we may not write, as a ``SettingsError``."""
    try:
        yield
    except OSError as error:
        hint = "free some space: waas images gc" if error.errno in _FULL else ""
        raise SettingsError(f"{what}: {error.strerror or error}", hint=hint) from error
