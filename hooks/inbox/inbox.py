"""The inbox as the rest of the service knows it: accept, run, stop, replay, prune."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from ci.errors import EntryError
from hooks.db import Database
from hooks.db.tables import now as clock_of_the_machine
from hooks.inbox import lanes, rows
from hooks.inbox.records import DeliveryRecords
from hooks.inbox.rows import Accepted, Answer, Order, Store
from hooks.inbox.spells import Handler, Spells
from hooks.inbox.writer import Writer

LARGEST_EVENT = 65_536  # bytes of JSON
_ID = re.compile(r"[!-~]{1,200}\Z")
_SOURCE = re.compile(r"[a-z0-9-]{1,40}\Z")
_KIND = re.compile(r"[A-Za-z0-9_.-]{1,40}\Z")


class Locks(Protocol):
    """As ``hooks.engine.locks`` makes them."""

    def take(self, name: str) -> bool:
        """Whether the lock is ours now."""

    def release(self, name: str) -> None:
        """Give it back."""


class Inbox:
    """Stores deliveries durably, and hands them in order to a handler.

    ``locks`` says which process is in a lane; without it, those that go with the database.
    """

    def __init__(
        self,
        database: Database,
        locks: Locks | None = None,
        clock: Callable[[], datetime] = clock_of_the_machine,
    ) -> None:
        self._database, self._given, self._clock = database, locks, clock
        engine = database.engine
        self._records = DeliveryRecords(database, clock)
        self._writer: Writer[Order, Answer] = Writer(lambda orders: rows.write(engine, orders))
        spells = Spells(engine, self._writer, clock)
        self._lanes = lanes.Lanes(spells, self._due, self._locks, clock)

    def accept(self, id: str, source: str, repository: str, event: dict[str, Any]) -> Accepted:  # noqa: A002
        """Store a delivery; durable when this returns. One that failed before is taken up again.

        Raises ``EntryError`` for what cannot be a delivery, and a transient ``SiteError`` if it
        could not be stored.
        """
        body = json.dumps(event, sort_keys=True).encode("ascii")
        _check(id, source, repository, body)
        kind = str(event.get("event", ""))
        kind = kind if _KIND.match(kind) else ""
        order = Store(id, source, repository, kind, body, self._clock())
        accepted = self._writer.submit(order)
        if accepted:
            self._lanes.wake(repository)
        return Accepted(accepted)

    def run(self, handler: Handler) -> None:
        """Handle deliveries until ``stop``: at once if this process accepted one, else by poll."""
        self._lanes.run(handler)

    def handle_pending(self, handler: Handler) -> int:
        """Try all that is due, here and now; how many were tried."""
        return self._lanes.once(handler)

    def stop(self) -> None:
        """Let ``run`` return, and accept nothing more; what was accepted is stored."""
        self._lanes.stop()
        self._writer.close()

    def replay(self, id: str) -> bool:  # noqa: A002
        """Handle a delivery once more; False if there is none that has been handled."""
        return bool(self._records.replay([id]))

    def prune(self) -> int:
        """Remove deliveries that were handled long ago; how many."""
        return self._records.prune()

    def _due(self) -> list[str]:
        with self._database.engine.connect() as connection:
            return rows.lanes(connection, self._clock())

    def _locks(self) -> lanes.Locks:
        found = self._given
        if found is None:
            # here, since the engine's library takes a second to import, and only workers need it
            from hooks.engine.locks import locks_for

            found = locks_for(self._database.url)
        return lanes.Locks(found.take, found.release)


def _check(id: str, source: str, repository: str, body: bytes) -> None:  # noqa: A002
    """Refuse what a database would: it would take the others of its transaction with it."""
    if not _ID.match(id):
        raise EntryError("the id of a delivery is 1 to 200 printable ASCII characters")
    if not _SOURCE.match(source):
        raise EntryError(f"{source[:60]!r} is not the name of a source of deliveries")
    if len(repository) > 100 or not repository.isprintable():
        raise EntryError("the name of a repository has at most 100 characters, all printable")
    if len(body) > LARGEST_EVENT:
        raise EntryError(f"an event has more than {LARGEST_EVENT} bytes")
