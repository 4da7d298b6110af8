"""Webhooks that a forge could not deliver: found in its own record, and stored like the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from hooks.forges.marks import Marks
from hooks.forges.seams import Outbox

SOURCE = "github-missed"
_MARK = "missed"


class Store(Protocol):
    """The part of the inbox that this needs."""

    def accept(self, id: str, source: str, repository: str, event: dict[str, Any]) -> object:  # noqa: A002
        """Store a delivery, if it is not known."""


@dataclass(frozen=True)
class Missed:
    """Looks through the outboxes of forges."""

    outboxes: Mapping[str, Outbox]
    marks: Marks
    inbox: Store

    def collect(self, repository: str) -> int:
        """Store what was missed since the last time; how many. Killed half-way, it begins anew."""
        if repository not in self.outboxes:
            return 0
        since = self.marks.get(repository, _MARK)
        found, mark = self.outboxes[repository].missed(since)
        for delivery in found:
            self.inbox.accept(delivery.id, SOURCE, repository, delivery.payload)
        if mark != since:
            self.marks.put(repository, _MARK, mark)
        return len(found)
