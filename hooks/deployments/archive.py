"""A workflow's files as one archive, and the list of them."""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from ci.errors import EntryError
from hooks.deployments.plan import MANIFEST


def write_archive(folder: Path, target: Path) -> None:
    """Pack a folder; the same files give the same bytes. Raises ``EntryError`` for odd files."""
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
        for path in _entries(folder):
            entry = archive.gettarinfo(path, str(path.relative_to(folder)))
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = ""
            entry.mtime = 0
            # for all users of the site; of the permissions git knows just "executable"
            entry.mode = 0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644
            if entry.isreg():
                with path.open("rb") as file:
                    archive.addfile(entry, file)
            else:
                archive.addfile(entry)


def list_files(folder: Path) -> list[dict[str, Any]]:
    """The manifest's ``files``: path, size in bytes and SHA-256 of each regular file."""
    return [
        {
            "path": str(path.relative_to(folder)),
            "size": path.stat().st_size,
            "sha256": sha256_of(path),
        }
        for path in _entries(folder)
        if path.is_file() and not path.is_symlink()
    ]


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _entries(folder: Path) -> Iterator[Path]:
    root = folder.resolve()
    for path in sorted(folder.rglob("*")):
        relative = PurePosixPath(path.relative_to(folder))
        if str(relative) == MANIFEST:
            raise EntryError(
                f"the service keeps its own {MANIFEST} beside the workflow's files",
                path=MANIFEST,
                hint="give the workflow's file another name",
            )
        if path.is_symlink() and not (path.resolve()).is_relative_to(root):
            raise EntryError(
                "a symbolic link leads out of the workflow's folder",
                path=str(relative),
                hint="put the file itself into the workflow's folder",
            )
        if path.is_symlink() or path.is_file() or path.is_dir():
            yield path
        else:
            raise EntryError("neither file nor folder", path=str(relative))
