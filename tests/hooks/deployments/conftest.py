"""Images that are sealed as the image store has them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from builder.store import Image
from builder.supply.inventory import Inventory
from builder.supply.provenance import Origin
from builder.supply.seal import seal
from ci.target import Target
from hooks.deployments.plan import ImageFile


@pytest.fixture
def sealed_image() -> Callable[..., ImageFile]:
    """Seal some bytes as an image in a store: ``sealed_image(store, content, key)``."""

    def make(
        store: Path, content: bytes, key: Ed25519PrivateKey, invocation: str = "one"
    ) -> ImageFile:
        sha256 = hashlib.sha256(content).hexdigest()
        folder = store / f"{sha256}-{invocation}"
        file = ImageFile(folder / "image.sif", sha256, len(content))
        if folder.exists():
            return file
        folder.mkdir(parents=True)
        file.path.write_bytes(content)
        (folder / "recipe").write_text("FROM base\n")
        image = Image(
            key=sha256,
            digest=f"sha256:{sha256}",
            oci_digest="sha256:1",
            base_digest="sha256:2",
            workflow="flow",
            step="step",
            target=Target(),
            environment={},
            created="",
            size=len(content),
            duration=0.0,
            builder="test",
        )
        origin = Origin(invocation=invocation)
        seal(folder, image, found=Inventory(), origin=origin, key=key, source_date_epoch=0)
        return file

    return make
