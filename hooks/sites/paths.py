"""Paths on a site that come from entries: they must stay below a folder."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from ci.errors import EntryError

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def below(folder: PurePosixPath, relative: str) -> PurePosixPath:
    """Return ``folder/relative``; raise ``EntryError`` unless it names something below it."""
    path = PurePosixPath(relative)
    if not path.parts or path.is_absolute() or ".." in path.parts or _CONTROL.search(relative):
        raise EntryError(
            f"the path {relative!r} does not stay inside its folder",
            hint="give a path relative to the folder, without `..` and control characters",
        )
    return folder / path
