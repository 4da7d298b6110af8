"""The seam of a forge: what hosts the git repositories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from ci.git.store import GitStore


@dataclass(frozen=True, slots=True)
class Status:
    """What is shown at a commit. It speaks of ``head`` judged against ``base``.

    ``state``: PENDING, PASSED or FAILED; ``pull`` is the number of the pull request.
    """

    head: str
    base: str
    state: str
    summary: str
    pull: int


class Forge(Protocol):
    """Hosts one repository. Raises ``SiteError`` when it cannot be reached."""

    def heads(self) -> Mapping[str, str]:
        """Each branch and the commit it is at, now."""

    def fetch(self, commit: str) -> GitStore:
        """A local object store that holds this commit (40 hex digits) and its history."""

    def set_status(self, status: Status) -> None:
        """Show a status at a commit. Idempotent."""

    def upsert_comment(self, pull: int, text: str) -> None:
        """Put our one comment on the pull request, or edit it. Markdown."""

    def may(self, user: str, right: str) -> bool:
        """Whether this user has the right (``build``, ``merge``) in the repository."""
