"""Put a workflow version in place on a site.

Each step leaves something whole or nothing, and is skipped when it is there already; so a cut at
any point is healed by the next call, and until the last step the version before serves.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from ci.errors import SettingsError, SiteError
from ci.site import Site
from hooks.deployments import remote
from hooks.deployments.archive import list_files, sha256_of, write_archive
from hooks.deployments.plan import (
    MANIFEST,
    DeploymentPlan,
    ImageFile,
    Layout,
    Present,
    Release,
    layout,
    plan_deployment,
    steps_of,
)
from hooks.sites.seams import Transport

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Deployed:
    """A version in place: its folder, the manifest, and what had to be done for it."""

    folder: PurePosixPath
    manifest: dict[str, Any]
    plan: DeploymentPlan


def deploy(
    transport: Transport, site: Site, release: Release, progress: Progress | None = None
) -> Deployed:
    """Deploy a release and make it the current version.

    ``progress`` is told the SHA-256, bytes done and bytes in all while an image is copied.
    Raises ``SiteError`` (transient: call again), ``EntryError`` for files that cannot be deployed
    and ``SettingsError`` for an image that is damaged here.
    """
    places = layout(site)
    present = inspect(transport, site, release)
    plan = plan_deployment(release, present, places)
    work = _Work(transport, site, release, places)
    if not plan.done:
        remote.call(
            transport,
            site,
            "make the folders of deployments",
            remote.PREPARE,
            str(places.root),
            release.workflow,
        )
    for image in plan.upload:
        work.upload(image, progress)
    if plan.sources:
        work.unpack()
    manifest = dict(present.manifest or {})
    if plan.manifest:
        manifest = work.write_manifest()
    if plan.activate or plan.manifest or plan.upload:
        images = {image.sha256: image.size for image in release.images.values()}
        activate(transport, site, release.workflow, release.commit, images)
    return Deployed(places.version(release.workflow, release.commit), manifest, plan)


def inspect(transport: Transport, site: Site, release: Release) -> Present:
    """What the site has of a release."""
    done = remote.call(
        transport,
        site,
        "look at deployments",
        remote.INSPECT,
        str(layout(site).root),
        release.workflow,
        release.commit,
        *sorted({image.sha256 for image in release.images.values()}),
    )
    head, found, text = done.stdout.partition("\nmanifest\n")
    images, sources, current = {}, False, ""
    for line in head.splitlines():
        word, *rest = line.split()
        if word == "image":
            images[rest[0]] = int(rest[1])
        elif word == "current":
            current = rest[0] if rest else ""
        sources = sources or word == "sources"
    return Present(images, sources, _manifest(text) if found else None, current)


def activate(
    transport: Transport, site: Site, workflow: str, commit: str, images: dict[str, int]
) -> None:
    """Make a version the current one, if all it needs is there (``images``: SHA-256 → size)."""
    done = remote.call(
        transport,
        site,
        "switch to the version",
        remote.ACTIVATE,
        str(layout(site).root),
        workflow,
        commit,
        *(f"{sha256}:{size}" for sha256, size in images.items()),
        allowed=(remote.INCOMPLETE,),
    )
    if done.exit_code == remote.INCOMPLETE:
        message = f"{workflow} at {commit[:12]} is not complete: something was removed meanwhile"
        hint = "deploying it again puts it right"
        raise SiteError(message, site=site.name, transient=True, hint=hint)


@dataclass(frozen=True, slots=True)
class _Work:
    """The single steps of one deployment."""

    transport: Transport
    site: Site
    release: Release
    places: Layout

    def upload(self, image: ImageFile, progress: Progress | None) -> None:
        """Have an image on the site: what an earlier call has sent is looked at first."""
        there = self.places.image(image.sha256)
        sent = there.with_name(f".{image.sha256}.upload")
        if self._verified(image, sent, there) == 0:
            return

        def told(done: int, size: int) -> None:
            if progress is not None:
                progress(image.sha256, done, size)

        self.transport.put(image.path, sent, progress=told)
        if self._verified(image, sent, there) == 0:
            return
        if sha256_of(image.path) != image.sha256:
            raise SettingsError(
                f"the image file {image.path} is damaged",
                hint="remove it from the image store and build the image again",
            )
        message = f"image {image.sha256[:12]} arrived damaged"
        raise SiteError(message, site=self.site.name, transient=True)

    def _verified(self, image: ImageFile, sent: PurePosixPath, there: PurePosixPath) -> int:
        args = (str(sent), str(there), image.sha256, str(image.size))
        done = remote.call(
            self.transport,
            self.site,
            "verify an image",
            remote.VERIFY,
            *args,
            allowed=(remote.DAMAGED, remote.INCOMPLETE),
            timeout=remote.SECONDS + remote.SECONDS_PER_GIGABYTE * image.size / 1e9,
        )
        return done.exit_code

    def unpack(self) -> None:
        """Have the workflow's files on the site."""
        release = self.release
        folder = self.places.workflow(release.workflow)
        there = folder / f".{release.commit}.tar"
        with TemporaryDirectory(dir=release.folder.parent) as scratch:
            archive = Path(scratch) / "sources.tar"
            write_archive(release.folder, archive)
            self.transport.put(archive, there)
        args = (str(folder), release.commit, there.name)
        what = "unpack the workflow's files"
        remote.call(self.transport, self.site, what, remote.UNPACK, *args)

    def write_manifest(self) -> dict[str, Any]:
        """Say that the version is complete."""
        release = self.release
        manifest = {
            **release.details,
            "workflow": release.workflow,
            "commit": release.commit,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "steps": steps_of(release, self.places),
            "files": list_files(release.folder),
        }
        there = self.places.version(release.workflow, release.commit) / MANIFEST
        with TemporaryDirectory(dir=release.folder.parent) as scratch:
            file = Path(scratch) / MANIFEST
            file.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
            self.transport.put(file, there)
        return manifest


def _manifest(text: str) -> dict[str, Any] | None:
    """A manifest, or None if it is not one of ours (it is then written again)."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
