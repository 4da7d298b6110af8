"""Complete an image's folder before it is published: records, bill of materials, signature.

The private key is opened in here and nowhere else, by the service's own process, after the build
has ended. No build mounts it, and it is in no folder that one can see.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from builder.store import METADATA, RECIPE, SIF, Image
from builder.supply import signature
from builder.supply.inventory import Inventory, records
from builder.supply.provenance import Origin, canonical, statement
from builder.supply.sbom import sbom
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
    key: Path,
    source_date_epoch: int,
) -> None:
    """Write metadata, records, bill of materials, provenance and its signature into a folder.

    The folder has the SIF and the recipe; what this writes is on the disk when it returns. Doing
    it again gives the same, apart from what ``origin`` says of the time.

    Raises:
        SettingsError: the SIF is not the image's, the key cannot be used, the disk is full.
    """
    private = signature.load_key(key)
    try:
        _write(folder / METADATA, image.to_json().encode("utf-8"))
        _write_lists(folder, image, found, source_date_epoch)
        signed = {name: digest_of(path) for name, path in files(folder) if name not in NOT_SIGNED}
        if f"sha256:{signed.get(SIF)}" != image.digest:
            raise SettingsError(f"{folder / SIF} is not the image that was made")
        said = canonical(statement(image, origin, signed, (folder / RECIPE).read_bytes()))
        _write(folder / PROVENANCE, said)
        _write(folder / SIGNATURE, signature.sign(said, private, NAMESPACE).encode("ascii"))
        _sync(folder)
    except OSError as error:
        raise SettingsError(f"cannot complete the image in {folder}: {error.strerror}") from error


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
