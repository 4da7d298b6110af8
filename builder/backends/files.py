"""What backends do with files."""

from __future__ import annotations

import shutil
from pathlib import Path


def place(source: Path, target: Path) -> None:
    """Put a file or folder into a build context; builders do not follow links out of it."""
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True)
    else:
        shutil.copy2(source, target)
