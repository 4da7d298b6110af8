"""Proofs: an image's provenance and its signature, here and on a site."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from builder.store import SIF
from builder.supply.signers import PublicKey, read_signers
from builder.supply.verify import (
    PROVENANCE,
    SIGNATURE,
    digest_of,
    read_statement,
    subjects_of,
    verify,
)
from ci.errors import SettingsError, SiteError
from ci.site import Site
from hooks.deployments.plan import Layout, Release
from hooks.sites.seams import Transport


@dataclass(frozen=True, slots=True)
class Proof:
    """The two files that prove an image, and the SHA-256 of each."""

    provenance: Path
    signature: Path
    digests: tuple[str, str]


def proofs_here(release: Release) -> dict[str, Proof]:
    """Return the proof of each image of a release, by the image's SHA-256; signatures are checked.

    There are none without allowed signers. Reads small files only. Raises ``SettingsError``.
    """
    if not release.signers:
        return {}
    return {
        image.sha256: _proof(image.path.parent, image.sha256, release.signers)
        for image in release.images.values()
    }


def verify_here(release: Release) -> None:
    """Check every byte of a release's images in the store. Raises ``SettingsError``."""
    if release.signers:
        for folder in sorted({image.path.parent for image in release.images.values()}):
            verify(folder, release.signers)


def digests_on_site(
    transport: Transport,
    site: Site,
    places: Layout,
    images: Iterable[str],
    signers: Sequence[PublicKey] = (),
) -> dict[str, tuple[str, str]]:
    """Return the digests of the proofs of images that are on a site, when their signatures hold.

    Without ``signers`` those count that the last deployment has put on the site.

    Raises:
        SiteError: a proof is gone, or is not what was signed.
    """
    found = {}
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        try:
            for sha256 in images:
                if not signers:
                    transport.get(places.signers, folder / "signers")
                    signers = read_signers((folder / "signers").read_text("utf-8", "replace"))
                transport.get(places.provenance(sha256), folder / PROVENANCE)
                transport.get(places.signature(sha256), folder / SIGNATURE)
                found[sha256] = _proof(folder, sha256, signers).digests
        except SettingsError as error:
            why = error.message.replace(f"{folder}/", "")
            message = f"image {sha256[:12]} is not proven: {why}"
            raise SiteError(message, site=site.name, hint=HINT) from None
    return found


HINT = "find out what changed it; deploying the version again puts it right"


def _proof(folder: Path, sha256: str, signers: Sequence[PublicKey]) -> Proof:
    statement, _ = read_statement(folder, signers)
    if subjects_of(statement)[SIF] != sha256:
        raise SettingsError(f"{folder / PROVENANCE} is about another image than {sha256[:12]}")
    provenance, signature = folder / PROVENANCE, folder / SIGNATURE
    return Proof(provenance, signature, (digest_of(provenance), digest_of(signature)))


def digests(proofs: Mapping[str, Proof]) -> dict[str, tuple[str, str]]:
    """Return the digests of proofs, by the image's SHA-256."""
    return {sha256: proof.digests for sha256, proof in proofs.items()}
