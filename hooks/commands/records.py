"""What was asked for on pull requests, each remark once; and approvals, bound to a commit."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from hooks.db import Database
from hooks.db.tables import Approval, CommandRecord
from hooks.forges.seams import Remark

RECEIVED, DONE, REFUSED = "RECEIVED", "DONE", "REFUSED"
SHOWN = 10  # commands of a pull request that people are shown
_LONGEST_ANSWER = 2_000


class CommandRecords:
    """Rows of commands and approvals."""

    def __init__(self, database: Database) -> None:
        self._database = database
        is_sqlite = database.engine.dialect.name == "sqlite"
        self._insert = sqlite.insert if is_sqlite else postgresql.insert

    def take(self, repository: str, remark: Remark, text: str) -> bool:
        """Record a remark with commands; whether there is something left to do about it.

        One that was finished has nothing left, however often it comes; one that a kill broke off
        has. An edited remark is the same remark.
        """
        row = self._insert(CommandRecord).values(
            repository=repository,
            remark=remark.id,
            number=remark.pull,
            by=remark.author,
            text=text[:_LONGEST_ANSWER],
            state=RECEIVED,
            answer="",
        )
        with self._database.session() as session:
            session.execute(row.on_conflict_do_nothing())
            found = session.get_one(CommandRecord, (repository, remark.id))
            return found.state == RECEIVED

    def finish(self, repository: str, remark: str, answer: str, *, accepted: bool) -> None:
        """It is dealt with."""
        with self._database.session() as session:
            row = session.get_one(CommandRecord, (repository, remark))
            row.state = DONE if accepted else REFUSED
            row.answer = answer[:_LONGEST_ANSWER]

    def of(self, repository: str, number: int) -> list[CommandRecord]:
        """The newest of a pull request, oldest first."""
        query = select(CommandRecord).where(
            CommandRecord.repository == repository, CommandRecord.number == number
        )
        newest = query.order_by(CommandRecord.at.desc(), CommandRecord.remark).limit(SHOWN)
        with self._database.session() as session:
            return list(session.scalars(newest))[::-1]

    def approve(
        self, repository: str, number: int, head: str, by: str, sites: Iterable[str]
    ) -> None:
        """A maintainer wants this very commit built, for these sites or for all."""
        key = (repository, number, head, by)
        with self._database.session() as session:
            row = session.get(Approval, key) or Approval(
                repository=repository, number=number, head=head, by=by
            )
            row.sites = sorted(set(sites))
            session.add(row)

    def approved(self, repository: str, number: int, head: str) -> Collection[str] | None:
        """The sites that this commit may be built for, empty for all; None: nobody asked."""
        query = select(Approval.sites).where(
            Approval.repository == repository, Approval.number == number, Approval.head == head
        )
        with self._database.session() as session:
            found = list(session.scalars(query))
        if not found:
            return None
        return set() if any(not sites for sites in found) else {s for sites in found for s in sites}
