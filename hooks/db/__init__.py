"""The application's database: tables, sessions and migrations."""

from hooks.db.database import Database

__all__ = ["Database"]
