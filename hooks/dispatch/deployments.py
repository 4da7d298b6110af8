"""The record of deployments, and the act of bringing a site in line with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from builder.store import Image
from builder.supply.signers import read_signers_file
from ci.errors import EntryError
from ci.site import Site
from hooks.db import Database
from hooks.db.tables import Deployment, Execution, LogLine
from hooks.deployments.deploy import deploy
from hooks.deployments.manage import Deployment as Version
from hooks.deployments.manage import list_deployments, rollback, undeploy
from hooks.deployments.plan import ImageFile, Release
from hooks.dispatch.comment import Deployed
from hooks.engine.locks import alone
from hooks.errors import NotFoundError
from hooks.executions.service import FINAL
from hooks.journal import Journal
from hooks.registries import Registries
from hooks.sites.connections import Connections

_TURN_SECONDS = 60.0


class Deployments:
    """Rows of deployments over the database, effects over the sites."""

    def __init__(
        self,
        database: Database,
        journal: Journal,
        connections: Connections,
        signers: Path,
        registries: Registries,
    ) -> None:
        self._database, self._journal, self._connections = database, journal, connections
        self._signers, self._registries = signers, registries
        is_sqlite = database.engine.dialect.name == "sqlite"
        self._insert = sqlite.insert if is_sqlite else postgresql.insert

    def wanted(self, workflow: str, site: str, commit: str, content: str) -> bool:
        """Record what main wants at a site; whether anything has to be done for it."""
        names = {"id": f"{workflow}@{site}", "workflow": workflow, "site": site}
        with self._database.session() as session:
            row = self._hold(session, names)
            if row.content == content and row.state != "FAILED":
                # in place (or rolled back, or removed), or under way for this very commit
                return row.state in {"DEPLOYING", "WAITING"} and row.commit == commit
            row.commit, row.content = commit, content
            row.state, row.message = "DEPLOYING", ""
        return True

    def _hold(self, session: Session, deployment: Mapping[str, Any]) -> Deployment:
        """Its row, made if there is none; nobody else writes it until the transaction ends."""
        names = {name: deployment[name] for name in ("id", "workflow", "site")}
        new = self._insert(Deployment).values(**names, commit="").on_conflict_do_nothing()
        session.execute(new)  # SQLite lets one write at a time from here on, PostgreSQL below
        return session.get_one(Deployment, deployment["id"], with_for_update=True)

    def begin(self, deployment: Mapping[str, Any]) -> None:
        """Record the images that it needs, before anything is done with them."""
        with self._database.session() as session:
            row = self._hold(session, deployment)
            if not _superseded(row, deployment):
                row.images = dict(deployment["images"])

    def superseded(self, deployment: Mapping[str, Any]) -> bool:
        """Whether main, or somebody, wants something else at the site by now, or nothing."""
        with self._database.session() as session:
            return _superseded(session.get_one(Deployment, deployment["id"]), deployment)

    def again(self, deployment: Mapping[str, Any], content: str) -> None:
        """Somebody wants this version; ``content`` is that of main, whose changes undo it."""
        with self._database.session() as session:
            row = self._hold(session, deployment)
            row.commit, row.content = deployment["commit"], content
            row.state, row.message = "DEPLOYING", ""
            row.images = dict(deployment["images"])

    def roll_back(self, request: Mapping[str, Any], site: Site) -> str:
        """Make a version that is still on the site the one that serves, and record it; what it is.

        Without a commit it is the one that was deployed before. The same request does it once.
        Raises ``EntryError``: there is no such version.
        """
        transport = self._connections.to(site)
        with self.alone(request["id"]):
            if done := self._done(request):
                return done
            row = self._row(request["id"])
            found = list_deployments(transport, site)
            versions = [d for d in found if d.workflow == row.workflow]
            chosen = choose_version(versions, row.active, request["commit"])
            if not chosen.current:
                signers = tuple(read_signers_file(self._signers))
                rollback(transport, site, row.workflow, chosen.commit, signers=signers)
            text = f"rolled back to {chosen.commit[:10]} by {request['by']}"
            with self._database.session() as session:
                row = self._hold(session, request)
                row.commit = row.active = chosen.commit
                row.manifest, row.images = dict(chosen.manifest), {}
                row.state, row.message = "ACTIVE", text
                session.add(_line_of(request, text))
        return text

    def remove(self, request: Mapping[str, Any], site: Site) -> str:
        """Remove all versions from the site, and record it; what was done.

        The same request does it once. Raises ``EntryError``: executions need it.
        """
        with self.alone(request["id"]):
            if done := self._done(request):
                return done
            row = self._row(request["id"])
            if not request["force"]:
                self.check_unneeded(request["id"])
            undeploy(self._connections.to(site), site, row.workflow)
            text = f"removed by {request['by']}"
            with self._database.session() as session:
                row = self._hold(session, request)
                row.active, row.manifest, row.images = "", {}, {}
                row.state, row.message = "REMOVED", text
                session.add(_line_of(request, text))
        return text

    def _done(self, request: Mapping[str, Any]) -> str:
        """What a request did already; a worker may have died before it could say so."""
        line = _line_of(request, "")
        query = select(LogLine.content).where(
            LogLine.subject == line.subject, LogLine.key == line.key
        )
        with self._database.session() as session:
            return session.scalar(query) or ""

    def note(self, id: str, message: str) -> None:  # noqa: A002
        """Say something about a deployment that goes on as it is."""
        with self._database.session() as session:
            row = session.get(Deployment, id)
            if row is not None:
                row.message = message

    def check_unneeded(self, id: str) -> None:  # noqa: A002
        """Raise ``EntryError`` if executions of it did not end yet."""
        query = select(func.count()).where(
            Execution.deployment == id, Execution.state.not_in(FINAL)
        )
        with self._database.session() as session:
            count = session.scalar(query) or 0
        if count:
            raise EntryError(
                f"{count} execution{'s' if count > 1 else ''} of {id} did not end yet",
                hint="wait for them or cancel them; --force removes it all the same",
            )

    def _row(self, id: str) -> Deployment:  # noqa: A002
        found = self.get(id)
        if found is None or found.state == "REMOVED":
            raise NotFoundError(f"{id} is not deployed")
        return found

    def alone(self, id: str) -> AbstractContextManager[None]:  # noqa: A002
        """One at a time does something to a deployment, in any process.

        Raises a transient ``SiteError`` if another takes long.
        """
        busy = f"{id} is being changed by another request"
        return alone(self._database.url, f"deployment-{id}", seconds=_TURN_SECONDS, busy=busy)

    def put(
        self,
        deployment: Mapping[str, Any],
        site: Site,
        source: Path,
        images: Mapping[str, Image],
    ) -> None:
        """Put a version in place on the site, then record it as the one that serves.

        For who is ``alone`` with the deployment.
        """
        self.mark(deployment, "DEPLOYING", "")
        transport = self._connections.to(site)
        release = Release(
            workflow=deployment["workflow"],
            commit=deployment["commit"],
            folder=source,
            images={step: _image_file(image) for step, image in images.items()},
            details={"deployment": deployment["id"]},
            signers=read_signers_file(self._signers),
        )
        manifest = deploy(transport, site, release).manifest
        with self._database.session() as session:
            row = self._hold(session, deployment)
            row.active, row.manifest = deployment["commit"], manifest
            if not _superseded(row, deployment):
                row.state, row.message = "ACTIVE", ""
        subject = f"deployment:{deployment['id']}"
        text = f"{deployment['commit'][:10]} is in place on {site.name}"
        self._journal.write(subject, f"active:{deployment['commit']}", text)

    def mark(self, deployment: Mapping[str, Any], state: str, message: str) -> bool:
        """Record how far it is, unless something else is wanted by now; whether that is news."""
        with self._database.session() as session:
            row = self._hold(session, deployment)
            if _superseded(row, deployment):
                return False
            before, row.state, row.message = row.state, state, message
            return before != state

    def get(self, id: str) -> Deployment | None:  # noqa: A002
        """The record of a workflow at a site."""
        with self._database.session() as session:
            return session.get(Deployment, id)

    def by_commit(self, repository: str, commit: str) -> list[Deployed]:
        """How far those are that a commit of main of these workflows wants."""
        query = select(Deployment).where(Deployment.commit == commit).order_by(Deployment.id)
        with self._database.session() as session:
            rows = list(session.scalars(query))
        named = [(*self._registries.split(row.workflow), row) for row in rows]
        return [
            Deployed(workflow, row.site, row.state, row.message)
            for pair, workflow, row in named
            if pair.workflows == repository
        ]


def _superseded(row: Deployment, deployment: Mapping[str, Any]) -> bool:
    return bool(row.commit != deployment["commit"] or row.state == "REMOVED")


def _line_of(request: Mapping[str, Any], text: str) -> LogLine:
    """What a request did, in the journal of the deployment: one transaction with its row."""
    key = f"request:{request['request']}"
    return LogLine(subject=f"deployment:{request['id']}", key=key, content=text)


def choose_version(versions: Sequence[Version], active: str, commit: str) -> Version:
    """The version to go back to: the one named, or the newest of those before the active one."""
    if commit:
        fitting = [v for v in versions if v.commit.startswith(commit)]
    else:
        order = [v.commit for v in versions]
        before = versions[: order.index(active)] if active in order else versions
        fitting = list(before[-1:])
    if len(fitting) == 1:
        return fitting[0]
    known = ", ".join(v.commit[:10] for v in versions) or "none"
    what = f"no version {commit[:10]}" if commit else "no version before this one"
    raise EntryError(f"there is {what} on the site", hint=f"versions that are: {known}")


def _image_file(image: Image) -> ImageFile:
    return ImageFile(image.sif, image.digest.removeprefix("sha256:"), image.size)
