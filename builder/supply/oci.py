"""The layers of an image in an OCI layout, a folder or one tar of it.

https://github.com/opencontainers/image-spec: image-layout.md, image-index.md, manifest.md.
"""

from __future__ import annotations

import gzip
import json
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol, cast

from backports import zstd

from builder.supply.tar import Source
from ci.errors import EntryError

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_MAX_DOCUMENT = 8 << 20  # bytes of an index or a manifest
_MAX_MEMBERS = 10_000  # of an archive: blobs; an image has at most some hundred
_MAX_DEPTH = 3  # an index of indexes
_ZSTD_WINDOW_LOG = 27  # 128 MiB, what zstd itself takes without --long
_INDEXES = frozenset(
    {
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    }
)
_BROKEN = (OSError, EOFError, zlib.error, zstd.ZstdError, tarfile.TarError)


class Layout(Protocol):
    """Where the files of an OCI layout are."""

    def open(self, name: str) -> IO[bytes]:
        """Open a file of the layout. Raises ``EntryError`` if there is none."""


class _Folder:
    def __init__(self, path: Path) -> None:
        self._path = path

    def open(self, name: str) -> IO[bytes]:
        try:
            return (self._path / name).open("rb")
        except OSError as error:
            raise EntryError(f"the image has no {name}: {error.strerror}") from None


class _Archive:
    """A tar that an engine of ours wrote, with offsets: blobs can be read in any order."""

    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive
        self._members: dict[str, tarfile.TarInfo] = {}
        for count, member in enumerate(archive):
            if count > _MAX_MEMBERS:
                raise EntryError("the image's archive has too many files")
            if member.isreg():
                self._members[member.name.removeprefix("./")] = member

    def open(self, name: str) -> IO[bytes]:
        member = self._members.get(name)
        stream = self._archive.extractfile(member) if member else None
        if stream is None:
            raise EntryError(f"the image has no {name}")
        return stream


@contextmanager
def open_layout(path: Path) -> Iterator[Layout]:
    """Open an OCI layout: a folder, or a tar. Raises ``EntryError`` if it is neither."""
    if path.is_dir():
        yield _Folder(path)
        return
    try:
        with tarfile.open(path, "r:") as archive:
            yield _Archive(archive)
    except (tarfile.TarError, OSError) as error:
        raise EntryError(f"{path.name} is no OCI archive: {error}") from None


def layers(layout: Layout, platform: str = "") -> Iterator[Source]:
    """Return each layer as a stream of a tar, the lowest first.

    Args:
        layout: an opened layout.
        platform: ``os/arch`` (and ``/variant``); needed only if it holds several images.

    Raises:
        EntryError: it is no image, or has none for the platform.
    """
    for descriptor in _list(_manifest(layout, platform).get("layers")):
        with layout.open(_blob(descriptor)) as stream:
            yield _Unpacked(stream)


class _Unpacked:
    """A layer, unpacked as its first bytes say (media types of engines are not all right)."""

    def __init__(self, stream: IO[bytes]) -> None:
        head = stream.read(4)
        stream.seek(0)
        if head.startswith(b"\x1f\x8b"):
            self._source = cast("IO[bytes]", gzip.GzipFile(fileobj=stream))
        elif head == b"\x28\xb5\x2f\xfd":
            options = {int(zstd.DecompressionParameter.window_log_max): _ZSTD_WINDOW_LOG}
            self._source = cast("IO[bytes]", zstd.ZstdFile(stream, options=options))
        else:
            self._source = stream
        self._plain = self._source is stream

    def read(self, size: int, /) -> bytes:
        try:
            return self._source.read(size)
        except _BROKEN as error:
            raise EntryError(f"a layer of the image cannot be unpacked: {error}") from None

    def jump(self, position: int, /) -> bool:
        if self._plain:
            self._source.seek(position)
        return self._plain


def _manifest(layout: Layout, platform: str) -> Mapping[str, Any]:
    document = _document(layout, "index.json")
    for _ in range(_MAX_DEPTH):
        chosen = _choose(_list(document.get("manifests")), platform)
        document = _document(layout, _blob(chosen))
        if chosen.get("mediaType") not in _INDEXES:
            return document
    raise EntryError("the image's indexes go too deep")


def _choose(found: list[Mapping[str, Any]], platform: str) -> Mapping[str, Any]:
    # an attestation that an engine adds has the platform unknown/unknown
    images = [one for one in found if _platform(one) != "unknown/unknown"]
    if len(images) > 1:
        images = [one for one in images if _platform(one) == platform]
    if len(images) != 1:
        raise EntryError(f"there is not exactly one image for {platform or 'one platform'} in it")
    return images[0]


def _platform(descriptor: Mapping[str, Any]) -> str:
    platform = descriptor.get("platform")
    if not isinstance(platform, Mapping):
        return ""
    parts = (platform.get(name) for name in ("os", "architecture", "variant"))
    return "/".join(str(part) for part in parts if part)


def _document(layout: Layout, name: str) -> Mapping[str, Any]:
    with layout.open(name) as stream:
        content = stream.read(_MAX_DOCUMENT + 1)
    if len(content) > _MAX_DOCUMENT:
        raise EntryError(f"the image's {name} is too large")
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, Mapping):
        raise EntryError(f"the image's {name} is no JSON object")
    return document


def _list(value: object) -> list[Mapping[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(one, Mapping) for one in value):
        raise EntryError("the image's index or manifest is not one of OCI")
    return value


def _blob(descriptor: Mapping[str, Any]) -> str:
    found = _DIGEST.fullmatch(str(descriptor.get("digest")))
    if not found:
        raise EntryError("the image's index or manifest names a blob without a SHA-256")
    return f"blobs/sha256/{found[1]}"
