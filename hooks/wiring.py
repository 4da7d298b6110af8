"""The composition root: the only module that names concrete classes."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from builder.build import ImageService
from builder.secrets import detect_secrets
from builder.settings import BuilderSettings, resolve_base
from builder.store import ImageStore
from builder.store.registry import RegistryStore
from builder.store.shared import SharedStore
from builder.supply.signers import read_signers_file
from builder.supply.verify import verify
from ci.errors import SettingsError, SiteError, WaasError
from hooks import home
from hooks.builds import flow as build_flow
from hooks.builds import service as build_service
from hooks.builds.records import BuildRecords
from hooks.builds.service import Builds
from hooks.builds.spec import Requests
from hooks.config import Settings
from hooks.credentials.encrypted_file import EncryptedFiles
from hooks.credentials.user_keys import UserKeys
from hooks.data.movers import movers
from hooks.db import Database
from hooks.dispatch import flows
from hooks.dispatch.deployments import Deployments
from hooks.dispatch.effects import DispatchEffects
from hooks.dispatch.handler import Dispatcher
from hooks.dispatch.pulls import PullRequests
from hooks.engine import Engine
from hooks.executions import flow as execution_flow
from hooks.executions.effects import ExecutionEffects
from hooks.executions.service import Executions
from hooks.forges.bare_git import BareGitForge
from hooks.home import WEBHOOK_SECRET
from hooks.inbox import Inbox
from hooks.journal import Journal
from hooks.published import PublishedWorkflows
from hooks.sites.connections import Connections
from hooks.sites.directory import SiteDirectory
from hooks.tokens import Tokens
from hooks.upkeep import Upkeep

log = logging.getLogger(__name__)

_GIGABYTE = 10**9
RECONCILE_SECONDS = 30.0
UPKEEP_SECONDS = 3600.0
MAILBOX_SECONDS = 0.1


@dataclass(frozen=True)
class Waas:
    """The parts of a running service."""

    settings: Settings
    database: Database
    tokens: Tokens
    inbox: Inbox
    journal: Journal
    forges: Mapping[str, BareGitForge]
    pulls: PullRequests
    sites: SiteDirectory
    connections: Connections
    ssh_keys: UserKeys
    images: ImageStore
    builds: Builds
    engine: Engine
    dispatcher: Dispatcher
    executions: Executions
    webhook_secret: bytes


def image_store(settings: Settings) -> ImageStore:
    """The image store that the settings describe; shared through a registry if they name one."""
    choice = settings.builder.registry
    if choice is None:
        return ImageStore(settings.images)
    registry = RegistryStore(choice.url, choice.repository, choice.credentials)

    def check(folder: Path) -> None:
        verify(folder, read_signers_file(settings.signers))

    return SharedStore(settings.images, registry, check)


def image_service(settings: Settings) -> ImageService:
    """The image service that the settings describe. Raises ``SettingsError``."""
    choice = settings.builder
    base, digest = resolve_base(choice.base, environment=choice.environment)
    secrets = detect_secrets(os.environ, settings.work / "build-secrets")
    if not base.startswith("oci-layout://"):  # an image of a registry has package sources
        secrets = {name: path for name, path in secrets.items() if not name.startswith("apt")}
    signing = home.image_signing(settings)
    signing.check()  # now, and not when a build has ended
    spack = choice.spack or os.environ.get("SPACK_ROOT")
    return ImageService(
        BuilderSettings(
            base=base,
            base_digest=digest,
            store=settings.images,
            work=settings.work,
            signing_key=signing.read,
            backend=choice.backend,
            environment=dict(choice.environment),
            apptainer=(choice.apptainer,),
            secrets=secrets,
            build_timeout=choice.time_limit,
            spack_checkout=Path(spack) if spack else None,
            quota_bytes=int(choice.quota_gb * _GIGABYTE),
            free_bytes=int(choice.free_gb * _GIGABYTE),
        ),
        store=image_store(settings),
    )


class _ImagesWhenReady:
    """The image service, made when it is first needed: the service runs without an engine or a
    registry of base images in reach, and takes them up when they are there.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._made: ImageService | None = None
        self._lock = threading.Lock()

    def __call__(self) -> ImageService:
        with self._lock:
            try:
                self._made = self._made or image_service(self._settings)
            except SettingsError as error:
                message = f"images cannot be had for now: {error.message}"
                raise SiteError(message, transient=True, hint=error.hint) from error
            return self._made


