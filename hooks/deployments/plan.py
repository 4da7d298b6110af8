"""Where a deployment lies on a site, and what there is left to do for it. Pure.

<deploy>/images/<sha256>.sif                       images, each verified when it arrived
<deploy>/images/<sha256>.provenance.json, .sig     what an image was made from, signed
<deploy>/images/allowed_signers                    the keys that may sign, as OpenSSH reads them
<deploy>/workflows/<workflow>/<commit>/…           the workflow's files, never changed
<deploy>/workflows/<workflow>/<commit>/manifest.json   written last: it says "complete"
<deploy>/workflows/<workflow>/current → <commit>   the version that serves
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from builder.supply.signers import PublicKey
from ci.errors import EntryError, SettingsError
from ci.site import Site

MANIFEST = "manifest.json"
_WORKFLOW = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")  # + after the name of a registry
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image here, to be put on a site: SIF file, its SHA-256 in hex, its size in bytes."""

    path: Path
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Release:
    """What is to be deployed: a workflow's files at a commit, and the image of each step.

    ``folder`` holds the workflow's files (no ``.git``); scratch files are made beside it.
    ``details`` (JSON values) are added to the manifest. ``signers`` are the keys that may sign
    images: each must lie in its folder of the image store, complete and signed. Without any, only
    SHA-256s are compared.
    """

    workflow: str
    commit: str
    folder: Path
    images: Mapping[str, ImageFile]
    details: Mapping[str, Any] = field(default_factory=dict)
    signers: tuple[PublicKey, ...] = ()

    def __post_init__(self) -> None:
        check_names(self.workflow, self.commit)
        for step, image in self.images.items():
            if not _SHA256.fullmatch(image.sha256):
                raise EntryError(f"step {step}: {image.sha256!r} is not a SHA-256")


@dataclass(frozen=True, slots=True)
class Present:
    """What a site has of a release: sizes of images by SHA-256, and how far the version is.

    ``proofs`` are the SHA-256s of each image's provenance and signature, ``signers`` that of the
    file of allowed signers.
    """

    images: Mapping[str, int] = field(default_factory=dict)
    sources: bool = False
    manifest: Mapping[str, Any] | None = None
    current: str = ""
    proofs: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    signers: str = ""


@dataclass(frozen=True, slots=True)
class DeploymentPlan:
    """What is left to do, in the order it is done."""

    upload: tuple[ImageFile, ...]
    sources: bool
    manifest: bool
    activate: bool
    proofs: tuple[str, ...] = ()  # SHA-256s of images
    signers: bool = False

    @property
    def done(self) -> bool:
        """Whether nothing is left."""
        return not (self.proven or self.sources or self.manifest or self.activate)

    @property
    def proven(self) -> bool:
        """Whether anything of images or their proofs changes."""
        return bool(self.upload or self.proofs or self.signers)

    def lines(self) -> list[str]:
        """The plan for a person, a line each."""
        told = [
            f"copy image {image.sha256[:12]} ({image.size / 1e6:.1f} MB)" for image in self.upload
        ]
        told += [f"copy the provenance of image {sha256[:12]}" for sha256 in self.proofs]
        told += ["write the allowed signers"] if self.signers else []
        told += ["copy the workflow's files"] if self.sources else []
        told += ["write the manifest"] if self.manifest else []
        told += ["make it the current version"] if self.activate else []
        return told or ["nothing to do"]


@dataclass(frozen=True, slots=True)
class Layout:
    """The places of deployments on a site."""

    root: PurePosixPath

    def image(self, sha256: str) -> PurePosixPath:
        """The file of an image."""
        return self.root / "images" / f"{sha256}.sif"

    def provenance(self, sha256: str) -> PurePosixPath:
        """What an image was made from."""
        return self.root / "images" / f"{sha256}.provenance.json"

    def signature(self, sha256: str) -> PurePosixPath:
        """The signature of its provenance."""
        return self.root / "images" / f"{sha256}.sig"

    @property
    def signers(self) -> PurePosixPath:
        """The file of allowed signers."""
        return self.root / "images" / "allowed_signers"

    def workflow(self, workflow: str) -> PurePosixPath:
        """The folder of a workflow's versions."""
        return self.root / "workflows" / workflow

    def version(self, workflow: str, commit: str) -> PurePosixPath:
        """The folder of one version."""
        return self.workflow(workflow) / commit


def layout(site: Site) -> Layout:
    """The layout on a site. Raises ``SettingsError`` if the site has no place for deployments."""
    root = PurePosixPath(site.paths.deploy)
    if not root.is_absolute() or ".." in root.parts:
        raise SettingsError(
            f"site {site.name}: paths.deploy: {site.paths.deploy!r} is not an absolute path"
        )
    return Layout(root)


def check_names(workflow: str, commit: str = "") -> None:
    """Raise ``EntryError`` for names that could not be folders."""
    if not _WORKFLOW.fullmatch(workflow):
        raise EntryError(f"{workflow!r} cannot be the name of a workflow")
    if commit and not _COMMIT.fullmatch(commit):
        raise EntryError(f"{commit!r} is not the full id of a commit")


def steps_of(release: Release, places: Layout) -> dict[str, dict[str, Any]]:
    """The manifest's ``steps``: where each step's image is on the site, and if it is signed."""
    signed = {"signed": True} if release.signers else {}
    return {
        step: {
            "image": str(places.image(image.sha256)),
            "sha256": image.sha256,
            "size": image.size,
            **signed,
        }
        for step, image in sorted(release.images.items())
    }


def plan_deployment(
    release: Release,
    present: Present,
    places: Layout,
    *,
    proofs: Mapping[str, tuple[str, str]] | None = None,
    signers: str = "",
) -> DeploymentPlan:
    """What is left to do for a release, given what the site has.

    ``proofs`` and ``signers`` are, as in ``Present``, what the site is to have.
    """
    images = {image.sha256: image for image in release.images.values()}
    said = {**release.details, "steps": steps_of(release, places)}
    same = (
        present.manifest is not None
        and present.sources
        and all(present.manifest.get(name) == value for name, value in said.items())
    )
    return DeploymentPlan(
        upload=tuple(
            images[sha256]
            for sha256 in sorted(images)
            if present.images.get(sha256) != images[sha256].size
        ),
        sources=not present.sources,
        manifest=not same,
        activate=present.current != release.commit,
        proofs=tuple(
            sha256
            for sha256, digests in sorted((proofs or {}).items())
            if present.proofs.get(sha256) != digests
        ),
        signers=present.signers != signers and bool(signers),
    )
