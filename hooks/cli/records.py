"""What the operator's commands read straight from the database."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from ci.errors import EntryError
from hooks.config import Settings
from hooks.db import Database
from hooks.db.tables import Base, Delivery, Deployment
from hooks.inbox import Inbox


def _open(settings: Settings) -> Database:
    database = Database(settings.database)
    database.check()
    return database


def _as_rows(settings: Settings, query: Any, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    with _open(settings).session() as session:
        found: list[Base] = list(session.scalars(query))
    return [{name: getattr(row, name) for name in columns} for row in found]


def delivery_rows(settings: Settings, limit: int = 50) -> list[dict[str, Any]]:
    """The newest deliveries, newest first."""
    query = select(Delivery).order_by(Delivery.number.desc()).limit(limit)
    columns = ("id", "source", "repository", "state", "reason", "attempts", "received_at")
    return _as_rows(settings, query, columns)


def deployment_rows(settings: Settings) -> list[dict[str, Any]]:
    """Each workflow at each site."""
    columns = ("workflow", "site", "state", "active", "commit", "message", "updated_at")
    return _as_rows(settings, select(Deployment).order_by(Deployment.id), columns)


def replay_delivery(settings: Settings, name: str) -> None:
    """Handle a delivery once more. Raises ``EntryError`` if there is none of this id."""
    if not Inbox(_open(settings)).replay(name):
        raise EntryError(f"no delivery {name!r} that has been handled", hint="waas deliveries list")
