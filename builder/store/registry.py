"""Images by key in an OCI registry. Only images of main go there."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from builder.store import oci
from builder.store.distribution import Distribution
from builder.store.files import told
from builder.store.image import (
    KEY,
    MAIN,
    METADATA,
    SIF,
    Image,
    checked_key,
    parse_image,
)
from builder.store.oci import Blob
from ci.errors import SettingsError, SiteError


class RegistryStore:
    """Images in a repository of a registry, each by a tag that is its content key.

    ``login`` is a file with ``user:password`` that nobody else may read. Methods raise
    ``SiteError`` (``transient`` if the same may work later) and ``SettingsError``.
    """

    def __init__(self, url: str, repository: str, login: Path | None = None) -> None:
        self._remote = Distribution(url, repository, login)
        self.name = self._remote.name

    def has(self, key: str) -> bool:
        """Say whether there is an image of this key."""
        return self._remote.has_manifest(checked_key(key))

    def keys(self) -> Iterator[str]:
        """Return the keys of all images."""
        return (tag for tag in self._remote.tags() if KEY.fullmatch(tag))

    def push(self, folder: Path, *, replace: bool = False) -> bool:
        """Send an image's folder; say whether that was needed.

        An image that is there stays unless ``replace``. The image is there when its tag is, which
        comes last, so that what a killed process has sent is no image.
        """
        with told(f"cannot read {folder}"):
            metadata = (folder / METADATA).read_bytes()
            try:
                image = parse_image(metadata)
            except ValueError as error:
                raise SettingsError(f"{folder / METADATA} is damaged: {error}") from error
            if not replace and self.has(image.key):
                return False
            self._send(folder, image, metadata)
        return True

    def _send(self, folder: Path, image: Image, metadata: bytes) -> None:
        paths = _files(folder)
        blobs = {title: _blob_of(path) for title, path in paths.items()}
        sif = blobs.pop(SIF, None)
        if sif is None or sif.digest != image.digest:
            raise SettingsError(
                f"{folder / SIF} is not the image that was built",
                hint="remove the image; it will be built anew",
            )
        for title, blob in {**blobs, SIF: sif}.items():
            with paths[title].open("rb") as file:
                self._remote.put_blob(blob, file)
        for content in (metadata, oci.EMPTY):
            self._remote.put_blob(oci.blob_of(content), io.BytesIO(content))
        records = oci.records_manifest(image.key, blobs)
        self._remote.put_manifest(oci.records_tag(image.key), records)
        digest = oci.blob_of(records).digest
        manifest = oci.image_manifest(image, oci.blob_of(metadata), sif, digest)
        self._remote.put_manifest(image.key, manifest)

    def metadata(self, key: str) -> bytes | None:
        """Return ``metadata.json`` of an image, if there is one of this key."""
        found = self._manifest(key)
        return self._metadata(key, found) if found else None

    def pull(self, key: str, folder: Path) -> bool:
        """Write an image into an empty folder, whole or not at all; say whether there is one.

        Every file is as its digest says, and the SIF as the image's metadata say.
        """
        manifest = self._manifest(key)
        if manifest is None:
            return False
        try:
            with told(f"cannot write {folder}"):
                self._receive(key, manifest, folder)
        except BaseException:
            _clear(folder)
            raise
        return True

    def _receive(self, key: str, manifest: oci.ImageManifest, folder: Path) -> None:
        metadata = self._metadata(key, manifest)
        records = self._remote.manifest(manifest.records)
        if records is None:
            raise SiteError(f"the registry {self.name} has lost the records of image {key[:12]}")
        try:
            files = oci.read_records_manifest(records)
        except ValueError as error:
            raise self._wrong(key, error) from error
        for title, blob in {SIF: manifest.sif, **files}.items():
            path = folder / title
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                self._remote.get_blob(blob, file)
        (folder / METADATA).write_bytes(metadata)

    def _manifest(self, key: str) -> oci.ImageManifest | None:
        content = self._remote.manifest(checked_key(key))
        try:
            return oci.read_image_manifest(content) if content is not None else None
        except ValueError as error:
            raise self._wrong(key, error) from error

    def _metadata(self, key: str, manifest: oci.ImageManifest) -> bytes:
        content = self._remote.content(manifest.metadata, oci.MOST_METADATA_BYTES)
        try:
            image = parse_image(content, scope=MAIN)
            if image.key != key:
                raise ValueError("it has another content key")
            if image.digest != manifest.sif.digest:
                raise ValueError("its SIF is another one than its metadata say")
        except ValueError as error:
            raise self._wrong(key, error) from error
        return content

    def _wrong(self, key: str, error: ValueError) -> SiteError:
        return SiteError(
            f"{self.name}:{key[:12]}… is no image of ours: {error}", hint="remove that tag"
        )


def _files(folder: Path) -> dict[str, Path]:
    """Return path in the folder → path, of all files but the metadata."""
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            if path.is_symlink() or not path.is_file():
                raise SettingsError(f"{path} is no regular file, so it cannot go to a registry")
            found[path.relative_to(folder).as_posix()] = path
    found.pop(METADATA, None)
    return found


def _blob_of(path: Path) -> Blob:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Blob(f"sha256:{digest}", file.tell())


def _clear(folder: Path) -> None:
    with suppress(OSError):
        for path in folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
