"""Builds over a real database, with images that are counted and an engine that is a list."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ci.target import Target
from hooks.builds.records import BuildRecords
from hooks.builds.service import Builds
from hooks.builds.spec import BuildSpec
from hooks.db import Database
from hooks.journal import Journal


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = Database(f"sqlite:///{tmp_path}/waas.db")
    made.migrate()
    return made


@pytest.fixture
def images(fake_images: Any) -> Any:
    return fake_images


@pytest.fixture
def engine(build_engine: Any) -> Any:
    return build_engine


@pytest.fixture
def records(database: Database) -> BuildRecords:
    return BuildRecords(database, Journal(database))


@pytest.fixture
def builds(records: BuildRecords, engine: Any, images: Any, fake_requests: Any) -> Builds:
    return Builds(records, engine, lambda: images, fake_requests)


@pytest.fixture
def spec() -> Callable[..., BuildSpec]:
    def make(step: str = "solve", *, scope: str = "main", **target: str) -> BuildSpec:
        return BuildSpec("rom", step, "c" * 40, "d" * 40, Target(**target), scope, "alpha")

    return make
