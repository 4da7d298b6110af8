"""The double for the length of a test, which fails if somebody broke the description."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .double import GitHubDouble


@contextmanager
def running(folder: Path, *, seed: int = 0) -> Iterator[GitHubDouble]:
    """Start it, stop it. Raises ``AssertionError`` with what did not fit the description."""
    double = GitHubDouble(folder, seed=seed)
    try:
        yield double
        found = double.violations
        assert not found, "\n".join(found)
    finally:
        double.stop()
