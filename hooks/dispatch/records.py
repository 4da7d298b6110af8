"""What is kept of builds: one row an attempt, its log as it goes."""

from __future__ import annotations

import hashlib
from typing import Any

from builder.store import Image
from hooks.db import Database
from hooks.db.tables import Build, now
from hooks.journal import DEBUG, Journal


class BuildRecords:
    """Rows of builds, and their logs in the journal."""

    def __init__(self, database: Database, journal: Journal) -> None:
        self._database, self._journal = database, journal

    def begin(self, build: dict[str, Any]) -> str:
        """A row for this build; the same build has the same row."""
        text = f"{build['scope']} {build['commit']} {build['id']}"
        name = hashlib.sha256(text.encode()).hexdigest()[:16]
        with self._database.session() as session:
            row = session.get(Build, name) or Build(id=name)
            for field in ("workflow", "step", "site", "commit", "scope", "key"):
                setattr(row, field, build[field])
            row.state, row.message, row.finished_at = "PENDING", "", None
            session.add(row)
        return name

    def progress(self, record: str, phase: str, text: str) -> None:
        """A phase was reached, or the build printed a line."""
        with self._database.session() as session:
            row = session.get_one(Build, record)
            changed = row.state != phase
            if changed:
                row.state = phase
            if phase == "FAILED":
                row.message, row.finished_at = text, now()
        if text and not changed:
            key = hashlib.sha256(f"{phase} {text}".encode()).hexdigest()[:24]
            self._journal.write(f"build:{record}", key, text, DEBUG)

    def finish(self, record: str, image: Image, *, reused: bool) -> None:
        """The image is in the store."""
        with self._database.session() as session:
            row = session.get_one(Build, record)
            row.state, row.key, row.digest = "FINISHED", image.key, image.digest
            row.reused, row.finished_at = reused, row.finished_at or now()
