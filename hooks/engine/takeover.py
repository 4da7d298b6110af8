"""Who works, and who takes over from the dead.

Each worker process holds a lock under its executor id for as long as it lives: a session
advisory lock on PostgreSQL, ``flock`` beside an SQLite file. The kernel or the server lets go of
it when the process dies, however it dies. A worker that can take another's lock several times
running therefore knows that the other is gone, and recovers its unfinished flows. Two processes
with one id would run the same step twice in parallel: the second refuses to start.
"""

from __future__ import annotations

import fcntl
import logging
import threading
import zlib
from collections.abc import Callable, Iterable
from typing import IO, Protocol

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from ci.errors import SettingsError

log = logging.getLogger(__name__)

PROBE_SECONDS = 1.0
PROBES_BEFORE_TAKEOVER = 2
_ADVISORY_CLASS = 7741


class Locks(Protocol):
    """Locks that the dead cannot hold."""

    def take(self, executor: str) -> bool:
        """Whether the lock is ours now."""

    def release(self, executor: str) -> None:
        """Give it back."""


class FileLocks:
    """``flock`` on files beside the SQLite database; only for processes of one machine."""

    def __init__(self, database: str) -> None:
        self._base = database
        self._held: dict[str, IO[str]] = {}

    def take(self, executor: str) -> bool:
        """Whether the lock is ours now."""
        if executor in self._held:
            return True
        file = open(f"{self._base}.{executor}.lock", "a")  # noqa: SIM115 held until release
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return False
        self._held[executor] = file
        return True

    def release(self, executor: str) -> None:
        """Give it back."""
        self._held.pop(executor).close()


class AdvisoryLocks:
    """PostgreSQL session advisory locks, on a connection of their own."""

    def __init__(self, url: str) -> None:
        self._engine = sa.create_engine(
            url, isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool
        )
        self._connection: sa.Connection | None = None

    def _session(self) -> sa.Connection:
        if self._connection is None or self._connection.closed or self._connection.invalidated:
            self._connection = self._engine.connect()
        return self._connection

    def _call(self, function: str, executor: str) -> bool:
        key = zlib.crc32(executor.encode()) - 2**31
        statement = sa.text(f"select {function}({_ADVISORY_CLASS}, :key)")
        return bool(self._session().execute(statement, {"key": key}).scalar())

    def take(self, executor: str) -> bool:
        """Whether the lock is ours now."""
        return self._call("pg_try_advisory_lock", executor)

    def release(self, executor: str) -> None:
        """Give it back."""
        self._call("pg_advisory_unlock", executor)


def locks_for(url: str) -> Locks:
    """The kind of lock that goes with a database URL."""
    if url.startswith("sqlite"):
        return FileLocks(make_url(url).database or "")
    return AdvisoryLocks(url)


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
            except (sa.exc.SQLAlchemyError, OSError) as error:
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
