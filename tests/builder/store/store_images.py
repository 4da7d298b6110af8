"""Images of a few bytes, for tests and for the programs that they kill."""

import hashlib
from pathlib import Path
from typing import Any

from builder.store import Image, ImageStore
from ci.target import Target


def make_image(key: str = "a" * 64, scope: str = "main", **fields: object) -> Image:
    known = {
        "key": key,
        "digest": "sha256:1",
        "oci_digest": "sha256:2",
        "base_digest": "sha256:3",
        "workflow": "example",
        "step": "hello",
        "target": Target(microarchitecture="zen3"),
        "environment": {"apt": ["hello"]},
        "created": "2026-01-01",
        "size": 3,
        "duration": 1.5,
        "builder": "hpcwaas 1 fake",
        "software_key": "5" * 64,
        "scope": scope,
    }
    return Image(**{**known, **fields})  # type: ignore[arg-type]


def publish_image(
    store: ImageStore, wanted: Image, content: str = "SIF", *, replace: bool = False
) -> Image:
    part = store.begin(wanted.key)
    (part / "image.sif").write_text(content)
    return store.publish(part, wanted, replace=replace)


def make_folder(
    folder: Path, key: str = "a" * 64, content: bytes = b"SIF", **fields: object
) -> Image:
    """A folder as the store has it, with records, and with the digest that the file has."""
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    made = make_image(key, digest=digest, size=len(content), **fields)  # type: ignore[arg-type]
    (folder / "records").mkdir(parents=True)
    (folder / "records" / "dpkg.txt").write_text("hello 2.10\n")
    (folder / "records" / "empty.txt").write_text("")
    (folder / "build.log").write_text("built\n")
    (folder / "image.sif").write_bytes(content)
    (folder / "metadata.json").write_text(made.to_json())
    return made


def publish_real(
    store: ImageStore, key: str = "a" * 64, content: bytes = b"SIF", **how: Any
) -> Image:
    """Publish a folder whose digests are right."""
    replace = how.pop("replace", False)
    part = store.begin(key)
    part.rmdir()
    made = make_folder(part, key, content, **how)
    return store.publish(part, made, replace=replace)
