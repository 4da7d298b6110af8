"""Keeping the image store within its limits, without taking what a deployment needs."""

from __future__ import annotations

import logging
import math
import sys
import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from builder.store import Image, ImageStore
from builder.store.gc import collect, plan_gc
from hooks.builder_choice import BuilderChoice
from hooks.db import Database
from hooks.db.tables import Deployment, PullRequest
from hooks.registries import Registries, scope_of

log = logging.getLogger(__name__)

Going = Sequence[tuple[Image, str]]
_GIGABYTE = 1e9
# what was built or answered a request a moment ago is about to be deployed
_RECENT_SECONDS = 3600.0


class Upkeep:
    """What may go from the image store, by the operator's rules."""

    def __init__(
        self,
        database: Database,
        store: ImageStore,
        choice: BuilderChoice,
        registries: Registries | None = None,
    ) -> None:
        self._database, self._store, self._choice = database, store, choice
        self._registries = registries or Registries.single()

    def plan(self, *, keep_days: float | None = None, max_gb: float | None = None) -> Going:
        """The images that may go, each with the reason; nothing is removed."""
        return plan_gc(self._store.list(), **self._rules(keep_days, max_gb))

    def apply(self, *, keep_days: float | None = None, max_gb: float | None = None) -> Going:
        """Remove what may go; one that is taken meanwhile stays."""
        gone = collect(self._store, **self._rules(keep_days, max_gb))
        for image, reason in gone:
            log.info("image removed", extra={"key": image.key, "reason": reason})
        return gone

    def _rules(self, keep_days: float | None, max_gb: float | None) -> dict[str, Any]:
        quota = self._choice.quota_gb or math.inf
        limit = quota if max_gb is None else max_gb
        return {
            "now": time.time(),
            "keep_days": self._choice.keep_days if keep_days is None else keep_days,
            "max_bytes": sys.maxsize if limit == math.inf else int(limit * _GIGABYTE),
            "in_use": self.in_use(),
            "open_scopes": self._open_scopes(),
        }

    def in_use(self) -> set[str]:
        """Keys and digests of what a deployment has or waits for, and of what was just taken."""
        recently = time.time() - _RECENT_SECONDS
        found = {image.key for image in self._store.list() if image.last_used > recently}
        with self._database.session() as session:
            for row in session.scalars(select(Deployment).where(Deployment.state != "REMOVED")):
                found |= set(row.images.values())
                steps = row.manifest.get("steps", {}).values()
                found |= {f"sha256:{step['sha256']}" for step in steps}
        return found

    def _open_scopes(self) -> set[str]:
        with self._database.session() as session:
            query = select(PullRequest).where(PullRequest.state == "OPEN")
            return {
                scope_of(pair, pull.number)
                for pull in session.scalars(query)
                for pair in self._registries.with_workflows(pull.repository)
            }
