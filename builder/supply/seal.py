"""Complete an image's folder before it is published: records, bill of materials, signature.

It is the service's own process that signs, after the build has ended. No build sees the key.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from builder.store import METADATA, RECIPE, SIF, Image
from builder.supply.inventory import Inventory, records
from builder.supply.provenance import Origin, canonical, statement
from builder.supply.sbom import sbom
from builder.supply.signature import sign
from builder.supply.verify import (
    NAMESPACE,
    NOT_SIGNED,
    PROVENANCE,
    RECORDS,
    SBOM,
    SIGNATURE,
    digest_of,
    files,
)
from ci.errors import SettingsError


def seal(
    folder: Path,
    image: Image,
    *,
    found: Inventory,
    origin: Origin,
    key: Ed25519PrivateKey,
    source_date_epoch: int,
) -> None:
    """Write metadata, records, bill of materials, provenance and its signature into a folder.

    The folder has the SIF and the recipe; what this writes is on the disk when it returns. Doing
    it again gives the same, apart from what ``origin`` says of the time.

    Raises:
        SettingsError: the SIF is not the image's, the disk is full.
    """
    try:
        _write(folder / METADATA, image.to_json().encode("utf-8"))
        _write_lists(folder, image, found, source_date_epoch)
        said = _statement(folder, image, origin)
        _write(folder / PROVENANCE, said)
        _write(folder / SIGNATURE, sign(said, key, NAMESPACE).encode("ascii"))
        _sync(folder)
    except OSError as error:
        raise SettingsError(f"cannot complete the image in {folder}: {error.strerror}") from error


def _statement(folder: Path, image: Image, origin: Origin) -> bytes:
    """Return what is to be signed: a statement about all files that are in the folder."""
    digests = {name: digest_of(path) for name, path in files(folder) if name not in NOT_SIGNED}
    if f"sha256:{digests.get(SIF)}" != image.digest:
        raise SettingsError(f"{folder / SIF} is not the image that was made")
    return canonical(statement(image, origin, digests, (folder / RECIPE).read_bytes()))


def _write_lists(folder: Path, image: Image, found: Inventory, source_date_epoch: int) -> None:
    """Write what is in the image: the managers' own lists, and the bill of materials."""
    shutil.rmtree(folder / RECORDS, ignore_errors=True)
    (folder / RECORDS).mkdir()
    for name, content in records(found).items():
        _write(folder / RECORDS / name, content)
    _sync(folder / RECORDS)
    materials = sbom(
        found,
        name=f"{image.workflow}/{image.step}",
        version=image.key,
        digest=image.oci_digest,
        source_date_epoch=source_date_epoch,
    )
    _write(folder / SBOM, materials)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
