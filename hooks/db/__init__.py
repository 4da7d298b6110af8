"""The application's database: tables, sessions and migrations."""

from hooks.db.database import AWAY, Database, open_engine, told

__all__ = ["AWAY", "Database", "open_engine", "told"]
