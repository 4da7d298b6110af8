"""Listening to what people write on pull requests: nothing is missed, nothing taken up twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hooks.forges.marks import Marks
from hooks.forges.seams import Forge, Remark

_MARK = "remarks"


@dataclass(frozen=True)
class Listening:
    """Reads remarks of the forges since the last time; ``take`` must know those it has seen."""

    forges: Mapping[str, Forge]
    marks: Marks
    take: Callable[[str, Remark], None]

    def listen(self, repository: str) -> None:
        """Take up what was written since. Killed half-way, it is read again."""
        since = self.marks.get(repository, _MARK)
        remarks, mark = self.forges[repository].remarks(since)
        for remark in remarks:
            self.take(repository, remark)
        if mark != since:
            self.marks.put(repository, _MARK, mark)
