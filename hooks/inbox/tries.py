"""What becomes of a delivery after a try: pure, from the error to the fate.

A hint that fails must not hold up those after it, since what counts is the state of the forge, and
the next hint brings that to light as well. So only a forge that cannot be reached (a transient
``SiteError``) pauses the whole lane, because every other delivery would meet the same; after any
other error the delivery steps aside until its next try, and the others go ahead.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from ci.errors import SiteError, WaasError

RECEIVED, HANDLED, IGNORED, FAILED = STATES = ("RECEIVED", "HANDLED", "IGNORED", "FAILED")

ATTEMPTS = 5
SHORTEST_SECONDS, LONGEST_SECONDS = 0.5, 60.0
OUTAGE = timedelta(days=1)  # for so long, trouble in the world does not count as an attempt
REASON_CHARACTERS = 4_000


@dataclass(frozen=True, slots=True)
class Fate:
    """The columns of a delivery after a try; ``pauses_lane``: those after it wait too."""

    state: str
    reason: str = ""
    attempts: int = 0
    next_at: datetime | None = None
    pauses_lane: bool = False


@dataclass(frozen=True, slots=True)
class Trouble:
    """Tries of a delivery that failed for the world's sake: since when, and how many."""

    since: datetime
    tries: int = 1


def pause(tries: int) -> timedelta:
    """How long to wait after so many tries: 0.5 s, doubling up to 60 s, and never in step."""
    ceiling = min(LONGEST_SECONDS, 2 * SHORTEST_SECONDS * 2 ** min(tries - 1, 10))
    return timedelta(seconds=random.uniform(ceiling / 2, ceiling))  # noqa: S311 no secret


def is_transient(error: Exception) -> bool:
    """Whether the same try may succeed later with nothing changed here."""
    if isinstance(error, WaasError):
        return isinstance(error, SiteError) and error.transient
    return isinstance(error, OSError | SQLAlchemyError)


def is_defect(error: Exception) -> bool:
    """Whether the program is to blame, and its log should say where."""
    return not isinstance(error, WaasError | OSError | SQLAlchemyError)


def after_success(reason: str, attempts: int) -> Fate:
    """Handled, or ignored for a reason."""
    return Fate(IGNORED if reason else HANDLED, clean(reason), attempts)


def after_error(error: Exception, attempts: int, trouble: Trouble | None, now: datetime) -> Fate:
    """The fate after a try that failed.

    ``attempts`` counts this try; ``trouble`` is there if the error is transient.
    """
    reason = describe(error)
    if trouble is not None and now - trouble.since < OUTAGE:
        lane = isinstance(error, SiteError)
        # an attempt of 1 marks one that stepped aside (``rows.waiting``)
        left = attempts - 1 if lane else max(1, attempts - 1)
        return Fate(RECEIVED, reason, left, now + pause(trouble.tries), pauses_lane=lane)
    if attempts >= ATTEMPTS:
        return Fate(FAILED, reason, attempts)
    return Fate(RECEIVED, reason, attempts, now + pause(attempts))


def describe(error: Exception) -> str:
    """The reason for people; a defect of ours has its kind before it."""
    if isinstance(error, WaasError):
        return clean(str(error))
    said = getattr(error, "orig", None) or error  # of the database's: without statement and values
    return clean(f"{type(error).__name__}: {said}")


def clean(text: str) -> str:
    """Text that every database takes: no NUL, nothing that is not UTF-8, not too long."""
    plain = text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")
    if len(plain) <= REASON_CHARACTERS:
        return plain
    return f"{plain[:REASON_CHARACTERS]}… ({len(plain)} characters)"
