"""What was last known of forges: how far their lists were read, and where main is."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from hooks.db import Database
from hooks.db.tables import ForgeMark
from hooks.forges.seams import Forge

_MAIN = "main"


class Marks:
    """Small texts by repository and name."""

    def __init__(self, database: Database) -> None:
        self._database = database
        is_sqlite = database.engine.dialect.name == "sqlite"
        self._insert = sqlite.insert if is_sqlite else postgresql.insert

    def get(self, repository: str, name: str) -> str:
        """The text; empty if there is none."""
        with self._database.session() as session:
            row = session.get(ForgeMark, (repository, name))
            return row.value if row else ""

    def put(self, repository: str, name: str, value: str) -> None:
        """Keep a text in place of the one before."""
        statement = self._insert(ForgeMark).values(repository=repository, name=name, value=value)
        key = [ForgeMark.repository, ForgeMark.name]
        with self._database.session() as session:
            session.execute(
                statement.on_conflict_do_update(index_elements=key, set_={"value": value})
            )

    def named(self, repository: str, prefix: str) -> dict[str, str]:
        """The texts whose names begin so."""
        query = select(ForgeMark).where(
            ForgeMark.repository == repository, ForgeMark.name.startswith(prefix, autoescape=True)
        )
        with self._database.session() as session:
            return {row.name: row.value for row in session.scalars(query)}

    def drop(self, repository: str, name: str) -> None:
        """Forget a text, if there is one."""
        with self._database.session() as session:
            session.execute(
                delete(ForgeMark).where(ForgeMark.repository == repository, ForgeMark.name == name)
            )


class Mains:
    """The commit that main is at, as the dispatcher last saw it: nobody else asks the forge."""

    def __init__(self, forges: Mapping[str, Forge], marks: Marks) -> None:
        self._forges, self._marks = forges, marks

    def of(self, repository: str) -> str:
        """The commit; empty if there is no main yet. Raises ``SiteError`` at the very first."""
        return self._marks.get(repository, _MAIN) or self._forges[repository].look().main

    def saw(self, repository: str, commit: str) -> None:
        """Main is at this commit."""
        if self._marks.get(repository, _MAIN) != commit:
            self._marks.put(repository, _MAIN, commit)
