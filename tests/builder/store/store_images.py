"""Images of a few bytes, for tests and for the programs that they kill."""

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
