"""Who works, and who takes over from the dead.

Each worker process holds a lock under its executor id for as long as it lives
(``hooks.engine.locks``). A worker that can take another's lock several times running therefore
knows that the other is gone, and recovers its unfinished flows. Two processes with one id would
run the same step twice in parallel: the second refuses to start.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable

from sqlalchemy.exc import SQLAlchemyError

from ci.errors import SettingsError
from hooks.engine.locks import locks_for

log = logging.getLogger(__name__)

PROBE_SECONDS = 1.0
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
        threading.Thread(target=self._loop, name="takeover", daemon=True).start()

    def stop(self) -> None:
        """End the watching thread and give the lock back."""
        self._stop.set()
        self._mine.release(self._executor)

    def _loop(self) -> None:
        while not self._stop.wait(PROBE_SECONDS):
            try:
                for executor in {e for e in self._others() if e != self._executor}:
                    self._look_at(executor)
            except (SQLAlchemyError, OSError) as error:
                log.warning("cannot look after other workers: %s", error)

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
