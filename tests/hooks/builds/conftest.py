"""Builds over a real database, with images that are files and an engine that is a list."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from builder.process import CancelledError
from builder.request import Phase
from ci.errors import EntryError, SiteError
from ci.target import Target
from hooks.builds.records import BuildRecords
from hooks.builds.service import FLOW, Builds
from hooks.builds.spec import BuildSpec
from hooks.db import Database
from hooks.journal import Journal


def no_act(_request: Any, _progress: Any, _cancelled: Any) -> None:
    """A build that takes no time."""


@dataclass
class FakeImages:
    """As the image service: by key and scope, each made once; ``act`` is what a build does."""

    folder: Path
    act: Callable[..., None] = no_act
    made: list[str] = field(default_factory=list)
    away: str = ""

    def __post_init__(self) -> None:
        self.there: dict[tuple[str, str], Any] = {}
        self.store = SimpleNamespace(find=lambda key, scope: self.there.get((key, scope)))
        self._lock = threading.Lock()

    def key(self, request: BuildSpec) -> str:
        if request.step == "wrong":
            raise EntryError("there is no package 'nunpy'", path="w/wrong/eflows4hpc.yaml", line=2)
        text = f"{request.workflow}/{request.step} {request.commit} {request.target}"
        return hashlib.sha256(text.encode()).hexdigest()

    def plan(self, request: BuildSpec) -> Any:
        if self.away:
            raise SiteError(self.away, transient=True)
        key = self.key(request)
        return SimpleNamespace(key=key, image=self.there.get((key, request.scope)))

    def ensure(self, request, progress, *, cancelled, force):
        progress(Phase.PENDING, "")
        key = self.key(request)
        with self._lock:  # as the store's lock of the key
            found = self.there.get((key, request.scope))
            if found is None or force:
                progress(Phase.STARTED, key)
                self.act(request, progress, cancelled)
                if cancelled():
                    raise CancelledError
                self.made.append(key)
                found = self.publish(key, request.scope)
        progress(Phase.FINISHED, key)
        return found

    def publish(self, key: str, scope: str) -> Any:
        created = datetime.now(UTC).isoformat(timespec="microseconds")
        digest = f"sha256:{len(self.made):064d}"
        image = SimpleNamespace(key=key, digest=digest, scope=scope, created=created)
        self.there[key, scope] = image
        return image


class FakeRequests:
    """A spec is its own request."""

    def of(self, spec: BuildSpec) -> BuildSpec:
        return spec


class FakeEngine:
    """As the real one: an id runs once; the lowest priority first, the oldest of equals."""

    def __init__(self) -> None:
        self.queue: dict[str, tuple[int, dict[str, Any]]] = {}
        self.over: set[str] = set()
        self.cancelled: list[str] = []

    def start(self, flow, payload, *, id, priority=None):
        assert flow == FLOW
        self.queue.setdefault(id, (priority, payload))

    def cancel(self, id):
        self.cancelled.append(id)

    def ended(self, id):
        return id in self.over

    def run(self, builds: Builds) -> list[str]:
        """Run what is queued; the ids in their order."""
        order = []
        while waiting := [i for i in self.queue if i not in self.over]:
            name = min(waiting, key=lambda i: self.queue[i][0])
            build = self.queue[name][1]["build"]
            try:
                builds.make(build, name)
            except EntryError as error:
                builds.fail(build, str(error))
            self.over.add(name)
            order.append(name)
        return order


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = Database(f"sqlite:///{tmp_path}/waas.db")
    made.migrate()
    return made


@pytest.fixture
def images(tmp_path: Path) -> FakeImages:
    return FakeImages(tmp_path)


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def records(database: Database) -> BuildRecords:
    return BuildRecords(database, Journal(database))


@pytest.fixture
def builds(records: BuildRecords, engine: FakeEngine, images: FakeImages) -> Builds:
    return Builds(records, engine, lambda: images, FakeRequests())


@pytest.fixture
def spec() -> Callable[..., BuildSpec]:
    def make(step: str = "solve", *, scope: str = "main", **target: str) -> BuildSpec:
        return BuildSpec("rom", step, "c" * 40, "d" * 40, Target(**target), scope, "alpha")

    return make
