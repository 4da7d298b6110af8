"""Pull requests of bare repositories: a branch, its number, and what was said of its head."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select

from hooks.db import Database
from hooks.db.tables import PullRequest

OPEN, MERGED, CLOSED = "OPEN", "MERGED", "CLOSED"
PENDING, PASSED, FAILED = "PENDING", "PASSED", "FAILED"


class PullRequests:
    """The record of them; branches are brought in line with what the forge says."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def seen(self, repository: str, branch: str, base: str, head: str, author: str) -> PullRequest:
        """A branch is at ``head`` while main is at ``base``: open, renew or keep its record.

        The reconciler may see a branch before the delivery that says who pushed it; what it could
        not allow for want of a name is looked at again once there is one.
        """
        with self._database.session() as session:
            found = _open(repository).where(PullRequest.branch == branch)
            pull: PullRequest | None = session.scalar(found)
            if pull is None:
                last = session.scalar(
                    select(func.max(PullRequest.number)).where(PullRequest.repository == repository)
                )
                pull = PullRequest(
                    repository=repository,
                    number=(last or 0) + 1,
                    branch=branch,
                    title=branch.replace("-", " ").replace("_", " "),
                    author=author,
                    base="",
                    head=head,
                    revision=0,
                )
                session.add(pull)
            named = bool(author) and not pull.author
            pull.author = pull.author or author
            if named or (pull.base, pull.head) != (base, head):
                pull.base, pull.head, pull.verdict = base, head, PENDING
                pull.revision += 1
                pull.report, pull.plan, pull.build_state = {}, {}, ""
            return pull

    def judged(self, number: int, pair: tuple[str, str], values: dict[str, Any]) -> bool:
        """Record what was found of (base, head); False if the pull request has moved on."""
        with self._database.session() as session:
            pull = session.get_one(PullRequest, number)
            if (pull.base, pull.head) != pair:
                return False
            for name, value in values.items():
                setattr(pull, name, value)
            return True

    def merged(self, repository: str, commit: str) -> list[int]:
        """Main is at this commit: the pull requests with that head are merged; their numbers."""
        return self._end(_open(repository).where(PullRequest.head == commit), MERGED)

    def closed(self, repository: str, branch: str) -> list[int]:
        """The branch is gone, and its pull request is closed; their numbers."""
        return self._end(_open(repository).where(PullRequest.branch == branch), CLOSED)

    def _end(self, query: Any, state: str) -> list[int]:
        with self._database.session() as session:
            found = list(session.scalars(query))
            for pull in found:
                pull.state = state
            return [pull.number for pull in found]

    def of(self, repository: str, state: str = OPEN) -> list[PullRequest]:
        """Those in a state, oldest first."""
        query = select(PullRequest).where(
            PullRequest.repository == repository, PullRequest.state == state
        )
        with self._database.session() as session:
            return list(session.scalars(query.order_by(PullRequest.number)))

    def get(self, id: int) -> PullRequest:  # noqa: A002
        """One, by its id (not its number)."""
        with self._database.session() as session:
            return session.get_one(PullRequest, id)

    def author(self, id: int) -> str:  # noqa: A002
        """Who pushed it."""
        return self.get(id).author

    def scopes_of(self, repository: str, commit: str) -> list[str]:
        """Image scopes of the pull requests whose head is this commit."""
        query = select(PullRequest.number).where(
            PullRequest.repository == repository, PullRequest.head == commit
        )
        with self._database.session() as session:
            return [f"pull-{number}" for number in session.scalars(query)]


def _open(repository: str) -> Any:
    return select(PullRequest).where(
        PullRequest.repository == repository, PullRequest.state == OPEN
    )
