"""The record of deployments, and the act of bringing a site in line with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import select

from builder.store import Image
from builder.supply.signers import read_signers_file
from ci.site import Site
from hooks.db import Database
from hooks.db.tables import Deployment
from hooks.deployments.deploy import deploy
from hooks.deployments.plan import ImageFile, Release
from hooks.dispatch.comment import Deployed
from hooks.journal import Journal
from hooks.registries import Registries
from hooks.sites.connections import Connections


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

    def wanted(self, workflow: str, site: str, commit: str, content: str) -> bool:
        """Record what main wants at a site; whether anything has to be done for it."""
        name = f"{workflow}@{site}"
        with self._database.session() as session:
            row = session.get(Deployment, name)
            if row is not None and row.content == content and row.state != "FAILED":
                # in place, or under way for this very commit
                return row.state != "ACTIVE" and row.commit == commit
            row = row or Deployment(id=name, workflow=workflow, site=site, active="", manifest={})
            row.commit, row.content = commit, content
            row.state, row.message = "DEPLOYING", ""
            session.add(row)
        return True

    def begin(self, deployment: Mapping[str, Any]) -> None:
        """Record the images that it needs, before anything is done with them."""
        with self._database.session() as session:
            row = session.get_one(Deployment, deployment["id"])
            row.images = dict(deployment["images"])

    def superseded(self, deployment: Mapping[str, Any]) -> bool:
        """Whether main wants something else at the site by now."""
        with self._database.session() as session:
            row = session.get_one(Deployment, deployment["id"])
            return bool(row.commit != deployment["commit"])

    def put(
        self,
        deployment: Mapping[str, Any],
        site: Site,
        source: Path,
        images: Mapping[str, Image],
    ) -> None:
        """Put a version in place on the site, then record it as the one that serves."""
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
            row = session.get_one(Deployment, deployment["id"])
            row.active, row.manifest = deployment["commit"], manifest
            row.state, row.message = "ACTIVE", ""
        subject = f"deployment:{deployment['id']}"
        text = f"{deployment['commit'][:10]} is in place on {site.name}"
        self._journal.write(subject, f"active:{deployment['commit']}", text)

    def mark(self, deployment: Mapping[str, Any], state: str, message: str) -> bool:
        """Record how far it is, unless main wants something else by now; whether that is news."""
        with self._database.session() as session:
            row = session.get_one(Deployment, deployment["id"])
            if row.commit != deployment["commit"]:
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


def _image_file(image: Image) -> ImageFile:
    return ImageFile(image.sif, image.digest.removeprefix("sha256:"), image.size)
