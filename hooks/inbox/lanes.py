"""Lanes: a thread for each repository that has something waiting, as long as it has.

Order holds within a repository; repositories do not wait for each other. Of all processes on one
database one is in a lane at a time: a lock says so that its death sets free.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from sqlalchemy.exc import SQLAlchemyError

from ci.errors import WaasError
from hooks.inbox import tries
from hooks.inbox.spells import Handler, Spell, Spells

log = logging.getLogger(__name__)

AT_ONCE = 8  # lanes, each a thread
POLL_SECONDS = 0.4  # what other processes accepted or want again is seen after that
LAST_SECONDS = 5.0  # that a stop waits for tries that go on

Due = Callable[[], list[str]]


class Locks:
    """The part of ``hooks.engine.locks`` that this needs, for lanes."""

    def __init__(self, take: Callable[[str], bool], release: Callable[[str], None]) -> None:
        self._take, self._release = take, release

    def take(self, repository: str) -> bool:
        """Whether the lane is ours now; False as well when that cannot be asked."""
        try:
            return self._take(f"lane-{repository}")
        except (SQLAlchemyError, OSError) as error:
            log.warning("the lane of %r cannot be taken: %s", repository, error)
            return False

    def release(self, repository: str) -> None:
        """Let others have it. A lock whose session is gone is free already."""
        with suppress(SQLAlchemyError, OSError):
            self._release(f"lane-{repository}")


class Lanes:
    """Which lanes have something to do, which are at it, and which pause."""

    def __init__(
        self, spells: Spells, due: Due, locks: Callable[[], Locks], clock: Callable[[], datetime]
    ) -> None:
        self._spells, self._due, self._make_locks, self._clock = spells, due, locks, clock
        self._locks: Locks | None = None
        self._mutex = threading.Lock()
        self._ended = threading.Condition(self._mutex)
        self._wanted: dict[str, None] = {}  # in the sequence in which they came
        self._active: set[str] = set()
        self._pauses: dict[str, float] = {}  # until when, by the monotonic clock
        self._failures: dict[str, int] = {}  # spells that the database ended
        self._news = threading.Event()
        self._stop = threading.Event()

    def wake(self, repository: str) -> None:
        """There is something new in a lane."""
        with self._mutex:
            self._wanted[repository] = None
        self._news.set()

    def run(self, handler: Handler) -> None:
        """Keep the lanes going until ``stop``."""
        look_at = 0.0
        while not self._stop.is_set():
            if time.monotonic() >= look_at:
                self._look()
                look_at = time.monotonic() + POLL_SECONDS
            for repository in self._take_some():
                name = f"lane {repository}"
                threading.Thread(
                    target=self._in_lane, args=(repository, handler), name=name, daemon=True
                ).start()
            self._news.wait(max(0.0, look_at - time.monotonic()))
            self._news.clear()

    def once(self, handler: Handler) -> int:
        """Try all that is due in the calling thread; how many were tried."""
        tried = 0
        for repository in self._due():
            if self._take(repository):
                try:
                    tried += self._spell(repository, handler).tried
                finally:
                    self._leave(repository)
        return tried

    def stop(self) -> None:
        """Let ``run`` return; waits a moment for the tries that go on."""
        self._stop.set()
        self._news.set()
        with self._mutex:
            self._ended.wait_for(lambda: not self._active, LAST_SECONDS)

    def _look(self) -> None:
        try:
            due = self._due()
        except SQLAlchemyError as error:
            log.warning("the inbox cannot be read: %s", tries.describe(error))
            return
        with self._mutex:
            self._wanted |= dict.fromkeys(due)

    def _take_some(self) -> list[str]:
        """Lanes to go into now, each taken. One that is at work stays wanted; one that pauses, or
        that another process is in, is found again by the next look.
        """
        taken: list[str] = []
        with self._mutex:
            free = AT_ONCE - len(self._active)
            chosen = [name for name in self._wanted if name not in self._active]
        for name in chosen:
            if len(taken) >= free:
                break
            with self._mutex:
                self._wanted.pop(name, None)
                pausing = self._pauses.get(name, 0.0) > time.monotonic()
            if not pausing and self._take(name):
                taken.append(name)
        return taken

    def _take(self, repository: str) -> bool:
        with self._mutex:
            if repository in self._active or self._stop.is_set():
                return False
            self._active.add(repository)
            self._locks = self._locks or self._make_locks()
        if self._locks.take(repository):
            return True
        with self._mutex:
            self._active.discard(repository)
        return False

    def _leave(self, repository: str) -> None:
        if self._locks is not None:
            self._locks.release(repository)
        with self._mutex:
            self._active.discard(repository)
            self._ended.notify_all()
        self._news.set()

    def _spell(self, repository: str, handler: Handler) -> Spell:
        def go_on() -> bool:
            ours = self._locks is not None and self._locks.take(repository)
            return ours and not self._stop.is_set()

        return self._spells.spell(repository, handler, go_on)

    def _in_lane(self, repository: str, handler: Handler) -> None:
        seconds, more = 0.0, False
        try:
            spell = self._spell(repository, handler)
            more = spell.more
            if spell.paused_until is not None:
                seconds = (spell.paused_until - self._clock()).total_seconds()
            self._failures.pop(repository, None)
        except (WaasError, SQLAlchemyError, OSError) as error:
            seconds = self._after_failure(repository)
            log.warning("the lane of %r pauses: %s", repository, tries.describe(error))
        except Exception:  # the thread's edge: the lane must be left, and taken up again
            seconds = self._after_failure(repository)
            log.exception("the lane of %r pauses for a defect of ours", repository)
        finally:
            with self._mutex:
                self._pauses[repository] = time.monotonic() + seconds
                self._wanted |= {repository: None} if more else {}
            self._leave(repository)

    def _after_failure(self, repository: str) -> float:
        """Seconds to pause when the database, or this program, failed around a try."""
        failures = self._failures[repository] = self._failures.get(repository, 0) + 1
        return tries.pause(failures).total_seconds()
