"""A Spack checkout that recipes install with: what of it counts, and its digest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from ci.errors import SettingsError

_IGNORED = frozenset({".git", "__pycache__", ".github", "opt", "cache", "environments"})
_MARK = Path("lib/spack/spack/__init__.py")


def files(checkout: Path) -> Iterator[Path]:
    """Yield the files that a build gets, relative, in an order that is always the same.

    Left out are git's own, compiled Python, and what Spack installs or fetches into its checkout.

    Raises:
        SettingsError: the folder is no Spack.
    """
    if not (checkout / _MARK).is_file():
        raise SettingsError(f"{checkout} is no checkout of Spack", hint=f"it has no {_MARK}")
    for place, folders, names in os.walk(checkout):
        here = Path(place).relative_to(checkout)
        ignored = _IGNORED if here in {Path(), Path("var/spack")} else {"__pycache__"}
        folders[:] = sorted(set(folders) - ignored)
        for name in sorted(names):
            if not name.endswith(".pyc"):
                yield here / name


def digest(checkout: Path) -> str:
    """Return a SHA-256 over names and contents, links as links; takes about two seconds.

    Raises:
        SettingsError: the folder is no Spack.
    """
    found = hashlib.sha256()
    for path in files(checkout):
        place = checkout / path
        content = os.readlink(place).encode() if place.is_symlink() else place.read_bytes()
        inner = hashlib.sha256(content).hexdigest()
        found.update(f"{path}\0{inner}\0{os.access(place, os.X_OK)}\n".encode())
    return found.hexdigest()
