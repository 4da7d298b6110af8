"""Pull requests of which a forge refused to be told: remembered, and told again later.

A refusal that lasts (a permission that the App lacks, a label that GitHub does not take) must hold
up neither judgement nor builds; once the operator has mended it, people see how things are.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from hooks.forges.marks import Marks

AGAIN_SECONDS = 300.0
_PREFIX = "untold:"


@dataclass(frozen=True)
class Untold:
    """By repository and number. ``clock`` is in Unix seconds."""

    marks: Marks
    clock: Callable[[], float] = time.time

    def put(self, repository: str, number: int) -> None:
        """It is to be told again, after a while."""
        self.marks.put(repository, f"{_PREFIX}{number}", str(int(self.clock())))

    def drop(self, repository: str, number: int) -> None:
        """All is told."""
        self.marks.drop(repository, f"{_PREFIX}{number}")

    def due(self, repository: str) -> list[int]:
        """Numbers of those that are to be told again by now."""
        before = self.clock() - AGAIN_SECONDS
        found = self.marks.named(repository, _PREFIX)
        return [int(n.removeprefix(_PREFIX)) for n, since in found.items() if int(since) <= before]
