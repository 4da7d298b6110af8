"""The cache folder: what is downloaded or made once and used by every demo and test after that."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_dir() -> Path:
    """Return the cache folder, made if need be: ``$WAAS_CACHE``, else the user's own.

    The user's own is ``hpcwaas`` in ``$XDG_CACHE_HOME`` (XDG Base Directory Specification),
    which is ``~/.cache`` when unset.
    """
    chosen = os.environ.get("WAAS_CACHE")
    if not chosen:
        chosen = os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "hpcwaas")
    folder = Path(chosen).expanduser().absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file ``path`` against other processes and threads; waits for its turn.

    The kernel lets go of the lock when its holder dies, so the file that stays means nothing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def make_once(path: Path, make: Callable[[Path], None]) -> Path:
    """Return ``path``, made by ``make(temporary path)`` if it is not there yet.

    Of several processes one makes it while the others wait. It appears whole or not at all;
    what an interrupted making left is removed first.
    """
    if path.exists():
        return path
    with locked(path.with_name(f".{path.name}.lock")):
        if path.exists():
            return path
        part = path.with_name(f".{path.name}.part")
        remove(part)
        make(part)
        part.rename(path)
    return path


def remove(path: Path) -> None:
    """Delete a file or a folder; that there is none is fine."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
