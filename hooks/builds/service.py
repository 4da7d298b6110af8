"""Builds on request: ask for an image, and the attempt at it that goes on is yours too."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from builder.process import CancelledError
from builder.request import BuildRequest, Progress
from builder.store import Image, ImageStore
from ci.errors import WaasError
from hooks.builds.attempt import Attempt
from hooks.builds.records import CANCELLED, FAILED, FINISHED, BuildRecords, spec_of
from hooks.builds.spec import Asker, BuildSpec, Requests
from hooks.db.tables import Build
from hooks.engine import Stopping
from hooks.errors import ConflictError
from hooks.tokens import Caller

if TYPE_CHECKING:
    from builder.plan import ImagePlan

log = logging.getLogger(__name__)

FLOW = "image-build"
LOOK_SECONDS = 1.0  # for what other processes did
_TRIES = 20


class Images(Protocol):
    """What this needs of the image service."""

    @property
    def store(self) -> ImageStore:
        """Where images are kept."""

    def plan(self, request: BuildRequest) -> ImagePlan:
        """What a request comes to."""

    def ensure(
        self,
        request: BuildRequest,
        progress: Progress,
        *,
        cancelled: Callable[[], bool],
        force: bool,
    ) -> Image:
        """The image, built if need be."""


class Engine(Protocol):
    """What this needs of the engine."""

    def start(
        self,
        flow: str,
        payload: dict[str, Any],
        *,
        id: str,  # noqa: A002
        priority: int | None = None,
    ) -> None:
        """Enqueue a flow; the same id is only ever run once."""

    def cancel(self, id: str) -> None:  # noqa: A002
        """Tell a flow that a user wants it to end."""

    def ended(self, id: str) -> bool:  # noqa: A002
        """Whether a flow is known, and nothing more will happen in it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The build that a question led to. ``there``: its image is in the store already."""

    build: str
    there: bool


class Builds:
    """Accepts requests for images, makes them, and tells what came of them."""

    def __init__(
        self,
        records: BuildRecords,
        engine: Engine,
        images: Callable[[], Images],  # transient ``SiteError`` while images cannot be had
        requests: Requests,
    ) -> None:
        self.records, self.requests = records, requests
        self._engine, self._images = engine, images
        self._stopping = threading.Event()
        self._news = threading.Condition()

    def ask(self, spec: BuildSpec, asker: Asker, *, force: bool = False) -> Asked:
        """Want an image; durable when this returns.

        What is in the store is there at once; an attempt that goes on is joined; else one begins.
        Raises ``EntryError`` for what cannot be built, ``SiteError`` while nothing can be.
        """
        images = self._images()
        plan = images.plan(self.requests.of(spec))
        if known := self.records.asked_before(asker, spec, plan.key):
            self._start(known)
            return Asked(known.id, there=known.reused)
        if plan.image is not None and plan.image.here and not force:  # else it is fetched first
            images.store.used(plan.image.key, plan.image.scope)
            return Asked(self.records.found(spec, plan.key, plan.image, asker), there=True)
        for _ in range(_TRIES):
            if joined := self.records.join(plan.key, spec.scope, asker, force=force):
                build, urgent = joined
                if urgent:
                    self._hurry(build, asker)
                return Asked(build, there=False)
            if begun := self.records.begin(spec, plan.key, asker, force=force):
                self._start(self.records.get(begun))
                return Asked(begun, there=False)
        raise ConflictError("builds of this image begin and end without pause", hint="ask again")

    def cancel(self, build: str, caller: Caller) -> bool:
        """End a build, or want it no longer: see ``BuildRecords.cancel``."""
        ended = self.records.cancel(build, caller)
        if ended:
            self._told_to_end([build])
        return ended

    def adopt(self, scope: str, commit: str, flow: str) -> None:
        """A merge's flow wants what goes on for the pull request of the commit that is merged.

        Only what main may take over; without images in reach nothing is, and main builds its own.
        """
        for row in self.records.active_at(scope, commit):
            try:
                recipe = self._images().plan(self.requests.of(spec_of(row))).recipe
            except WaasError as error:
                log.warning("build %s is not taken over: %s", row.id, error)
                continue
            if not recipe.trusts_caches:
                asker = Asker.flow(flow)
                if self.records.join(row.key, scope, asker, force=False):
                    self._hurry(row.id, asker)

    def unwanted(self, pull: str, *, before: int | None = None, keep: str = "") -> None:
        """A pull request wants its builds no longer: see ``BuildRecords.withdraw_pull``."""
        self._told_to_end(self.records.withdraw_pull(pull, before, keep))

    def wait(self, builds: Iterable[str]) -> dict[str, Build]:
        """Wait until builds have ended, whoever makes them. Raises ``Stopping``."""
        wanted = set(builds)
        while True:
            found = self.records.several(wanted)
            if all(row.active is None for row in found.values()):
                return found
            with self._news:
                self._news.wait(LOOK_SECONDS)
            if self._stopping.is_set():
                raise Stopping

    def make(self, build: str, runner: str) -> None:
        """Have the image of a build that has not ended; the effect of its flow."""
        if self._stopping.is_set():
            raise Stopping
        row = self.records.claim(build, runner)
        if row is None:
            return
        request = self.requests.of(spec_of(row))
        images = self._images()
        try:
            with Attempt(self.records, build, row.runs, self._stopping) as attempt:
                image = images.ensure(
                    request,
                    attempt.progress,
                    cancelled=attempt.cancelled,
                    force=row.force and not _done_before(images.store, row),
                )
        except CancelledError:
            if self._stopping.is_set() and not self.records.ended(build):
                raise Stopping from None
            return
        self.records.finish(build, image)
        self._tell()

    def fail(self, build: str, reason: str) -> None:
        """Record that the image cannot be had."""
        self.records.fail(build, reason)
        self._tell()

    def waits(self, build: str, reason: str) -> None:
        """Record why it does not go on for now."""
        self.records.at(build, {"message": reason})

    def resume(self) -> None:
        """Start what was accepted just before a service died, and end what has no flow any more.

        For the start of the service, and now and then.
        """
        for row in self.records.unfinished():
            flow = row.runner or _flow_of(row.id)
            if self._engine.ended(flow):
                reason = (
                    f"an internal error ended it; the operator finds it in the log under {flow}"
                )
                self.fail(row.id, reason)  # a flow ends its build before itself
            else:
                self._start(row)

    @property
    def stopping(self) -> bool:
        """Whether this process is to end."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Let go of everything at once; what is unfinished goes on at the next start."""
        self._stopping.set()
        self._tell()

    def _start(self, row: Build) -> None:
        if row.active is not None:
            payload, name = {"build": row.id}, _flow_of(row.id)
            self._engine.start(FLOW, payload, id=name, priority=row.priority)

    def _hurry(self, build: str, asker: Asker) -> None:
        """A place further ahead in the queue. The flow that comes first makes the image."""
        priority = int(asker.priority)
        name = f"{_flow_of(build)}:{priority}"
        self._engine.start(FLOW, {"build": build}, id=name, priority=priority)

    def _told_to_end(self, builds: Iterable[str]) -> None:
        for build in builds:  # one that runs looks at its row; this is for one that pauses
            self._engine.cancel(self.records.get(build).runner or _flow_of(build))
        self._tell()

    def _tell(self) -> None:
        with self._news:
            self._news.notify_all()


def outcome(row: Build) -> dict[str, Any]:
    """What became of a build, as plain values; ``error`` is empty if it went well."""
    errors: Mapping[str, str] = {FAILED: row.message, CANCELLED: f"cancelled: {row.message}"}
    return {
        "build": row.id,
        "state": row.state,
        "image": row.image,
        "digest": row.digest,
        "reused": row.reused,
        "error": errors.get(row.state, "") if row.state != FINISHED else "",
    }


def _flow_of(build: str) -> str:
    return f"build:{build}"


def _done_before(store: ImageStore, row: Build) -> bool:
    """Whether this very build has published its image: it was killed right after."""
    image = store.find(row.key, row.scope)
    if image is None or image.scope != row.scope:
        return False
    created = datetime.fromisoformat(image.created).replace(tzinfo=None)
    return created >= row.created_at
