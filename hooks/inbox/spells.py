"""A spell in a lane: the deliveries of one repository, one after the other, each to its fate."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine

from ci.errors import SiteError
from hooks.inbox import rows, tries
from hooks.inbox.rows import Begin, End, Waiting
from hooks.inbox.tries import ATTEMPTS, FAILED, Fate, Trouble
from hooks.inbox.writer import Writer

log = logging.getLogger(__name__)

LONGEST = 200  # deliveries; then another lane may have the thread
_TIMES_TO_END = 3
_MOST_TROUBLES = 10_000

Handler = Callable[[str, dict[str, Any]], str]
"""Takes a repository and an event, returns "" if handled or the reason for ignoring it."""


@dataclass(frozen=True, slots=True)
class Spell:
    """How a spell ended: how many were tried, until when the lane pauses, whether more are due."""

    tried: int
    paused_until: datetime | None = None
    more: bool = False


class Spells:
    """Hands deliveries to a handler. One process at a time may be in a lane: see ``lanes``."""

    def __init__(
        self, engine: Engine, writer: Writer[rows.Order, rows.Answer], clock: Callable[[], datetime]
    ) -> None:
        self._engine, self._writer, self._clock = engine, writer, clock
        self._troubles: dict[int, Trouble] = {}

    def spell(self, repository: str, handler: Handler, go_on: Callable[[], bool]) -> Spell:
        """Try what is due, in order, while ``go_on()``; raises ``SiteError`` for the database."""
        tried = 0
        while tried < LONGEST:
            with self._engine.connect() as connection:
                page = rows.waiting(connection, repository, self._clock())
            if not page:
                return Spell(tried)
            for row in page:
                if not go_on():
                    return Spell(tried)
                if row.next_at is not None and row.next_at > self._clock():
                    return Spell(tried, row.next_at)
                fate = self._try(repository, row, handler)
                tried += 1
                if fate is None:
                    break  # the row is not as it was read: read again
                if fate.pauses_lane:
                    return Spell(tried, fate.next_at)
        return Spell(tried, more=True)

    def _try(self, repository: str, row: Waiting, handler: Handler) -> Fate | None:
        """One try; None if the delivery was not to be had."""
        if row.attempts >= ATTEMPTS:  # each ended without a word
            sentence = f"the process that handled it was ended {row.attempts} times"
            fate = Fate(FAILED, sentence, row.attempts)
            return fate if self._end(row, row.attempts, fate) else None
        if not self._writer.submit(Begin(row.number, row.attempts)):
            return None
        attempts = row.attempts + 1
        try:
            reason = handler(repository, json.loads(row.body))
            fate = tries.after_success(reason, attempts)
        except Exception as error:  # the worker's edge: a hint must not end the worker
            fate = self._after_error(row, error, attempts)
        if fate.state != tries.RECEIVED:
            self._troubles.pop(row.number, None)
        return fate if self._end(row, attempts, fate) else None

    def _after_error(self, row: Waiting, error: Exception, attempts: int) -> Fate:
        now = self._clock()
        trouble = self._trouble(row.number, now) if tries.is_transient(error) else None
        fate = tries.after_error(error, attempts, trouble, now)
        about = {"delivery": row.id, "attempts": attempts, "state": fate.state}
        if tries.is_defect(error):
            log.error("a delivery failed by a defect of ours", exc_info=error, extra=about)
        else:
            log.warning("a delivery could not be handled: %s", fate.reason, extra=about)
        return fate

    def _trouble(self, number: int, now: datetime) -> Trouble:
        """Trouble in the world, one try later. Kept in memory: a new process counts anew."""
        if len(self._troubles) > _MOST_TROUBLES:
            self._troubles.clear()
        known = self._troubles.get(number)
        made = Trouble(known.since, known.tries + 1) if known else Trouble(now)
        self._troubles[number] = made
        return made

    def _end(self, row: Waiting, attempts: int, fate: Fate) -> bool:
        """Write the fate down; a database that is away for a moment costs no second try."""
        order = End(row.number, attempts, fate, self._clock())
        for time_left in reversed(range(_TIMES_TO_END)):
            try:
                return bool(self._writer.submit(order))
            except SiteError:
                if not time_left:
                    raise
                time.sleep(tries.SHORTEST_SECONDS)
        return False
