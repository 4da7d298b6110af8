"""The inbox: every delivery is stored durably before it is answered, and handled once.

A delivery's content is a hint ("look at this ref"); what is done about it depends on what the
forge says at that moment, so that lost, doubled and late deliveries all come to the same.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from ci.errors import EntryError, WaasError
from hooks.db import Database
from hooks.db.tables import Delivery

log = logging.getLogger(__name__)

ATTEMPTS = 5
POLL_SECONDS = 0.2

Handler = Callable[[str, dict[str, Any]], str]
"""Takes a registry and an event, returns "" if handled or the reason for ignoring it."""


class Inbox:
    """Stores deliveries and hands them, in order, to a handler."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._news = threading.Event()
        self._stop = threading.Event()

    def accept(self, id: str, source: str, registry: str, event: dict[str, Any]) -> bool:  # noqa: A002
        """Store a delivery; False if it was already known. Durable when this returns.

        One that failed before is taken up again.
        """
        body = json.dumps(event, sort_keys=True).encode()
        try:
            with self._database.session() as session:
                session.add(Delivery(id=id, source=source, repository=registry, body=body))
            new = True
        except IntegrityError:
            new = self.replay(id, only_failed=True)
        self._news.set()
        return new

    def replay(self, id: str, *, only_failed: bool = False) -> bool:  # noqa: A002
        """Handle a known delivery once more; False if there is none (in such a state)."""
        states = ("FAILED",) if only_failed else ("FAILED", "HANDLED", "IGNORED")
        statement = (
            update(Delivery)
            .where(Delivery.id == id, Delivery.state.in_(states))
            .values(state="RECEIVED", attempts=0, reason="")
        )
        with self._database.session() as session:
            replayed = bool(session.execute(statement).rowcount)  # type: ignore[attr-defined]
        self._news.set()
        return replayed

    def handle_pending(self, handler: Handler) -> int:
        """Hand every waiting delivery to ``handler``, oldest first; how many were looked at."""
        with self._database.session() as session:
            waiting = session.scalars(
                select(Delivery).where(Delivery.state == "RECEIVED").order_by(Delivery.number)
            ).all()
        for delivery in waiting:
            self._handle(delivery, handler)
        return len(waiting)

    def _handle(self, delivery: Delivery, handler: Handler) -> None:
        state, reason = "HANDLED", ""
        try:
            reason = handler(delivery.repository, json.loads(delivery.body))
            state = "IGNORED" if reason else "HANDLED"
        except EntryError as error:
            state, reason = "FAILED", str(error)
        except (WaasError, SQLAlchemyError, OSError) as error:
            reason = str(error)
            state = "FAILED" if delivery.attempts + 1 >= ATTEMPTS else "RECEIVED"
            log.warning("delivery %s: %s", delivery.id, error)
        with self._database.session() as session:
            row = session.get_one(Delivery, delivery.number)
            row.state, row.reason, row.attempts = state, reason, row.attempts + 1

    def run(self, handler: Handler) -> None:
        """Handle deliveries until ``stop``: at once if this process accepted one, else by poll."""
        while not self._stop.is_set():
            try:
                self.handle_pending(handler)
            except SQLAlchemyError as error:
                log.warning("the inbox cannot be read: %s", error)
            self._news.wait(POLL_SECONDS)
            self._news.clear()

    def stop(self) -> None:
        """Let ``run`` return."""
        self._stop.set()
        self._news.set()
