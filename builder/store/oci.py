"""Images as artifacts of an OCI registry: manifests written and read. Pure.

OCI image-spec 1.1, manifest.md, "Guidelines for Artifact Usage"
(https://github.com/opencontainers/image-spec/blob/v1.1.0/manifest.md). Two manifests an image:

    <key>           config: metadata.json; its only layer: image.sif; annotation: the digest of
    <key>.records   layers: the other files of the image's folder, by org.opencontainers.image.title

since ``apptainer pull oras://…`` takes an artifact of one layer and no other. The second has a
tag of its own, so that a registry that removes what has no tag keeps it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from builder.store.image import METADATA, SIF, Image

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
ARTIFACT_TYPE = "application/vnd.hpcwaas.image.v1"
RECORDS_TYPE = "application/vnd.hpcwaas.image.records.v1"
METADATA_TYPE = "application/vnd.hpcwaas.image.metadata.v1+json"
SIF_TYPE = "application/vnd.sylabs.sif.layer.v1.sif"
FILE_TYPE = "application/octet-stream"
TITLE = "org.opencontainers.image.title"
SOFTWARE = "org.hpcwaas.software-key"
RECORDS = "org.hpcwaas.records"
EMPTY = b"{}"
_EMPTY_TYPE = "application/vnd.oci.empty.v1+json"

MOST_MANIFEST_BYTES = 4 << 20  # what registries must take at least, and most take at most
MOST_METADATA_BYTES = 4 << 20
_MOST_TITLE = 255
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Blob:
    """Content of a registry: its digest (``sha256:…``) and its size in bytes."""

    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class ImageManifest:
    """What the manifest of an image names."""

    metadata: Blob
    sif: Blob
    records: str  # digest of the other manifest


def blob_of(content: bytes) -> Blob:
    """Return the descriptor of content."""
    return Blob(f"sha256:{hashlib.sha256(content).hexdigest()}", len(content))


def records_tag(key: str) -> str:
    """Return the tag of the second manifest."""
    return f"{key}.records"


def image_manifest(image: Image, metadata: Blob, sif: Blob, records: str) -> bytes:
    """Return the manifest of an image; the same arguments give the same bytes."""
    layer = _descriptor(SIF_TYPE, sif) | {"annotations": {TITLE: SIF}}
    annotations = {
        TITLE: f"{image.workflow}-{image.step}.sif",
        "org.opencontainers.image.created": image.created,
        SOFTWARE: image.software_key,
        RECORDS: records,
    }
    return _manifest(ARTIFACT_TYPE, _descriptor(METADATA_TYPE, metadata), [layer], annotations)


def records_manifest(key: str, files: Mapping[str, Blob]) -> bytes:
    """Return the manifest of the other files: path in the image's folder → content."""
    layers = [
        _descriptor(FILE_TYPE, blob) | {"annotations": {TITLE: title}}
        for title, blob in sorted(files.items())
    ]
    config = _descriptor(_EMPTY_TYPE, blob_of(EMPTY))
    # an artifact has one layer at least: the empty one, if there is nothing else
    return _manifest(RECORDS_TYPE, config, layers or [config], {"org.hpcwaas.content-key": key})


def _manifest(
    kind: str,
    config: Mapping[str, Any],
    layers: Sequence[Mapping[str, Any]],
    annotations: Mapping[str, str],
) -> bytes:
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "artifactType": kind,
        "config": config,
        "layers": layers,
        "annotations": {name: text for name, text in annotations.items() if text},
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _descriptor(media_type: str, blob: Blob) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": blob.digest, "size": blob.size}


def read_image_manifest(content: bytes) -> ImageManifest:
    """Return what the manifest of an image names. Raises ``ValueError`` if it is none of ours."""
    document = _document(content, ARTIFACT_TYPE)
    layers = document["layers"]
    if len(layers) != 1 or layers[0].get("mediaType") != SIF_TYPE:
        raise ValueError("it has another layer than a SIF")
    records = document.get("annotations", {}).get(RECORDS, "")
    if not isinstance(records, str) or not _DIGEST.fullmatch(records):
        raise ValueError("it does not name the image's records")
    return ImageManifest(_blob(document["config"]), _blob(layers[0]), records)


def read_records_manifest(content: bytes) -> dict[str, Blob]:
    """Return path → content. Raises ``ValueError`` for any path that leaves the folder."""
    files: dict[str, Blob] = {}
    for layer in _document(content, RECORDS_TYPE)["layers"]:
        if layer.get("mediaType") == _EMPTY_TYPE:
            continue
        title = _title(layer)
        if title in files:
            raise ValueError(f"two files are named {title!r}")
        files[title] = _blob(layer)
    for title in files:
        if any(str(parent) in files for parent in PurePosixPath(title).parents):
            raise ValueError(f"{title!r} is in a file")
    return files


def _document(content: bytes, kind: str) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError("it is no JSON") from error
    if not isinstance(document, dict) or document.get("artifactType") != kind:
        raise ValueError(f"it is no {kind}")
    layers, annotations = document.get("layers"), document.get("annotations", {})
    if not isinstance(layers, list) or not all(isinstance(layer, dict) for layer in layers):
        raise ValueError("it has no layers")
    if not isinstance(annotations, dict) or not isinstance(document.get("config"), dict):
        raise ValueError("it has no config, or annotations of another form")
    return document


def _blob(descriptor: Mapping[str, Any]) -> Blob:
    digest, size = descriptor.get("digest"), descriptor.get("size")
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise ValueError("a digest is no SHA-256")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise ValueError("a size is no number of bytes")
    return Blob(digest, size)


def _title(layer: Mapping[str, Any]) -> str:
    annotations = layer.get("annotations")
    title = annotations.get(TITLE) if isinstance(annotations, dict) else None
    if not isinstance(title, str) or not 0 < len(title) <= _MOST_TITLE:
        raise ValueError("a file has no name")
    parts = title.split("/")
    if not title.isprintable() or {"", ".", ".."} & set(parts) or parts[0] in {SIF, METADATA}:
        raise ValueError(f"{title!r} is no name of a file beside an image")
    return title
