"""A database, an inbox on it, and a clock that goes when it is told to."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from hooks.db import Database
from hooks.db.tables import Delivery
from hooks.inbox import Inbox


class Clock:
    """Says the same until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2025, 3, 1, 12)

    def __call__(self) -> datetime:
        return self.now

    def go_on(self, **much: float) -> None:
        self.now += timedelta(**much)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with all tables, to be copied: making them takes longer than most tests."""
    file = tmp_path_factory.mktemp("empty") / "waas.db"
    made = Database(f"sqlite:///{file}")
    made.migrate()
    made.engine.dispose()
    return file


@pytest.fixture
def database(tmp_path: Path, empty_database: Path) -> Database:
    shutil.copyfile(empty_database, tmp_path / "waas.db")
    return Database(f"sqlite:///{tmp_path}/waas.db")


@pytest.fixture
def inbox(database: Database, clock: Clock) -> Inbox:
    return Inbox(database, clock=clock)


@pytest.fixture
def delivery(database: Database) -> Callable[[str], Delivery]:
    """The row of a delivery: ``delivery(id)``."""

    def read(name: str) -> Delivery:
        with database.session() as session:
            return session.query(Delivery).filter_by(id=name).one()

    return read
