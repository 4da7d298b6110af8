"""The record of pull requests: what the forge last said of each, and what was said of its head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.orm import Session

from hooks.db import Database
from hooks.db.tables import PullRequest
from hooks.forges.seams import Ending, Proposal

OPEN, MERGED, CLOSED = "OPEN", "MERGED", "CLOSED"
PENDING, PASSED, FAILED = "PENDING", "PASSED", "FAILED"
BUILDING, FINISHED = "BUILDING", "FINISHED"  # its images; FAILED as well
LONGEST_TITLE = 250


@dataclass(frozen=True, slots=True)
class Pushed:
    """Who put a commit on a branch, and what was said with the push (``title``, ``draft``)."""

    branch: str = ""
    head: str = ""
    by: str = ""
    options: Mapping[str, Any] | None = None

    def about(self, proposal: Proposal) -> bool:
        """Whether it speaks of the proposal as it is now."""
        return (self.branch, self.head) == (proposal.branch, proposal.head)


class PullRequests:
    """Rows, brought in line with what the forge says."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def seen(
        self, repository: str, proposal: Proposal, base: str, pushed: Pushed | None = None
    ) -> PullRequest:
        """The forge has this proposal while main is at ``base``: open, renew or keep its record.

        The reconciler may see a branch before the delivery that says who pushed it; what it could
        not allow for want of a name is looked at again once there is one.
        """
        told = pushed if pushed is not None and pushed.about(proposal) else Pushed()
        with self._database.session() as session:
            pull = self._row(session, repository, proposal)
            if pull is None:
                pull = self._new(session, repository, proposal)
            moved = (pull.base, pull.head) != (base, proposal.head)
            by = told.by or proposal.pusher
            if pull.head != proposal.head or not pull.pusher:
                moved = moved or (bool(by) and by != pull.pusher)
                pull.pusher = by
            pull.author = pull.author or proposal.author or by
            pull.state, pull.branch = OPEN, proposal.branch
            pull.trusted = proposal.trusted
            _describe(pull, proposal, told.options or {})
            if moved:
                pull.base, pull.head, pull.verdict = base, proposal.head, PENDING
                pull.revision += 1
                pull.report, pull.plan, pull.build_state = {}, {}, ""
            return pull

    def _row(self, session: Session, repository: str, proposal: Proposal) -> PullRequest | None:
        if proposal.number:  # it may be reopened
            return _held(
                session,
                PullRequest.repository == repository,
                PullRequest.number == proposal.number,
            )
        return _held(
            session,
            PullRequest.repository == repository,
            PullRequest.branch == proposal.branch,
            PullRequest.state == OPEN,
        )

    def _new(self, session: Session, repository: str, proposal: Proposal) -> PullRequest:
        query = select(func.max(PullRequest.number)).where(PullRequest.repository == repository)
        number = proposal.number or (session.scalar(query) or 0) + 1
        pull = PullRequest(
            repository=repository,
            number=number,
            branch=proposal.branch,
            title=proposal.title or proposal.branch.replace("-", " ").replace("_", " "),
            author="",
            pusher="",
            base="",
            head="",
            revision=0,
        )
        session.add(pull)
        return pull

    def judge_again(self, id: int) -> PullRequest:  # noqa: A002
        """Somebody asked: the pair is judged (and built, if it may be) once more."""
        with self._database.session() as session:
            pull = _one(session, id)
            pull.verdict = PENDING
            pull.revision += 1
            pull.asked += 1
            return pull

    def judged(self, id: int, pair: tuple[str, str], values: dict[str, Any]) -> bool:  # noqa: A002
        """Record what was found of (base, head); False if the pull request has moved on."""
        with self._database.session() as session:
            pull = _one(session, id)
            if (pull.base, pull.head) != pair:
                return False
            for name, value in values.items():
                setattr(pull, name, value)
            return True

    def ended(self, id: int, ending: Ending) -> None:  # noqa: A002
        """It is not open any more."""
        with self._database.session() as session:
            pull = _one(session, id)
            pull.state = MERGED if ending.merged else CLOSED
            pull.merge_commit = ending.commit

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

    def numbered(self, repository: str, number: int) -> PullRequest | None:
        """One, by its number."""
        query = select(PullRequest).where(
            PullRequest.repository == repository, PullRequest.number == number
        )
        with self._database.session() as session:
            return session.scalar(query)

    def merged_as(self, repository: str, commit: str) -> list[int]:
        """Numbers of the pull requests that became this commit of main."""
        query = select(PullRequest.number).where(
            PullRequest.repository == repository,
            PullRequest.state == MERGED,
            or_(PullRequest.merge_commit == commit, PullRequest.head == commit),
        )
        with self._database.session() as session:
            return list(session.scalars(query))

    def merged_lately(self, repository: str, limit: int = 50) -> list[PullRequest]:
        """The pull requests that were merged last, newest first."""
        query = select(PullRequest).where(
            PullRequest.repository == repository, PullRequest.state == MERGED
        )
        with self._database.session() as session:
            return list(session.scalars(query.order_by(PullRequest.updated_at.desc()).limit(limit)))


def _held(session: Session, *which: ColumnElement[bool]) -> PullRequest | None:
    """The row, if there is one, as it is until this transaction ends: nobody else can write to it.

    A verdict is recorded while a newer commit comes in; it must not become that commit's.
    """
    same = {"revision": PullRequest.revision, "updated_at": PullRequest.updated_at}
    session.execute(update(PullRequest).where(*which).values(same))
    return session.scalars(select(PullRequest).where(*which)).first()


def _one(session: Session, id: int) -> PullRequest:  # noqa: A002
    found = _held(session, PullRequest.id == id)
    if found is None:
        raise LookupError(f"no pull request has the id {id}")
    return found


def _describe(pull: PullRequest, proposal: Proposal, options: Mapping[str, Any]) -> None:
    """Title and draft: as the forge says, else as was said with a push."""
    title = proposal.title or str(options.get("title", ""))
    if title:
        pull.title = "".join(c if c.isprintable() else " " for c in title)[:LONGEST_TITLE]
    if proposal.number:
        pull.draft = proposal.draft
    elif "draft" in options:
        pull.draft = bool(options["draft"])
