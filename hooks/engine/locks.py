"""Locks that the dead cannot hold.

A session advisory lock on PostgreSQL, ``flock`` beside an SQLite file: the server or the kernel
lets go of it when the process dies, however it dies. A name may hold any characters: on disk it is
written as one that every file system takes.
"""

from __future__ import annotations

import fcntl
import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Protocol
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from ci.errors import SiteError
from hooks.db import open_engine

_LOOK_SECONDS = 0.05
_LONGEST = 120  # characters of a name in a file's name, which may have 255 bytes


class Locks(Protocol):
    """Locks that the dead cannot hold. Taking one that is ours already is free."""

    def take(self, name: str) -> bool:
        """Whether the lock is ours now. Raises ``OSError`` or ``SQLAlchemyError``."""

    def release(self, name: str) -> None:
        """Give it back."""

    def close(self) -> None:
        """Give all back."""


class FileLocks:
    """``flock`` on files beside the SQLite database; only for processes of one machine."""

    def __init__(self, database: str) -> None:
        self._base = database
        self._held: dict[str, IO[str]] = {}

    def take(self, name: str) -> bool:
        """Whether the lock is ours now."""
        if name in self._held:
            return True
        file = open(f"{self._base}.{_as_file(name)}.lock", "a")  # noqa: SIM115 held until release
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return False
        self._held[name] = file
        return True

    def release(self, name: str) -> None:
        """Give it back."""
        self._held.pop(name).close()

    def close(self) -> None:
        """Give all back."""
        for name in list(self._held):
            self.release(name)


def _as_file(name: str) -> str:
    """A name of its own for every name: quoted as in URLs; of a long one the hash."""
    quoted = quote(name, safe="", errors="surrogatepass")
    if len(quoted) <= _LONGEST:
        return quoted
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{quoted[:40]}~{digest}~"


class AdvisoryLocks:
    """PostgreSQL session advisory locks, on a connection of their own; for many threads.

    https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
    """

    def __init__(self, url: str) -> None:
        self._engine = open_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool)
        self._connection: sa.Connection | None = None
        self._held: set[str] = set()
        self._mutex = threading.Lock()  # a connection is for one thread at a time

    def _session(self) -> sa.Connection:
        if self._connection is None or self._connection.closed or self._connection.invalidated:
            self._held.clear()  # they went with their session
            self._connection = self._engine.connect()
        return self._connection

    def _call(self, function: str, name: str) -> bool:
        digest = hashlib.sha256(b"hpcwaas " + name.encode("utf-8", "surrogatepass")).digest()
        statement = sa.text(f"select {function}(:key)")
        key = int.from_bytes(digest[:8], signed=True)
        return bool(self._session().execute(statement, {"key": key}).scalar())

    def take(self, name: str) -> bool:
        """Whether the lock is ours now; one that we held is lost when its session is."""
        with self._mutex:
            if name in self._held and self._alive():
                return True
            if self._call("pg_try_advisory_lock", name):
                self._held.add(name)
            return name in self._held

    def _alive(self) -> bool:
        try:
            self._session().execute(sa.text("select 1"))
        except sa.exc.DBAPIError as error:
            if not error.connection_invalidated:
                raise
            self._held.clear()
        return bool(self._held)

    def release(self, name: str) -> None:
        """Give it back."""
        with self._mutex:
            if name in self._held:
                self._held.discard(name)
                self._call("pg_advisory_unlock", name)

    def close(self) -> None:
        """End the session, and with it all its locks."""
        with self._mutex:
            if self._connection is not None:
                self._connection.close()
            self._connection = None
            self._held.clear()


@contextmanager
def alone(url: str, name: str, *, seconds: float = 0.0, busy: str = "") -> Iterator[None]:
    """Hold a lock of the database meanwhile, among all threads and processes.

    Waits so many seconds for it. Raises a transient ``SiteError`` (``busy``: its words) if
    somebody else has it still.
    """
    locks, until = locks_for(url), time.monotonic() + seconds
    try:
        while not locks.take(name):
            if time.monotonic() >= until:
                raise SiteError(busy or f"{name} is in use", transient=True)
            time.sleep(_LOOK_SECONDS)
        try:
            yield
        finally:
            locks.release(name)
    finally:
        locks.close()


def locks_for(url: str) -> Locks:
    """The kind of lock that goes with a database URL."""
    if url.startswith("sqlite"):
        return FileLocks(make_url(url).database or "")
    return AdvisoryLocks(url)
