"""Folders for throw-away clusters that are cleared even when their owner was killed."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hooks.testbed.cache import cache_dir, locked, remove
from hooks.testbed.cluster import remove_clusters

_OWNER = "owner"  # locked by the owner for as long as it lives; the kernel sees to that


@contextmanager
def own_folder(parent: Path) -> Iterator[Path]:
    """Give a folder of this process's own in ``parent``, with its clusters removed at the end.

    What owners who were killed have left in ``parent`` is removed at the start.
    """
    lock = cache_dir() / f"{parent.name}.lock"
    with locked(lock):
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        sweep(parent)
        number = 0
        while (folder := parent / f"{os.getpid()}-{number}").exists():
            number += 1
        folder.mkdir()
        owner = os.open(folder / _OWNER, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(owner, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        with locked(lock):
            os.close(owner)
            sweep(parent)
            with suppress(OSError):  # others are still in it
                parent.rmdir()


def sweep(parent: Path) -> None:
    """Remove the folders in ``parent`` that nobody owns any more, and the clusters in them."""
    for folder in [entry for entry in parent.iterdir() if entry.is_dir()]:
        if not _is_owned(folder):
            remove_clusters(folder)
            remove(folder)


def _is_owned(folder: Path) -> bool:
    try:
        owner = os.open(folder / _OWNER, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(owner)
    return False
