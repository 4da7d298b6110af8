"""What the inbox reads and writes in the table of deliveries. SQLAlchemy Core: this path is hot."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple, cast

from sqlalchemy import Connection, Engine, Table, Update, func, or_, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from hooks.db.tables import Delivery
from hooks.inbox.tries import FAILED, RECEIVED, Fate

PAGE = 20  # rows of a lane that are read at once
_ONE_WRITER = 0x68706377_61617301  # PostgreSQL's advisory lock of those who write many rows

_table = cast("Table", Delivery.__table__)
_columns = _table.c


class Accepted(enum.IntEnum):
    """What became of a delivery that came in; false if nothing did."""

    KNOWN = 0
    NEW = 1
    AGAIN = 2  # it had failed, and is taken up again


class Store(NamedTuple):
    """A delivery that came in; the names are the table's."""

    id: str
    source: str
    repository: str
    event: str
    body: bytes
    received_at: datetime


class Waiting(NamedTuple):
    """What a lane needs to know of a delivery."""

    number: int
    id: str
    body: bytes
    attempts: int
    next_at: datetime | None


class Begin(NamedTuple):
    """A try begins; it counts from now on. Answered False if the row is not as it was read."""

    number: int
    attempts: int


class End(NamedTuple):
    """A try has ended. Answered False if the row is not as the try left it."""

    number: int
    begun: int
    fate: Fate
    at: datetime


Order = Store | Begin | End
Answer = Accepted | bool

AS_NEW: dict[str, Any] = {
    "state": RECEIVED, "attempts": 0, "reason": "", "next_at": None, "handled_at": None,
}  # fmt: skip
_INSERT = {
    "sqlite": sqlite.insert(_table).on_conflict_do_nothing().returning(_columns.id),
    "postgresql": postgresql.insert(_table).on_conflict_do_nothing().returning(_columns.id),
}
_WAITS = {"state": RECEIVED, "reason": "", "attempts": 0}


def write(engine: Engine, orders: Sequence[Order]) -> list[Answer]:
    """Do all orders in one transaction."""
    with engine.begin() as connection:
        answers = iter(_store(connection, [o for o in orders if isinstance(o, Store)]))
        return [next(answers) if isinstance(o, Store) else _changed(connection, o) for o in orders]


def alone(connection: Connection) -> None:
    """Until the end of this transaction no other process writes many rows.

    On PostgreSQL two such writers could wait for each other; SQLite has one writer anyway.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _ONE_WRITER})


def _store(connection: Connection, orders: Sequence[Store]) -> list[Accepted]:
    if not orders:
        return []
    alone(connection)
    first = {order.id: order for order in reversed(orders)}
    ids = list(dict.fromkeys(order.id for order in orders))  # in the sequence in which they came
    rows = [first[name]._asdict() | _WAITS for name in ids]
    insert = _INSERT[connection.dialect.name]
    done = dict.fromkeys(connection.execute(insert, rows).scalars(), Accepted.NEW)
    if known := [name for name in ids if name not in done]:
        again = update(_table).where(_columns.id.in_(known), _columns.state == FAILED)
        taken_up = connection.execute(again.values(AS_NEW).returning(_columns.id)).scalars()
        done |= dict.fromkeys(taken_up, Accepted.AGAIN)
    return [done.pop(order.id, Accepted.KNOWN) for order in orders]


def _changed(connection: Connection, order: Begin | End) -> bool:
    return bool(connection.execute(_change(order)).rowcount)


def _change(order: Begin | End) -> Update:
    """Only if the row is as this process knows it: a worker that lost its lane changes nothing."""
    seen = order.attempts if isinstance(order, Begin) else order.begun
    one = update(_table).where(
        _columns.number == order.number, _columns.state == RECEIVED, _columns.attempts == seen
    )
    if isinstance(order, Begin):
        return one.values(attempts=seen + 1)
    fate = order.fate
    over = None if fate.state == RECEIVED else order.at
    return one.values(
        state=fate.state,
        reason=fate.reason,
        attempts=fate.attempts,
        next_at=fate.next_at,
        handled_at=over,
    )


def lanes(connection: Connection, at: datetime) -> list[str]:
    """Repositories for which something is due, the longest waiting first.

    Steps from repository to repository in the index and asks each for one row, so that it costs
    the same with ten waiting and with a hundred thousand.
    """
    received = _columns.state == RECEIVED
    step = select(func.min(_columns.repository).label("name")).where(received)
    found = step.cte("lanes", recursive=True)
    following = (
        select(func.min(_columns.repository))
        .where(received, _columns.repository > found.c.name)
        .scalar_subquery()
    )
    found = found.union_all(select(following).where(found.c.name.is_not(None)))
    of_lane = select(_columns.number).where(received, _columns.repository == found.c.name)
    due = of_lane.where(_is_due(at)).limit(1).correlate(found).exists()
    oldest = of_lane.order_by(_columns.number).limit(1).correlate(found).scalar_subquery()
    query = select(found.c.name).where(found.c.name.is_not(None), due).order_by(oldest)
    return list(connection.execute(query).scalars())


def waiting(connection: Connection, repository: str, at: datetime) -> list[Waiting]:
    """The next deliveries of a lane, in the sequence in which they came.

    One that stepped aside (it has attempts, and ``next_at`` to come) is left out. One without
    attempts and with a ``next_at`` to come pauses the lane.
    """
    c = _columns
    query = (
        select(c.number, c.id, c.body, c.attempts, c.next_at)
        .where(c.state == RECEIVED, c.repository == repository, or_(c.attempts == 0, _is_due(at)))
        .order_by(c.number)
        .limit(PAGE)
    )
    return [Waiting(*row) for row in connection.execute(query)]


def _is_due(at: datetime) -> Any:
    return or_(_columns.next_at.is_(None), _columns.next_at <= at)
