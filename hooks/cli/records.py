"""What the operator's commands read straight from the database."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from hooks.config import Settings
from hooks.db import Database
from hooks.db.tables import Base, Deployment


def _open(settings: Settings) -> Database:
    database = Database(settings.database)
    database.check()
    return database


def _as_rows(settings: Settings, query: Any, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    with _open(settings).session() as session:
        found: list[Base] = list(session.scalars(query))
    return [{name: getattr(row, name) for name in columns} for row in found]


def deployment_rows(settings: Settings) -> list[dict[str, Any]]:
    """Each workflow at each site."""
    columns = ("workflow", "site", "state", "active", "commit", "message", "updated_at")
    return _as_rows(settings, select(Deployment).order_by(Deployment.id), columns)
