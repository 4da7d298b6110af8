"""Put a workflow version in place on a site.

Each step leaves something whole or nothing, and is skipped when it is there already; so a cut at
any point is healed by the next call, and until the last step the version before serves.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from builder.supply.signers import write_signers
from builder.supply.verify import NAMESPACE
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
from hooks.deployments.proofs import HINT, Proof, digests, proofs_here, verify_here
from hooks.sites.seams import Completed, Transport

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Deployed:
    """A version in place: its folder, the manifest, and what had to be done for it.

    ``checked`` are the SHA-256s of images whose signature the site itself has checked.
    """

    folder: PurePosixPath
    manifest: dict[str, Any]
    plan: DeploymentPlan
    checked: frozenset[str] = frozenset()


def deploy(
    transport: Transport, site: Site, release: Release, progress: Progress | None = None
) -> Deployed:
    """Deploy a release and make it the current version.

    ``progress`` is told the SHA-256, bytes done and bytes in all while an image is copied.
    Raises ``SiteError`` (transient: call again), ``EntryError`` for files that cannot be deployed
    and ``SettingsError`` for an image that is damaged here or not signed as it must be.
    """
    places = layout(site)
    proofs = proofs_here(release)
    wanted = digests(proofs)
    signers = write_signers(release.signers, NAMESPACE, datetime.now(UTC))
    signers_digest = hashlib.sha256(signers.encode("ascii")).hexdigest() if signers else ""
    present = inspect(transport, site, release)
    plan = plan_deployment(release, present, places, proofs=wanted, signers=signers_digest)
    folder = places.version(release.workflow, release.commit)
    if plan.done:
        return Deployed(folder, dict(present.manifest or {}), plan)
    verify_here(release)
    work = _Work(transport, site, release, places)
    work.prepare()
    verified = frozenset(image.sha256 for image in plan.upload if work.upload(image, progress))
    for sha256 in plan.proofs:
        work.put_proof(sha256, proofs[sha256])
    if plan.signers:
        put_signers(transport, site, signers)
    if plan.sources:
        work.unpack()
    manifest = work.write_manifest() if plan.manifest else dict(present.manifest or {})
    checked: frozenset[str] = frozenset()
    if plan.activate or plan.manifest or plan.proven:
        images = {image.sha256: image.size for image in release.images.values()}
        name, commit = release.workflow, release.commit
        proven = Proven(wanted, signers_digest, verified)
        checked = activate(transport, site, name, commit, images, proven)
    return Deployed(folder, manifest, plan, checked)


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
    images, proofs, words, sources = {}, {}, {"current": "", "signers": ""}, False
    for line in head.splitlines():
        word, *rest = line.split()
        if word == "image":
            images[rest[0]] = int(rest[1])
        elif word == "proof":
            proofs[rest[0]] = (rest[1], rest[2])
        elif word in words:
            words[word] = rest[0] if rest else ""
        sources = sources or word == "sources"
    manifest = _manifest(text) if found else None
    return Present(images, sources, manifest, words["current"], proofs, words["signers"])


@dataclass(frozen=True, slots=True)
class Proven:
    """What is known of images before they are activated.

    ``proofs`` are the SHA-256s of provenance and signature of those that are signed, ``signers``
    that of the site's file of allowed signers (empty: whatever is there), ``verified`` the images
    that the site has hashed just now, so that it need not do so again.
    """

    proofs: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    signers: str = ""
    verified: frozenset[str] = frozenset()

    def argument(self, sha256: str, size: int) -> str:
        """What the script on the site is told of an image."""
        provenance, signature = self.proofs.get(sha256, ("-", "-"))
        known = "+" if sha256 in self.verified else "-"
        return f"{sha256}:{size}:{provenance}:{signature}:{known}"


def activate(
    transport: Transport,
    site: Site,
    workflow: str,
    commit: str,
    images: Mapping[str, int],
    proven: Proven,
) -> frozenset[str]:
    """Make a version the current one, if all it needs is there (``images``: SHA-256 → size).

    Images are hashed on the site, 1 to 2 seconds a gigabyte. Returns those whose signature the
    site has checked, which takes OpenSSH 8.1 there. Raises ``SiteError``; then nothing changes.
    """
    done = remote.call(
        transport,
        site,
        "switch to the version",
        remote.ACTIVATE,
        str(layout(site).root),
        workflow,
        commit,
        proven.signers or "-",
        *(proven.argument(sha256, size) for sha256, size in sorted(images.items())),
        allowed=(remote.DAMAGED, remote.INCOMPLETE),
        timeout=remote.SECONDS + remote.SECONDS_PER_GIGABYTE * sum(images.values()) / 1e9,
    )
    lines = [line.split() for line in done.stdout.splitlines()]
    if done.exit_code == remote.INCOMPLETE:
        message = f"{workflow} at {commit[:12]} is not complete: something was removed meanwhile"
        hint = "deploying it again puts it right"
        raise SiteError(message, site=site.name, transient=True, hint=hint)
    if done.exit_code == remote.DAMAGED:
        raise _damaged(site, f"{workflow} at {commit[:12]}", lines[-1] if lines else [])
    return frozenset(line[1] for line in lines if line[:1] == ["signed"])


def _damaged(site: Site, version: str, told: list[str]) -> SiteError:
    _, what, sha256 = told if len(told) == 3 else ("", "", "")
    of_image = {
        "image": "is not what was put there",
        "provenance": "has a provenance that is not what was put there",
        "signature": "has a signature that is not good",
        "signers": "cannot be judged: the file of allowed signers is not what was put there",
    }
    why = of_image.get(what, "is damaged")
    message = f"{version} is not activated: image {sha256[:12]} {why}"
    return SiteError(message, site=site.name, hint=HINT)


def put_signers(transport: Transport, site: Site, text: str) -> None:
    """Write the file of allowed signers of a site."""
    with TemporaryDirectory() as scratch:
        file = Path(scratch) / "allowed_signers"
        file.write_text(text, encoding="ascii")
        transport.put(file, layout(site).signers)


@dataclass(frozen=True, slots=True)
class _Work:
    """The single steps of one deployment."""

    transport: Transport
    site: Site
    release: Release
    places: Layout

    def prepare(self) -> None:
        """Have the folders, without what cuts have left in them."""
        args = (str(self.places.root), self.release.workflow)
        what = "make the folders of deployments"
        remote.call(self.transport, self.site, what, remote.PREPARE, *args)

    def put_proof(self, sha256: str, proof: Proof) -> None:
        """Have the provenance of an image on the site, and the signature of it."""
        self.transport.put(proof.provenance, self.places.provenance(sha256))
        self.transport.put(proof.signature, self.places.signature(sha256))

    def upload(self, image: ImageFile, progress: Progress | None) -> bool:
        """Have an image on the site: what an earlier call has sent is looked at first.

        Returns whether it was hashed there; it was not if another deployment has put it there.
        """
        there = self.places.image(image.sha256)
        sent = there.with_name(f".{image.sha256}.upload")
        done = self._verified(image, sent, there)
        if done.exit_code == 0:
            return done.stdout.strip() == "verified"

        def told(done: int, size: int) -> None:
            if progress is not None:
                progress(image.sha256, done, size)

        self.transport.put(image.path, sent, progress=told)
        done = self._verified(image, sent, there)
        if done.exit_code == 0:
            return done.stdout.strip() == "verified"
        if sha256_of(image.path) != image.sha256:
            raise SettingsError(
                f"the image file {image.path} is damaged",
                hint="remove it from the image store and build the image again",
            )
        message = f"image {image.sha256[:12]} arrived damaged"
        raise SiteError(message, site=self.site.name, transient=True)

    def _verified(self, image: ImageFile, sent: PurePosixPath, there: PurePosixPath) -> Completed:
        args = (str(sent), str(there), image.sha256, str(image.size))
        return remote.call(
            self.transport,
            self.site,
            "verify an image",
            remote.VERIFY,
            *args,
            allowed=(remote.DAMAGED, remote.INCOMPLETE),
            timeout=remote.SECONDS + remote.SECONDS_PER_GIGABYTE * image.size / 1e9,
        )

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
            "created": datetime.now(UTC).isoformat(timespec="microseconds"),
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
