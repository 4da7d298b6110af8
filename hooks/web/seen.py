"""What a caller may see: what comes of a repository that somebody may not read is not there."""

from __future__ import annotations

from typing import Any

from flask import current_app
from sqlalchemy import ColumnElement, false, or_

from hooks.db.tables import Build
from hooks.errors import NotFoundError
from hooks.registries import in_registry
from hooks.web.auth import caller


def _app() -> Any:
    return current_app.extensions["waas"]


def repositories() -> list[str]:
    """The repositories that the caller may read."""
    seen: list[str] = _app().hosting.seen_by(caller().user)
    return seen


def registries() -> list[str]:
    """The registries whose workflows the caller may read."""
    seen = repositories()
    return [pair.name for pair in _app().builds.requests.registries if pair.workflows in seen]


def builds() -> ColumnElement[bool]:
    """What holds of the builds of these."""
    of_each = (in_registry(Build.workflow, name) for name in registries())
    return or_(false(), *of_each)


def the_build(build: str) -> Build:
    """One build. Raises ``NotFoundError``."""
    row: Build = _app().builds.records.get(build)
    pair, _ = _app().builds.requests.registries.split(row.workflow)
    if pair.name not in registries():
        raise NotFoundError(f"there is no build {build!r}")
    return row
