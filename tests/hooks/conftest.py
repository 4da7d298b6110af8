"""What several folders of tests share: an image service, and an engine that is a list; a desk where
deployments are asked for.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from builder.process import CancelledError
from builder.request import Phase
from ci.errors import EntryError, SiteError
from hooks.builds.service import FLOW, Builds
from hooks.builds.spec import BuildSpec


def no_act(_request: Any, _progress: Any, _cancelled: Any) -> None:
    """A build that takes no time."""


@dataclass
class FakeImages:
    """As the image service: by key and scope, each made once; ``act`` is what a build does."""

    folder: Path | None = None  # for the files of images
    act: Callable[..., None] = no_act
    made: list[str] = field(default_factory=list)
    away: str = ""

    def __post_init__(self) -> None:
        self.there: dict[tuple[str, str], Any] = {}
        self.used: list[str] = []
        self.store = SimpleNamespace(
            find=lambda key, scope: self.there.get((key, scope)),
            used=lambda key, _scope: self.used.append(key),
        )
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
        recipe = SimpleNamespace(trusts_caches=request.step == "spack")
        return SimpleNamespace(key=key, image=self.there.get((key, request.scope)), recipe=recipe)

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
                found = self.publish(key, request.scope, request)
        progress(Phase.FINISHED, key)
        return found

    def publish(self, key: str, scope: str, request: Any = None) -> Any:
        created = datetime.now(UTC).isoformat(timespec="microseconds")
        image = SimpleNamespace(key=key, scope=scope, created=created, here=True, sif=None)
        content = f"SIF {key} {len(self.made)} ".encode() * 1000
        image.digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        if request is not None:
            image.workflow, image.step, image.target = (
                request.workflow,
                request.step,
                request.target,
            )
        if self.folder is not None:
            image.sif = self.folder / f"{scope}-{key}.sif"
            image.sif.write_bytes(content)
        self.there[key, scope] = image
        return image


class FakeRequests:
    """A spec is its own request."""

    def of(self, spec: BuildSpec) -> BuildSpec:
        return spec


class BuildEngine:
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
def fake_images() -> FakeImages:
    return FakeImages()


@pytest.fixture
def build_engine() -> BuildEngine:
    return BuildEngine()


@pytest.fixture
def fake_requests() -> FakeRequests:
    return FakeRequests()


@pytest.fixture(scope="session")
def kept_desk(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from operators_desk import KeptDesk

    return KeptDesk(tmp_path_factory.mktemp("desk"))


@pytest.fixture
def desk(kept_desk: Any) -> Iterator[Any]:
    """``rom`` with two versions at the site ``here``; see ``operators_desk``."""
    yield from kept_desk.open()
