"""Open the database and give sessions.

SQLite is the embedded default: write-ahead log once per file, foreign keys on, a busy time-out
because git hooks, the web application and workers write from their own processes. The file is
0600: whoever can write it can make the engine run code.

PostgreSQL may go away and come back: connections are tried before they are used, and one to a
machine that fell silent is given up.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, exc, inspect, text
from sqlalchemy.engine import ExceptionContext, make_url
from sqlalchemy.orm import Session, sessionmaker

from ci.errors import SettingsError, SiteError

MIGRATIONS = Path(__file__).parent / "migrations"
NEWEST = "0004"  # of them; to ask alembic takes 0.2 s at the start of every command
AWAY = (
    exc.OperationalError,
    exc.InterfaceError,
    exc.TimeoutError,
)  # the database is away, or too busy
# unless the URL says otherwise; seconds, the last in milliseconds
# https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
_PATIENCE = {
    "connect_timeout": "10",
    "keepalives_idle": "15",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}


class Database:
    """Sessions on one database URL. Raises ``SettingsError`` for one that cannot be used."""

    def __init__(self, url: str) -> None:
        read = _read(url)
        is_file = read.drivername == "sqlite"
        self.url = url if is_file else read.render_as_string(hide_password=False)
        self._shown = read.set(query={}).render_as_string(hide_password=True)
        self._protect_file()
        self.engine = open_engine(self.url)
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)

    def _protect_file(self) -> None:
        name = make_url(self.url).database
        if not self.url.startswith("sqlite") or not name or name == ":memory:":
            return
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(name, os.O_CREAT | os.O_EXCL, 0o600))
        # never opened and closed once it is there: the locks of our other connections would go,
        # https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_
        Path(name).chmod(0o600)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session whose work is one transaction: committed at the end, undone on an error."""
        with self._sessions.begin() as session:
            yield session

    def migrate(self) -> None:
        """Bring the tables to the newest form, keeping what is in them. Idempotent.

        Needs the right to alter tables. Raises ``SettingsError`` if they are of a newer program.
        """
        from alembic import command
        from alembic.config import Config

        if (found := self._version()) > NEWEST:
            raise self._too_new(found)
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["engine"] = self.engine
        command.upgrade(config, "head")

    def check(self) -> None:
        """Raise ``SettingsError`` unless the tables are there, in the form of this program."""
        found = self._version()
        if not found:
            raise SettingsError(
                f"the database {self._shown} has no tables of ours",
                hint="run `waas init` on the service home first",
            )
        if found > NEWEST:
            raise self._too_new(found)
        if found < NEWEST:
            raise SettingsError(
                f"the database {self._shown} is of an older version ({found}, not {NEWEST})",
                hint="stop the service, make a backup, and run `waas init HOME` again: it upgrades "
                "the database and keeps what is there",
            )

    def _version(self) -> str:
        """The newest migration that was made (``0001`` …); nothing for a database without."""
        try:
            if not inspect(self.engine).has_table("alembic_version"):
                return ""
            with self.engine.connect() as connection:
                found = connection.execute(text("select version_num from alembic_version")).scalar()
        except AWAY as error:
            message = f"the database {self._shown} cannot be used: {told(error)}"
            raise SiteError(message, transient=True) from error
        return str(found or "")

    def _too_new(self, found: str) -> SettingsError:
        return SettingsError(
            f"the database {self._shown} is of a newer version ({found}, not {NEWEST})",
            hint="use the version of hpcwaas that upgraded it, or restore a backup from before",
        )

    def ping(self) -> None:
        """One round trip; raises SQLAlchemy's error if the database is away."""
        with self.engine.connect() as connection:
            connection.execute(text("select 1"))


def open_engine(url: str, **options: Any) -> Engine:
    """SQLAlchemy's engine. Raises ``SettingsError`` if the database's driver is not there."""
    if url.startswith("sqlite"):
        engine = create_engine(url, **options)
        event.listen(engine, "connect", _sqlite_pragmas)
        return engine
    try:
        engine = create_engine(url, pool_pre_ping=True, **options)
    except ImportError as error:
        raise SettingsError(
            "the database is PostgreSQL, and its driver psycopg cannot be loaded",
            hint="pip install 'hpcwaas[postgresql]'",
        ) from error
    event.listen(engine, "handle_error", _no_connection)
    return engine


def told(error: Exception) -> str:
    """The first line of what the database said, without the statement and the values in it."""
    said = str(getattr(error, "orig", None) or error).strip() or type(error).__name__
    return said.split("\n")[0][:300]


def _read(url: str) -> URL:
    """The URL with all that goes without saying; a wrong one is not shown: it has a password."""
    try:
        read = make_url(url)
    except (exc.ArgumentError, ValueError):
        raise _wrong("this is no URL") from None
    if read.drivername == "sqlite":
        return read
    if read.drivername not in {"postgresql", "postgresql+psycopg"}:
        raise _wrong(f"{read.drivername!r} is neither sqlite nor postgresql")
    if not read.database:
        raise _wrong("the name of the database is missing in the URL")
    # named, since versions of SQLAlchemy differ in the driver that they take by themselves
    read = read.set(drivername="postgresql+psycopg")
    return read.update_query_dict({**_PATIENCE, **read.query})


def _wrong(what: str) -> SettingsError:
    forms = "sqlite:///state/waas.db or postgresql://USER@HOST/NAME"
    return SettingsError(f"database: {what}", hint=f"the forms are {forms}")


def _no_connection(context: ExceptionContext) -> None:
    """Count what keeps a connection from being made as the loss of one.

    The flows' library looks at that to see what is worth another try; of the words that psycopg
    has for it, it knows but some.
    """
    if context.connection is None:
        context.is_disconnect = True


def _sqlite_pragmas(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "foreign_keys=ON", "busy_timeout=30000", "synchronous=FULL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
