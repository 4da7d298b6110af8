"""OCI layouts of one image (https://github.com/opencontainers/image-spec, image-layout.md)."""

from __future__ import annotations

import hashlib
import json
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ci.errors import SettingsError

_REFERENCE = "org.opencontainers.image.ref.name"
_BASE_NAME = "org.opencontainers.image.base.name"


def view(layout: Path, digest: str, target: Path) -> None:
    """Make ``target`` a layout of only the manifest with this digest, without copying blobs.

    Raises:
        SettingsError: the layout does not hold it, or something else under its name.
    """
    blob = layout / "blobs" / digest.replace(":", "/", 1)
    try:
        content = blob.read_bytes()
        kind = str(json.loads(content)["mediaType"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(f"{layout} does not hold the base image {digest}") from error
    if f"sha256:{hashlib.sha256(content).hexdigest()}" != digest:
        raise SettingsError(f"the base image in {layout} is damaged", hint="make it anew")
    target.mkdir()
    (target / "blobs").symlink_to((layout / "blobs").resolve())
    (target / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}', "utf-8")
    _write_index(target, {"mediaType": kind, "digest": digest, "size": len(content)})


def only_digest(layout: Path) -> str:
    """Return the digest of the one manifest in a layout that a builder wrote."""
    index = json.loads((layout / "index.json").read_text("utf-8"))
    return str(index["manifests"][0]["digest"])


def settle(layout: Path, epoch: int) -> str:
    """Give the image of a layout the same times at each build and return its new digest.

    ``epoch``: seconds since 1970 for the times in its configuration; layers stay as they are.
    """
    index = json.loads((layout / "index.json").read_text("utf-8"))
    descriptor = index["manifests"][0]
    manifest = _take(layout, descriptor)
    config = _take(layout, manifest["config"])
    created = f"{datetime.fromtimestamp(epoch, UTC):%Y-%m-%dT%H:%M:%SZ}"
    config["created"] = created
    for entry in config.get("history", ()):
        if entry.get("created", created) > created:
            entry["created"] = created
    manifest["config"] |= _put(layout, config)
    manifest.get("annotations", {}).pop(_BASE_NAME, None)  # a name that only the builder knows
    descriptor |= _put(layout, manifest)
    descriptor["annotations"] = {_REFERENCE: "latest"}
    _write_index(layout, descriptor)
    return str(descriptor["digest"])


def archive(layout: Path, target: Path) -> None:
    """Write a layout as an OCI archive, the same bytes for the same image."""
    with tarfile.open(target, "w", format=tarfile.USTAR_FORMAT) as tar:
        for path in sorted(layout.rglob("*")):
            tar.add(path, str(path.relative_to(layout)), recursive=False, filter=_plain)


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    member.mode = 0o755 if member.isdir() else 0o644
    return member


def _take(layout: Path, descriptor: dict[str, Any]) -> Any:
    """Return a blob's JSON and remove the blob, which another takes the place of."""
    blob = layout / "blobs" / str(descriptor["digest"]).replace(":", "/", 1)
    value = json.loads(blob.read_bytes())
    blob.unlink()
    return value


def _put(layout: Path, value: object) -> dict[str, object]:
    content = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    digest = hashlib.sha256(content).hexdigest()
    (layout / "blobs" / "sha256" / digest).write_bytes(content)
    return {"digest": f"sha256:{digest}", "size": len(content)}


def _write_index(layout: Path, descriptor: dict[str, Any]) -> None:
    kind = "application/vnd.oci.image.index.v1+json"
    index = {"schemaVersion": 2, "mediaType": kind, "manifests": [descriptor]}
    (layout / "index.json").write_text(json.dumps(index, sort_keys=True), "utf-8")
