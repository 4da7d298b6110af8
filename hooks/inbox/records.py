"""What became of deliveries: for people to read, to have handled again, and to clear away."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.sql.elements import ColumnElement

from ci.errors import EntryError
from hooks.db import Database
from hooks.db.tables import Delivery, now
from hooks.errors import NotFoundError
from hooks.inbox.rows import AS_NEW, alone
from hooks.inbox.tries import FAILED, HANDLED, IGNORED, STATES

KEEP = {HANDLED: timedelta(days=30), IGNORED: timedelta(days=30), FAILED: timedelta(days=90)}
LARGEST_PAGE = 500
_AT_ONCE = 500  # rows of one transaction: others wait for it


class DeliveryRecords:
    """Deliveries as rows. Safe beside workers in other processes, which notice within 0.5 s."""

    def __init__(self, database: Database, clock: Callable[[], datetime] = now) -> None:
        self._database, self._clock = database, clock

    def page(
        self, *, state: str = "", repository: str = "", before: int = 0, limit: int = 50
    ) -> Sequence[Delivery]:
        """Deliveries, the newest first, of those with a lower number than ``before``.

        Raises ``EntryError`` for a state that there is not.
        """
        if state and state not in STATES:
            raise EntryError(f"no state {state[:40]!r}", hint=f"there are {', '.join(STATES)}")
        query = select(Delivery).order_by(Delivery.number.desc()).limit(limit)
        query = query.where(Delivery.state == state) if state else query
        query = query.where(Delivery.repository == repository) if repository else query
        query = query.where(Delivery.number < before) if before else query
        with self._database.session() as session:
            return session.scalars(query).all()

    def get(self, id: str) -> Delivery:  # noqa: A002
        """One delivery. Raises ``NotFoundError``."""
        with self._database.session() as session:
            found = session.scalar(select(Delivery).where(Delivery.id == id))
        if found is None:
            raise NotFoundError(f"no delivery {id[:200]!r}", hint="`waas deliveries list`")
        return found

    def replay(self, ids: Sequence[str]) -> list[str]:
        """Have those of these that were handled, ignored or set aside handled once more."""
        return self._replay(Delivery.id.in_(ids), Delivery.state.in_((HANDLED, IGNORED, FAILED)))

    def replay_failed(self, repository: str = "") -> list[str]:
        """Have all handled once more that were set aside (of one repository); their ids."""
        wanted = [Delivery.repository == repository] if repository else []
        return self._replay(Delivery.state == FAILED, *wanted)

    def _replay(self, *which: ColumnElement[bool]) -> list[str]:
        again = update(Delivery).where(*which).values(AS_NEW).returning(Delivery.id)
        with self._database.engine.begin() as connection:
            alone(connection)
            return sorted(connection.execute(again).scalars())

    def prune(self) -> int:
        """Remove what was handled long ago (``KEEP``); how many.

        An id that is gone may come again: it is then handled again, which changes nothing.
        """
        removed = 0
        for state, time in KEEP.items():
            over = func.coalesce(Delivery.handled_at, Delivery.received_at) < self._clock() - time
            old = select(Delivery.number).where(Delivery.state == state, over).limit(_AT_ONCE)
            while gone := self._remove(old):
                removed += gone
        return removed

    def _remove(self, old: Any) -> int:
        with self._database.engine.begin() as connection:
            alone(connection)
            done = connection.execute(delete(Delivery).where(Delivery.number.in_(old)))
            return done.rowcount


def shown(row: Delivery) -> dict[str, Any]:
    """A delivery as JSON, times in UTC."""
    names = ("number", "id", "source", "repository", "state", "reason", "attempts")
    return {name: getattr(row, name) for name in names} | {
        "kind": row.event,
        "received": _stamp(row.received_at),
        "next_try": _stamp(row.next_at),
        "handled": _stamp(row.handled_at),
    }


def shown_whole(row: Delivery) -> dict[str, Any]:
    """A delivery as JSON with its event; of one that is no JSON, the text."""
    try:
        event = json.loads(row.body)
    except ValueError:
        event = row.body.decode("utf-8", "replace")
    return shown(row) | {"event": event}


def _stamp(at: datetime | None) -> str | None:
    return None if at is None else f"{at.isoformat(timespec='milliseconds')}Z"
