"""The index file: which images of which software there are. A cache of the folders, no more.

SQLite in WAL mode (https://www.sqlite.org/wal.html): readers never wait. Who writes holds the
store's lock. The file is in a folder of its own, since SQLite makes and removes files beside it,
and the time of the store's folder must change with images only.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

_VERSION = 1  # raise it when the tables change: an index of another version is made anew
# Images of one software lie side by side, with their metadata, so that all of them are one or two
# pages to read; these are large, since a row of more than a quarter of a page is not in it.
_PAGE_BYTES = 16384
_TABLES = """
CREATE TABLE images (
  scope TEXT NOT NULL, key TEXT NOT NULL, software_key TEXT NOT NULL, size INTEGER NOT NULL,
  metadata TEXT NOT NULL, PRIMARY KEY (software_key, scope, key)
) WITHOUT ROWID;
CREATE UNIQUE INDEX images_by_name ON images (scope, key);
CREATE TABLE scopes (
  scope TEXT PRIMARY KEY, state TEXT NOT NULL, noted INTEGER NOT NULL, size INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TRIGGER image_put AFTER INSERT ON images BEGIN
  INSERT INTO scopes SELECT NEW.scope, '', 0, 0
    WHERE NOT EXISTS (SELECT 1 FROM scopes WHERE scope = NEW.scope);
  UPDATE scopes SET size = size + NEW.size WHERE scope = NEW.scope;
END;
CREATE TRIGGER image_dropped AFTER DELETE ON images BEGIN
  UPDATE scopes SET size = size - OLD.size WHERE scope = OLD.scope;
END;
"""
_SETTINGS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA recursive_triggers = ON",  # else a row that is replaced is not seen to go
    "PRAGMA journal_size_limit = 16777216",
)
_NOTE_STATE = """
INSERT INTO scopes VALUES (?, ?, ?, 0)
ON CONFLICT (scope) DO UPDATE SET state = excluded.state, noted = excluded.noted
"""
_WAIT_SECONDS = 30.0
# two changes within one tick of the kernel's clock give a folder the same time (as in git, see
# its Documentation/technical/racy-git.txt); ticks are 10 ms at most
_TICK_NS = 50_000_000
_BROKEN = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_inherited: list[sqlite3.Connection] = []  # of our parent: SQLite forbids even to close them

Row = tuple[str, str, str, int, str]  # scope, key, software key, size in bytes, metadata


class Index:
    """The index file. All methods but ``current`` and ``forget`` raise ``sqlite3.Error``."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "images.db"
        self._guard = threading.RLock()
        self._open: sqlite3.Connection | None = None
        self._identity = (0, 0)

    def current(self) -> bool:
        """Say whether the file is open in this process, and still the one that others see."""
        try:
            inode = self.file.stat().st_ino
        except OSError:
            return False
        return self._open is not None and self._identity == (os.getpid(), inode)

    def open(self) -> None:
        """Open the file, made if there is none of this version. The caller holds the lock."""
        with self._guard:
            self._close()
            if not self.file.exists():
                self._remove_files()  # a log of a file that is gone would be played back
            self.file.parent.mkdir(exist_ok=True)
            try:
                self._connect()
            except sqlite3.DatabaseError as error:
                if not broken(error):
                    raise
                self._remove_files()
                self._connect()

    def forget(self) -> None:
        """Remove the file, unless another has put a new one there. The caller holds the lock."""
        with self._guard:
            ours = self.current()
            self._close()
            if ours:
                self._remove_files()

    def _connect(self) -> None:
        made = sqlite3.connect(
            self.file, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            made.execute(f"PRAGMA page_size = {_PAGE_BYTES}")  # of a file that is made now
            for setting in _SETTINGS:
                made.execute(setting)
            version = made.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                made.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {_VERSION}; COMMIT;")
            elif version != _VERSION:
                raise _wrong_version()
            self._identity = (os.getpid(), self.file.stat().st_ino)
        except sqlite3.Error:
            made.close()
            raise
        self._open = made

    def _close(self) -> None:
        if self._open is not None and self._identity[0] != os.getpid():
            _inherited.append(self._open)
        elif self._open is not None:
            with suppress(sqlite3.Error):
                self._open.close()
        self._open = None

    def _remove_files(self) -> None:
        for suffix in ("", "-wal", "-shm", "-journal"):
            self.file.with_name(self.file.name + suffix).unlink(missing_ok=True)

    def _ask(self, sql: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        with self._guard:
            if self._open is None:
                raise sqlite3.OperationalError("the index is not open")
            return self._open.execute(sql, values).fetchall()

    def candidates(self, software_key: str, scopes: Sequence[str]) -> list[tuple[str, str, str]]:
        """Return scope, key and metadata of a software's images, in the order of the scopes."""
        marks = ", ".join("?" * len(scopes))
        sql = (
            f"SELECT scope, key, metadata FROM images WHERE software_key = ? AND scope IN ({marks})"  # noqa: S608 - marks are question marks
        )
        asked = self._ask(sql, (software_key, *scopes))
        found = [(str(scope), str(key), str(text)) for scope, key, text in asked]
        return sorted(found, key=lambda row: (scopes.index(row[0]), row[1]))

    def keys(self, scope: str) -> set[str]:
        """Return the keys of all images of a scope."""
        return {str(key) for (key,) in self._ask("SELECT key FROM images WHERE scope = ?", [scope])}

    def scopes(self) -> set[str]:
        """Return all scopes that there is anything of."""
        return {str(scope) for (scope,) in self._ask("SELECT scope FROM scopes")}

    def size(self, but: str) -> int:
        """Return the bytes of all images that are not of this scope."""
        sql = "SELECT COALESCE(SUM(size), 0) FROM scopes WHERE scope != ?"
        return int(str(self._ask(sql, [but])[0][0]))

    def agrees(self, scope: str, state: str) -> bool:
        """Say whether rows and folder agreed when the folder was last in this state."""
        found = self._ask("SELECT state, noted FROM scopes WHERE scope = ?", [scope])
        if not found or found[0][0] != state or not state:
            return False
        return int(str(found[0][1])) - int(state.split(maxsplit=1)[0]) > _TICK_NS

    def change(
        self,
        put: Iterable[Row] = (),
        drop: Iterable[tuple[str, str]] = (),
        agreed: Iterable[tuple[str, str]] = (),
        forget: Iterable[str] = (),
    ) -> None:
        """Put and drop rows, note the states at which scopes agree, and forget whole scopes."""
        with self._guard:
            self._ask("BEGIN IMMEDIATE")
            try:
                connection = self._open
                assert connection is not None  # noqa: S101 - _ask has seen it
                connection.executemany("DELETE FROM images WHERE scope = ? AND key = ?", drop)
                connection.executemany("INSERT OR REPLACE INTO images VALUES (?, ?, ?, ?, ?)", put)
                now = time.time_ns()
                states = [(scope, state, now) for scope, state in agreed]
                connection.executemany(_NOTE_STATE, states)
                for scope in forget:
                    self._ask("DELETE FROM images WHERE scope = ?", [scope])
                    self._ask("DELETE FROM scopes WHERE scope = ?", [scope])
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._ask("ROLLBACK")
                raise


def broken(error: sqlite3.Error) -> bool:
    """Say whether an error means that the file itself is damaged, so that it must be made anew."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _BROKEN


def _wrong_version() -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError("an index of another version")
    error.sqlite_errorcode = sqlite3.SQLITE_NOTADB
    return error
