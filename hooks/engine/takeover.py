"""Who works, and who takes over from the dead.

Each worker process holds a lock under its executor id for as long as it lives
(``hooks.engine.locks``). A worker that can take another's lock several times running therefore
knows that the other is gone, and recovers its unfinished flows. Two processes with one id would
run the same step twice in parallel: the second refuses to start.

A PostgreSQL that comes back knows nothing of the locks of before. Each worker takes its own again
at once, several times before another can have found it free so often, and looks after others only
while it has its own.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress

from sqlalchemy.exc import SQLAlchemyError

from ci.errors import SettingsError
from hooks.db import told
from hooks.engine.locks import locks_for

log = logging.getLogger(__name__)

PROBE_SECONDS = 1.0
AGAIN_SECONDS = 0.1  # between tries to have our own lock back
_LAST_SECONDS = 5.0
PROBES_BEFORE_TAKEOVER = 2


class Takeover:
    """Holds this worker's lock and watches for dead colleagues."""

    def __init__(
        self,
        url: str,
        executor: str,
        *,
        others: Callable[[], Iterable[str]],
        recover: Callable[[str], None],
    ) -> None:
        self._mine, self._probe = locks_for(url), locks_for(url)
        self._executor = executor
        self._others, self._recover = others, recover
        self._suspects: dict[str, int] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def claim(self, patience_seconds: float = 5.0) -> None:
        """Take our own lock, or refuse to start. A killed predecessor may linger a moment."""
        waited = 0.0
        while not self._mine.take(self._executor):
            if waited >= patience_seconds:
                raise SettingsError(
                    f"a worker named {self._executor!r} is already running on this database",
                    hint="stop it, or give this one another name with --name",
                )
            waited += 0.25
            self._stop.wait(0.25)

    def watch(self) -> None:
        """Start the watching thread."""
        self._thread = threading.Thread(target=self._loop, name="takeover", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the watching thread and give the lock back."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(_LAST_SECONDS)  # it would take the lock again
        with suppress(SQLAlchemyError, OSError):  # a lock whose session is gone is free
            self._mine.close()
            self._probe.close()

    def _loop(self) -> None:
        known = True  # that we hold our own lock
        while not self._stop.wait(PROBE_SECONDS if known else AGAIN_SECONDS):
            try:
                had, known = known, self._mine.take(self._executor)
                if known:
                    self._look_around()
                elif had:
                    log.warning("the lock of this worker was lost, and somebody else has it")
            except (SQLAlchemyError, OSError) as error:
                if known:
                    log.warning("cannot look after other workers: %s", told(error))
                known = False
                self._suspects.clear()  # they may be cut off, and alive

    def _look_around(self) -> None:
        for executor in {e for e in self._others() if e != self._executor}:
            self._look_at(executor)

    def _look_at(self, executor: str) -> None:
        if not self._probe.take(executor):
            self._suspects.pop(executor, None)
            return
        try:
            self._suspects[executor] = self._suspects.get(executor, 0) + 1
            if self._suspects[executor] >= PROBES_BEFORE_TAKEOVER:
                log.warning("taking over the unfinished work of %s", executor)
                self._recover(executor)
                self._suspects.pop(executor)
        finally:
            self._probe.release(executor)
