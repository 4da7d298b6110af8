"""The composition root: the only module that names concrete classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from builder.store import ImageStore
from builder.store.shared import SharedStore
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
from hooks.dispatch import flows
from hooks.dispatch.deployments import Deployments
from hooks.dispatch.effects import DispatchEffects
from hooks.dispatch.handler import Dispatcher
from hooks.dispatch.judging import Judge
from hooks.dispatch.listening import Listening
from hooks.dispatch.permits import BuildPermits
from hooks.dispatch.planning import Planner
from hooks.dispatch.pulls import PullRequests
from hooks.dispatch.telling import Telling
from hooks.engine import Engine
from hooks.executions import flow as execution_flow
from hooks.executions.effects import ExecutionEffects
from hooks.executions.service import Executions
from hooks.forges.bare_git import BareGitForge
from hooks.forges.mailbox import Mailbox
from hooks.forges.marks import Mains, Marks
from hooks.forges.seams import Forge, Notices
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

RECONCILE_SECONDS = 30.0
UPKEEP_SECONDS = 3600.0
MAILBOX_SECONDS = 0.1


class _Nobody:
    def approved(self, repository: str, number: int, head: str) -> None: ...


@dataclass(frozen=True)
class Waas:
    """The parts of a running service."""

    settings: Settings
    database: Database
    tokens: Tokens
    inbox: Inbox
    journal: Journal
    forges: Mapping[str, Forge]
    mailboxes: Mapping[str, Mailbox]
    registries: Registries
    pulls: PullRequests
    sites: SiteDirectory
    connections: Connections
    ssh_keys: UserKeys
    images: ImageStore
    builds: Builds
    engine: Engine
    dispatcher: Dispatcher
    executions: Executions
    webhooks: Receiver


def wire(settings: Settings, *, worker: str = "") -> Waas:
    """Put the parts together. Raises ``SettingsError`` for a home that cannot work."""
    database = Database(settings.database)
    database.check()
    journal, pulls, marks = Journal(database), PullRequests(database), Marks(database)
    registries = Registries(settings.forges.registries)
    plain = {name: BareGitForge(path) for name, path in settings.repositories.items()}
    forges: dict[str, Forge] = {**plain}
    notices: dict[str, Notices] = {**plain}
    mains, sites = Mains(forges, marks), SiteDirectory(settings.sites)
    store = EncryptedFiles.init(settings.secrets)
    connections = Connections(store.read)
    engine = Engine(settings.database, executor=worker or settings.worker)
    published = PublishedWorkflows(forges, registries)
    ready = ImagesWhenReady(settings)
    requests = Requests(forges, mains, registries)
    builds = Builds(BuildRecords(database, journal), engine, ready, requests)
    deployments = Deployments(database, journal, connections, settings.signers, registries)
    planner = Planner(forges, mains, sites, ready)
    telling = Telling(
        notices,
        pulls,
        answers=lambda *_: (),
        deployed=deployments.by_commit,
        hosted=frozenset(settings.forges.hosted),
        url=settings.url,
    )
    permits = BuildPermits(_Nobody(), forges, listed=lambda _: ())
    listening = Listening(forges, marks, take=lambda *_: None)
    effects = DispatchEffects(
        registries=registries,
        pulls=pulls,
        planner=planner,
        judging=Judge(planner, registries, pulls, permits),
        telling=telling,
        builds=builds,
        deployments=deployments,
        work=settings.work,
    )
    executions = Executions(database, engine, published.plan_execution, published.may_run)
    inbox = Inbox(database)
    slugs = {hosted.slug: name for name, hosted in settings.forges.hosted.items()}
    secrets = WebhookSecrets(store, settings.secrets)
    secrets.make()
    waas = Waas(
        settings=settings,
        database=database,
        tokens=Tokens(database),
        inbox=inbox,
        journal=journal,
        forges=forges,
        mailboxes={name: forge.mailbox for name, forge in plain.items()},
        registries=registries,
        pulls=pulls,
        sites=sites,
        connections=connections,
        ssh_keys=UserKeys(database, store),
        images=image_store(settings),
        builds=builds,
        engine=engine,
        dispatcher=Dispatcher(forges, registries, pulls, marks, engine, builds, listening),
        executions=executions,
        webhooks=Receiver(inbox, secrets, slugs),
    )
    _register(waas, effects)
    return waas


def _register(waas: Waas, dispatch: DispatchEffects) -> None:
    """Make the flows known to the engine, over their effects."""
    settings, engine = waas.settings, waas.engine
    running = ExecutionEffects(
        waas.database,
        waas.journal,
        waas.connections,
        waas.sites.get,
        movers(),
        results=settings.results,
        scratch=settings.work / "staging",
    )
    engine.register(flows.PULL_REQUEST, partial(flows.run_pull_request, dispatch))
    engine.register(flows.MERGE, partial(flows.run_merge, dispatch))
    make = partial(build_flow.run_build, waas.builds)
    engine.register(build_service.FLOW, make, at_once=settings.builder.at_once)
    engine.register(flows.DEPLOYMENT, partial(flows.run_deployment, dispatch))
    engine.register(execution_flow.FLOW, partial(execution_flow.run_execution, running))


def worker_of(waas: Waas) -> Worker:
    """The threads that act: the engine, the inbox, the mailboxes of the forges, the reconcilers."""
    loops = [
        Loop(f"reconciling {name}", partial(waas.dispatcher.reconcile, name), RECONCILE_SECONDS)
        for name in waas.forges
    ]
    return Worker(
        begin=[waas.engine.launch, waas.executions.resume_accepted, waas.builds.resume],
        threads=[("inbox", lambda: waas.inbox.run(waas.dispatcher.handle))],
        loops=[
            *loops,
            Loop("mailboxes", partial(_take_mail, waas), MAILBOX_SECONDS),
            Loop("builds", waas.builds.resume, RECONCILE_SECONDS),
            Loop("upkeep", partial(_keep_up, waas), UPKEEP_SECONDS, at_once=False),
        ],
        end=[waas.inbox.stop, waas.builds.stop, waas.engine.stop, waas.connections.close],
    )


def _take_mail(waas: Waas) -> None:
    """Move what the git hooks left into the inbox: stored first, removed after."""
    for repository, mailbox in waas.mailboxes.items():
        for name, event in mailbox.received():
            waas.inbox.accept(name, "mailbox", repository, event)
            mailbox.taken(name)


def _keep_up(waas: Waas) -> None:
    """Keep the image store within its limits, and in step with its registry."""
    Upkeep(waas.database, waas.images, waas.settings.builder, waas.registries).apply()
    if isinstance(waas.images, SharedStore):
        waas.images.sync()
