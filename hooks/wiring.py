"""The composition root: the only module that names concrete classes."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial

from builder.store import ImageStore
from builder.store.shared import SharedStore
from ci.errors import EntryError, SiteError
from ci.git import remote, serving
from hooks.builds import flow as build_flow
from hooks.builds import service as build_service
from hooks.builds.records import BuildRecords
from hooks.builds.service import Builds
from hooks.builds.spec import Requests
from hooks.config import Settings
from hooks.credentials.encrypted_file import EncryptedFiles
from hooks.credentials.user_keys import UserKeys
from hooks.credentials.webhook_secrets import WebhookSecrets
from hooks.data.movers import movers
from hooks.db import Database
from hooks.dispatch import commanding, flows, on_request
from hooks.dispatch.deployments import Deployments
from hooks.dispatch.desk import Around, Desk, desk_of
from hooks.dispatch.missed import Missed
from hooks.dispatch.on_request import DeploymentRequests, OnRequest
from hooks.dispatch.pulls import PullRequests
from hooks.engine import AT_LEISURE, Engine
from hooks.executions import flow as execution_flow
from hooks.executions.effects import ExecutionEffects
from hooks.executions.service import Executions
from hooks.forges.marks import Mains, Marks
from hooks.hosting import Hosting, hosting_of
from hooks.image_service import ImagesWhenReady, image_store
from hooks.inbox import Inbox
from hooks.journal import Journal
from hooks.published import PublishedWorkflows
from hooks.registries import Registries
from hooks.sites.connections import Connections
from hooks.sites.directory import SiteDirectory
from hooks.tokens import Tokens
from hooks.upkeep import Upkeep
from hooks.web.webhooks import Receiver
from hooks.worker import Loop, Worker

log = logging.getLogger(__name__)

RECONCILE_SECONDS = 30.0
UPKEEP_SECONDS = 3600.0
MAILBOX_SECONDS = 0.1


@dataclass(frozen=True)
class Core:
    """The parts of a running service, without dispatch."""

    settings: Settings
    database: Database
    tokens: Tokens
    inbox: Inbox
    journal: Journal
    hosting: Hosting
    mains: Mains
    registries: Registries
    pulls: PullRequests
    sites: SiteDirectory
    connections: Connections
    ssh_keys: UserKeys
    images: ImageStore
    builds: Builds
    engine: Engine
    executions: Executions
    deployments: Deployments
    webhooks: Receiver
    ready: ImagesWhenReady


@dataclass(frozen=True)
class Waas(Core):
    """The parts of a running service."""

    desk: Desk
    deploying: DeploymentRequests


def wire(settings: Settings, *, worker: str = "") -> Waas:
    """Put the parts together. Raises ``SettingsError`` for a home that cannot work."""
    core = _core(settings, worker or settings.worker)
    deploying = DeploymentRequests(core.deployments, core.engine, core.journal)
    desk = desk_of(
        Around(
            database=core.database,
            forges=core.hosting.forges,
            notices=core.hosting.notices,
            mergeable=core.hosting.mergeable,
            registries=core.registries,
            mains=core.mains,
            sites=core.sites,
            images=core.ready,
            builds=core.builds,
            deployments=core.deployments,
            deploying=deploying,
            engine=core.engine,
            work=settings.work,
            hosted=frozenset(settings.forges.hosted),
            url=settings.url,
        )
    )
    waas = Waas(**vars(core), desk=desk, deploying=deploying)
    _register(waas)
    return waas


def _core(settings: Settings, worker: str) -> Core:
    database = Database(settings.database)
    database.check()
    journal, tokens = Journal(database), Tokens(database)
    store = EncryptedFiles.init(settings.secrets)
    registries = Registries(settings.forges.registries)
    hosting = hosting_of(settings, store.read, tokens.is_operator)
    mains = Mains(hosting.forges, Marks(database))
    connections = Connections(store.read)
    engine = Engine(database.url, executor=worker)
    published = PublishedWorkflows(hosting.forges, registries)
    requests = Requests(hosting.forges, mains, registries)
    ready, inbox = ImagesWhenReady(settings), Inbox(database)
    builds = Builds(BuildRecords(database, journal), engine, ready, requests)
    deployments = Deployments(database, journal, connections, settings.signers, registries)
    secrets = WebhookSecrets(store, settings.secrets)
    secrets.make()
    return Core(
        settings=settings,
        database=database,
        tokens=tokens,
        inbox=inbox,
        journal=journal,
        hosting=hosting,
        mains=mains,
        registries=registries,
        pulls=PullRequests(database),
        sites=SiteDirectory(settings.sites),
        connections=connections,
        ssh_keys=UserKeys(database, store),
        images=image_store(settings),
        builds=builds,
        engine=engine,
        executions=Executions(database, engine, published.plan_execution, published.may_run),
        deployments=deployments,
        webhooks=Receiver(inbox, secrets, settings.forges.slugs, known=hosting.forges),
        ready=ready,
    )


def _register(waas: Waas) -> None:
    """Make the flows known to the engine, over their effects."""
    settings, engine, dispatch = waas.settings, waas.engine, waas.desk.effects
    running = ExecutionEffects(
        waas.database,
        waas.journal,
        waas.connections,
        waas.sites.get,
        movers(),
        results=settings.results,
        scratch=settings.work / "staging",
    )
    command = partial(commanding.run_command, waas.desk.commanding)
    request = partial(on_request.run_request, OnRequest(dispatch, waas.journal))
    make = partial(build_flow.run_build, waas.builds)
    engine.register(flows.PULL_REQUEST, partial(flows.run_pull_request, dispatch))
    engine.register(commanding.FLOW, command)
    later = partial(engine.register, look_every=AT_LEISURE)  # nobody waits for the second
    later(on_request.FLOW, request)
    later(flows.MERGE, partial(flows.run_merge, dispatch))
    later(build_service.FLOW, make, at_once=settings.builder.at_once)
    later(flows.DEPLOYMENT, partial(flows.run_deployment, dispatch))
    later(execution_flow.FLOW, partial(execution_flow.run_execution, running))


def worker_of(waas: Waas) -> Worker:
    """The threads that act: the engine, the inbox, the mailboxes of the forges, the reconcilers."""
    dispatcher = waas.desk.dispatcher
    loops = [
        Loop(f"reconciling {name}", partial(_reconcile, waas, name), RECONCILE_SECONDS)
        for name in waas.hosting.forges
    ]
    return Worker(
        begin=[waas.engine.launch, waas.executions.resume_accepted, waas.builds.resume],
        threads=[("inbox", lambda: waas.inbox.run(dispatcher.handle))],
        loops=[
            *loops,
            Loop("mailboxes", partial(_take_mail, waas), MAILBOX_SECONDS),
            Loop("builds", waas.builds.resume, RECONCILE_SECONDS),
            Loop("upkeep", partial(_keep_up, waas), UPKEEP_SECONDS, at_once=False),
        ],
        end=[waas.inbox.stop, waas.builds.stop, waas.engine.stop, waas.connections.close],
    )


def _reconcile(waas: Waas, repository: str) -> None:
    """Find what was missed, by the forge's own record and by how things are."""
    missed = Missed(waas.hosting.outboxes, Marks(waas.database), waas.inbox)
    try:
        missed.collect(repository)
    except SiteError as error:  # how things are counts, and may be had all the same
        log.warning("webhooks of %s that were missed: %s", repository, error)
    waas.desk.dispatcher.reconcile(repository)
    waas.desk.effects.telling.again(repository)


def _take_mail(waas: Waas) -> None:
    """Move what the git hooks left into the inbox: stored first, removed after."""
    for repository, mailbox in waas.hosting.mailboxes.items():
        for name, event in mailbox.received():
            try:
                waas.inbox.accept(name, "mailbox", repository, event)
            except EntryError as error:  # it cannot be a delivery, and blocks those after it
                log.warning("mail %s of %s is dropped: %s", name, repository, error)
            mailbox.taken(name)


def _keep_up(waas: Waas) -> None:
    """Keep image store and inbox within their limits, and the store in step with its registry."""
    waas.inbox.prune()
    Upkeep(waas.database, waas.images, waas.settings.builder, waas.registries).apply()
    if isinstance(waas.images, SharedStore):
        waas.images.sync()
    for repository in waas.settings.repositories.values():
        serving.tidy(repository)
    for mirror in waas.hosting.mirrors.values():
        if mirror.is_dir():
            remote.tidy(mirror)
