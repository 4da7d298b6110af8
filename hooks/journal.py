"""The log of an execution, a build or a deployment, as its users read it."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite

from hooks.db import Database
from hooks.db.tables import LogLine

DEBUG, INFO, WARNING, ERROR = 1, 2, 4, 8
LEVELS = {DEBUG: "DEBUG", INFO: "INFO", WARNING: "WARN", ERROR: "ERROR"}
DEFAULT_LEVELS = INFO | WARNING | ERROR
LONGEST_LINE = 8_000  # characters


class Journal:
    """Lines by subject (``execution:<id>``, ``deployment:<id>`` …)."""

    def __init__(self, database: Database) -> None:
        self._database = database
        is_sqlite = database.engine.dialect.name == "sqlite"
        self._insert = sqlite.insert if is_sqlite else postgresql.insert

    def write(self, subject: str, key: str, text: str, level: int = INFO) -> None:
        """Add a line, or many; the same key adds nothing a second time."""
        lines = text.splitlines() or [""]
        self.write_lines(subject, ((f"{key}#{i}", line, level) for i, line in enumerate(lines)))

    def write_lines(self, subject: str, lines: Iterable[tuple[str, str, int]]) -> None:
        """Add lines (key, text, level) in one transaction; a known key adds nothing."""
        rows = [
            {
                "subject": subject,
                "key": key[:300],
                "level": level,
                "content": line[:LONGEST_LINE].replace("\0", "\N{REPLACEMENT CHARACTER}"),
            }
            for key, line, level in lines
        ]
        if rows:
            with self._database.session() as session:
                session.execute(self._insert(LogLine).on_conflict_do_nothing(), rows)

    def read(
        self, subject: str, *, start: int = 0, size: int = -1, levels: int = 0
    ) -> tuple[list[LogLine], int]:
        """Lines from position ``start`` on, at most ``size`` (−1: all), and how many there are.

        ``levels`` is a bit mask of levels; 0 stands for all but debug.
        """
        wanted = levels or DEFAULT_LEVELS
        condition = (LogLine.subject == subject) & (LogLine.level.op("&")(wanted) != 0)
        query = select(LogLine).where(condition).order_by(LogLine.number).offset(start)
        with self._database.session() as session:
            total = session.scalar(select(func.count()).select_from(LogLine).where(condition)) or 0
            found = session.scalars(query.limit(size if size >= 0 else 10_000))
            return list(found), total

    def after(self, subject: str, number: int, *, size: int = 1_000) -> list[LogLine]:
        """The lines of all levels that follow the line ``number`` (0: from the first on).

        For readers that come again and again: it costs the same however long the log is.
        """
        query = (
            select(LogLine)
            .where(LogLine.subject == subject, LogLine.number > number)
            .order_by(LogLine.number)
            .limit(size)
        )
        with self._database.session() as session:
            return list(session.scalars(query))
