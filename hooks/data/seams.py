"""The seam of data movers."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class DataMover(Protocol):
    """Brings data from elsewhere to this machine.

    Raises ``EntryError`` for a source that cannot be, ``SiteError`` when its server does not do
    its part (``transient`` when it may later).
    """

    def fetch(self, source: str, target: Path, *, most_bytes: int) -> int:
        """Fetch ``source`` into a file, which appears whole or not; its size in bytes."""
