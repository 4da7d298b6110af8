"""The merge button of our own pages: main moves to exactly what was validated, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from hooks.db.tables import PullRequest
from hooks.dispatch.pulls import FAILED, OPEN, PASSED, PullRequests
from hooks.errors import ConflictError, ForbiddenError, NotFoundError
from hooks.forges.seams import Forge


class Mergeable(Protocol):
    """A forge whose main we move ourselves."""

    def forward_main(self, new: str, old: str, why: str) -> None:
        """Move main from ``old`` to ``new``; raises ``EntryError`` if it is elsewhere by now."""


@dataclass(frozen=True)
class Merging:
    """Merges pull requests of the repositories that we host."""

    forges: Mapping[str, Forge]
    mergeable: Mapping[str, Mergeable]
    pulls: PullRequests

    def merge(self, repository: str, number: int, user: str, head: str = "") -> str:
        """Merge a pull request for a user; the commit that main is at now.

        ``head`` is the commit that the user looked at; one that came since is not merged.
        Raises ``NotFoundError``, ``ForbiddenError``, and ``ConflictError`` with what to do first.
        """
        row = self.pulls.numbered(repository, number)
        if row is None:
            raise NotFoundError(f"there is no pull request #{number} in {repository}")
        if repository not in self.mergeable:
            raise ConflictError("this is merged where it is hosted", hint="on GitHub's own page")
        if not self.forges[repository].may(user, "merge"):
            raise ForbiddenError(f"{user} may not merge in {repository}")
        if head not in {"", row.head}:
            raise ConflictError(
                f"#{number} is at {row.head[:10]} by now, not at {head[:10]}",
                hint="look at the new commit first",
            )
        main = self.forges[repository].look().main
        if reason := why_not(row, main):
            raise ConflictError(f"#{number} {reason}")
        why = f"merge of #{number} by {user}"
        self.mergeable[repository].forward_main(row.head, row.base, why)
        return row.head


def why_not(row: PullRequest, main: str) -> str:
    """Why a pull request cannot be merged while main is at this commit; empty if it can."""
    if row.state != OPEN:
        return f"is {row.state.lower()} already"
    if row.draft:
        return "is a draft: push again with `-o draft=false` when it is ready"
    if row.verdict == FAILED:
        return "did not pass: push a corrected commit"
    if row.verdict != PASSED:
        return "is still being validated"
    if row.base != main:
        return "was validated against an older main: it is being validated again"
    return ""
