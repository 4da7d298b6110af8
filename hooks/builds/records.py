"""Builds as their rows tell them: who wants them, how far they are, what they print.

Needs nothing but the database, so the command line uses it while no service runs.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, exists, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from builder.store import Image
from ci.target import Target
from hooks.builds.spec import Asker, BuildSpec
from hooks.db import Database
from hooks.db.tables import Build, BuildAsker, LogLine, now
from hooks.errors import ForbiddenError, NotFoundError
from hooks.journal import ERROR, INFO, Journal
from hooks.tokens import Caller

PENDING, STARTED = "PENDING", "STARTED"
FINISHED, FAILED, CANCELLED = "FINISHED", "FAILED", "CANCELLED"
FINAL = (FINISHED, FAILED, CANCELLED)
UNWANTED = "nobody wants it any more"


def subject(build: str) -> str:
    """The journal's name for the log of a build."""
    return f"build:{build}"


def spec_of(row: Build) -> BuildSpec:
    """What the row is an attempt at."""
    return BuildSpec(
        workflow=row.workflow,
        step=row.step,
        commit=row.commit,
        catalog_commit=row.catalog_commit,
        target=Target(**row.target),
        scope=row.scope,
        site=row.site,
    )


class BuildRecords:
    """The rows of builds. Each change is one transaction that begins with its write, so that no
    two that happen at once can both be right: SQLite has one writer, PostgreSQL locks the row.
    """

    def __init__(self, database: Database, journal: Journal) -> None:
        self._database, self.journal = database, journal

    def get(self, build: str) -> Build:
        """One build. Raises ``NotFoundError``."""
        with self._database.session() as session:
            found = session.get(Build, build)
        if found is None:
            raise NotFoundError(f"there is no build {build!r}")
        return found

    def several(self, builds: Iterable[str]) -> dict[str, Build]:
        """Builds by id, as far as they exist."""
        with self._database.session() as session:
            found = session.scalars(select(Build).where(Build.id.in_(list(builds))))
            return {row.id: row for row in found}

    def page(
        self,
        *where: ColumnElement[bool],
        workflow: str = "",
        state: str = "",
        start: int = 0,
        size: int = 50,
    ) -> tuple[list[Build], int]:
        """Builds, the newest first, from position ``start`` on; and how many there are."""
        if workflow:
            where = (*where, Build.workflow == workflow)
        if state:
            where = (*where, Build.state == state)
        newest = select(Build).where(*where).order_by(Build.created_at.desc(), Build.id)
        with self._database.session() as session:
            total = session.scalar(select(func.count()).select_from(Build).where(*where)) or 0
            return list(session.scalars(newest.offset(start).limit(size))), total

    def unfinished(self) -> list[Build]:
        """All that are not in a final state, the oldest first."""
        query = select(Build).where(Build.active.is_not(None)).order_by(Build.created_at)
        with self._database.session() as session:
            return list(session.scalars(query))

    def askers(self, build: str) -> list[str]:
        """Who wants it still."""
        with self._database.session() as session:
            return list(session.scalars(_wanting(build).order_by(BuildAsker.asked_at)))

    def lines(self, build: str, after: int = 0, size: int = 1_000) -> list[LogLine]:
        """The lines of its log that follow the line with this number."""
        return self.journal.after(subject(build), after, size=size)

    # asking

    def asked_before(self, asker: Asker, spec: BuildSpec, key: str) -> Build | None:
        """The build that this very question led to, if it was put before."""
        query = (
            select(Build)
            .join(BuildAsker, BuildAsker.build == Build.id)
            .where(BuildAsker.asker == asker.name, Build.key == key, Build.scope == spec.scope)
            .order_by(Build.created_at.desc())
        )
        with self._database.session() as session:
            return session.scalar(query.limit(1)) if asker.once else None

    def join(self, key: str, scope: str, asker: Asker, *, force: bool) -> tuple[str, bool] | None:
        """Want the active attempt at a key too; its id, and whether it has become more urgent."""
        active = Build.active == _active(scope, key)
        with self._database.session() as session:
            # also the lock that keeps a withdrawal from ending it meanwhile
            joined = update(Build).where(active).values(active=Build.active)
            row = session.scalar(joined.returning(Build))
            if row is None:
                return None
            urgent = asker.priority < row.priority
            row.priority = min(row.priority, int(asker.priority))
            row.force = row.force or (force and row.state == PENDING)
            _want(session, row.id, asker)
            return row.id, urgent

    def active_at(self, scope: str, commit: str) -> list[Build]:
        """What goes on in a scope for a commit."""
        query = select(Build).where(
            Build.scope == scope, Build.commit == commit, Build.active.is_not(None)
        )
        with self._database.session() as session:
            return list(session.scalars(query))

    def wanted_by(self, asker: str) -> list[str]:
        """The builds that go on and that somebody wants."""
        mine = (BuildAsker.asker == asker, BuildAsker.withdrawn_at.is_(None))
        query = select(Build.id).join(BuildAsker).where(*mine, Build.active.is_not(None))
        with self._database.session() as session:
            return list(session.scalars(query))

    def begin(self, spec: BuildSpec, key: str, asker: Asker, *, force: bool) -> str | None:
        """Make a row for a new attempt; None if another did at the same moment."""
        row = _row(spec, key, asker)
        row.active, row.force = _active(spec.scope, key), force
        try:
            with self._database.session() as session:
                session.add(row)
                session.flush()
                _want(session, row.id, asker)
        except IntegrityError:
            return None
        return row.id

    def found(self, spec: BuildSpec, key: str, image: Image, asker: Asker) -> str:
        """A row for an image that was there already; the newest one like it serves again."""
        same = (Build.key == key, Build.scope == spec.scope, Build.image == image.key)
        done = (Build.digest == image.digest, Build.state == FINISHED)
        query = select(Build.id).where(*same, *done).order_by(Build.created_at.desc()).limit(1)
        with self._database.session() as session:
            known: str | None = session.scalar(query)
            if known is None:
                row = _row(spec, key, asker)
                row.state, row.reused, row.finished_at = FINISHED, True, now()
                row.image, row.digest = image.key, image.digest
                session.add(row)
                session.flush()
                known = row.id
            _want(session, known, asker)
        return known

    # making

    def claim(self, build: str, runner: str) -> Build | None:
        """Take a build for a flow; None if it has ended, or another flow makes it."""
        free = Build.runner.in_(["", runner])
        statement = (
            update(Build)
            .where(Build.id == build, Build.active.is_not(None), free)
            .values(runner=runner, runs=Build.runs + 1)
        )
        with self._database.session() as session:
            return session.scalar(statement.returning(Build))

    def ended(self, build: str) -> bool:
        """Whether it is in a final state."""
        with self._database.session() as session:
            active = session.execute(select(Build.active).where(Build.id == build)).first()
        return active is None or active[0] is None

    def at(self, build: str, values: Mapping[str, Any]) -> None:
        """Record how far it is, unless it has ended."""
        self._set(build, values)

    def finish(self, build: str, image: Image) -> bool:
        """The image is in the store; False if it was cancelled meanwhile."""
        values = {"image": image.key, "digest": image.digest, "reused": Build.started_at.is_(None)}
        return self._end(build, FINISHED, "", values)

    def fail(self, build: str, reason: str) -> bool:
        """It cannot be had; False if it had ended."""
        if failed := self._end(build, FAILED, reason, {}):
            self.journal.write(subject(build), "failed", reason, ERROR)
        return failed

    # ending

    def cancel(self, build: str, caller: Caller) -> bool:
        """End a build (an operator), or want it no longer (who asked for it): whether it ended.

        Raises ``NotFoundError``, and ``ForbiddenError`` for others.
        """
        self.get(build)
        if caller.role == "operator":
            return self._cancelled(build, f"cancelled by {caller.user}")
        mine = Asker.user(caller.user).name
        if mine not in self.askers(build) and not self.ended(build):
            raise ForbiddenError(
                f"build {build} was not asked for by {caller.user}",
                hint="who asked for a build can cancel it, and an operator",
            )
        return build in self.withdraw(mine, build)

    def withdraw(self, asker: str, build: str) -> list[str]:
        """An asker wants a build no longer; the builds that thereby end."""
        return self._withdraw(BuildAsker.asker == asker, BuildAsker.build == build)

    def withdraw_pull(self, pull: str, before: int | None = None, keep: str = "") -> list[str]:
        """A pull request (``<repository>:<number>``) wants none of its builds any longer, or none
        that revisions ``before`` this one asked for, but those of the commit ``keep``; those ended.
        """
        mine = BuildAsker.asker.startswith(f"pull:{pull}:", autoescape=True)
        query = select(BuildAsker.asker).where(mine, BuildAsker.withdrawn_at.is_(None)).distinct()
        with self._database.session() as session:
            found = list(session.scalars(query))
        old = [a for a in found if before is None or int(a.rpartition(":")[2]) < before]
        gone = BuildAsker.build.not_in(select(Build.id).where(Build.commit == keep))
        return self._withdraw(BuildAsker.asker.in_(old), gone) if old else []

    def _withdraw(self, *which: ColumnElement[bool]) -> list[str]:
        active = BuildAsker.build.in_(select(Build.id).where(Build.active.is_not(None)))
        where = (*which, BuildAsker.withdrawn_at.is_(None), active)
        gone = update(BuildAsker).where(*where).values(withdrawn_at=now())
        with self._database.session() as session:
            left = set(session.scalars(gone.returning(BuildAsker.build)))
        return [name for name in sorted(left) if self._cancelled(name, UNWANTED, unwanted=True)]

    def _cancelled(self, build: str, reason: str, *, unwanted: bool = False) -> bool:
        ended = self._end(build, CANCELLED, reason, {}, unwanted=unwanted)
        if ended:
            self.journal.write(subject(build), "cancelled", f"cancelled: {reason}", INFO)
        return ended

    def _end(
        self,
        build: str,
        state: str,
        message: str,
        values: Mapping[str, Any],
        *,
        unwanted: bool = False,
    ) -> bool:
        final = {"state": state, "message": message, "active": None, "finished_at": now()}
        return self._set(build, {**values, **final}, unwanted=unwanted)

    def _set(self, build: str, values: Mapping[str, Any], *, unwanted: bool = False) -> bool:
        """Change a row that has not ended, only if nobody wants it if that is asked for."""
        going_on = (Build.id == build, Build.active.is_not(None))
        with self._database.session() as session:
            locked = update(Build).where(*going_on).values(active=Build.active)
            if not session.execute(locked).rowcount:  # type: ignore[attr-defined]
                return False
            if unwanted and session.scalar(select(exists(_wanting(build)))):
                return False
            session.execute(update(Build).where(*going_on).values(**values))
        return True


def _active(scope: str, key: str) -> str:
    return f"{scope}:{key}"


def _row(spec: BuildSpec, key: str, asker: Asker) -> Build:
    values = spec.to_dict()
    return Build(id=secrets.token_hex(8), key=key, priority=int(asker.priority), **values)


def _wanting(build: str) -> Any:
    return select(BuildAsker.asker).where(
        BuildAsker.build == build, BuildAsker.withdrawn_at.is_(None)
    )


def _want(session: Session, build: str, asker: Asker) -> None:
    session.merge(BuildAsker(build=build, asker=asker.name, withdrawn_at=None))