def wire(settings: Settings, *, worker: str = "") -> Waas:
    """Put the parts together. Raises ``SettingsError`` for a home that cannot work."""
    database = Database(settings.database)
    database.check()
    journal, pulls = Journal(database), PullRequests(database)
    forges = {name: BareGitForge(path) for name, path in settings.repositories.items()}
    sites = SiteDirectory(settings.sites)
    store = EncryptedFiles.init(settings.secrets)
    connections = Connections(store.read)
    engine = Engine(settings.database, executor=worker or settings.worker)
    published = PublishedWorkflows(forges)
    ready = _ImagesWhenReady(settings)
    builds = Builds(BuildRecords(database, journal), engine, ready, Requests(forges))
    executions = Executions(database, engine, published.plan_execution, published.may_run)
    waas = Waas(
        settings=settings,
        database=database,
        tokens=Tokens(database),
        inbox=Inbox(database),
        journal=journal,
        forges=forges,
        pulls=pulls,
        sites=sites,
        connections=connections,
        ssh_keys=UserKeys(database, store),
        images=image_store(settings),
        builds=builds,
        engine=engine,
        dispatcher=Dispatcher(forges, pulls, engine, builds),
        executions=executions,
        webhook_secret=_webhook_secret(settings.secrets / WEBHOOK_SECRET),
    )
    _register(waas, ready)
    return waas


def _register(waas: Waas, images: _ImagesWhenReady) -> None:
    """Make the flows known to the engine, over their effects."""
    settings, database, journal = waas.settings, waas.database, waas.journal
    dispatch = DispatchEffects(
        forges=waas.forges,
        pulls=waas.pulls,
        sites=waas.sites,
        images=images,
        builds=waas.builds,
        deployments=Deployments(database, journal, waas.connections, settings.signers),
        work=settings.work,
    )
    running = ExecutionEffects(
        database,
        journal,
        waas.connections,
        waas.sites.get,
        movers(),
        results=settings.results,
        scratch=settings.work / "staging",
    )
    engine = waas.engine
    engine.register(flows.PULL_REQUEST, partial(flows.run_pull_request, dispatch))
    engine.register(flows.MERGE, partial(flows.run_merge, dispatch))
    make = partial(build_flow.run_build, waas.builds)
    engine.register(build_service.FLOW, make, at_once=settings.builder.at_once)
    engine.register(flows.DEPLOYMENT, partial(flows.run_deployment, dispatch))
    engine.register(execution_flow.FLOW, partial(execution_flow.run_execution, running))


def _webhook_secret(path: Path) -> bytes:
    return path.read_bytes().strip()


class Worker:
    """The threads that act: the engine, the inbox, the mailboxes of the forges, the reconciler."""

    def __init__(self, waas: Waas) -> None:
        self._waas = waas
        self._stop = threading.Event()

    def start(self) -> None:
        """Start working; unfinished work goes on. Raises ``SettingsError`` if it may not."""
        waas = self._waas
        waas.engine.launch()
        waas.executions.resume_accepted()
        waas.builds.resume()
        for name, loop in (
            ("inbox", lambda: waas.inbox.run(waas.dispatcher.handle)),
            ("mailboxes", self._take_mail),
            ("reconciler", self._reconcile),
            ("upkeep", self._keep_up),
        ):
            threading.Thread(target=loop, name=name, daemon=True).start()

    def stop(self) -> None:
        """Stop at once; what is unfinished goes on at the next start."""
        self._stop.set()
        self._waas.inbox.stop()
        self._waas.builds.stop()
        self._waas.engine.stop()
        self._waas.connections.close()

    def _take_mail(self) -> None:
        """Move what the git hooks left into the inbox: stored first, removed after."""
        while not self._stop.wait(MAILBOX_SECONDS):
            for repository, forge in self._waas.forges.items():
                try:
                    for name, event in forge.mailbox.received():
                        self._waas.inbox.accept(name, "git", repository, event)
                        forge.mailbox.taken(name)
                except (OSError, SQLAlchemyError) as error:
                    log.warning("mailbox of %s: %s", repository, error)

    def _reconcile(self) -> None:
        while True:
            try:
                self._waas.dispatcher.reconcile()
                self._waas.builds.resume()
            except (WaasError, OSError, SQLAlchemyError) as error:
                log.warning("reconciling: %s", error)
            if self._stop.wait(RECONCILE_SECONDS):
                return

    def _keep_up(self) -> None:
        """Keep the image store within its limits, and in step with its registry."""
        waas = self._waas
        upkeep = Upkeep(waas.database, waas.images, waas.settings.builder)
        while not self._stop.wait(UPKEEP_SECONDS):
            try:
                upkeep.apply()
                if isinstance(waas.images, SharedStore):
                    waas.images.sync()
            except (WaasError, OSError, SQLAlchemyError) as error:
                log.warning("keeping the image store: %s", error)
