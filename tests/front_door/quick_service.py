"""``waas`` with an image builder that makes small files at once, for tests of all around it.

    python quick_service.py CONFIG EFFECTS COMMAND…

The file ``EFFECTS`` gets a line for each image that was built. With ``WAAS_TEST_HASTE`` set,
writes to GitHub are not paced and what was missed is looked for every so many seconds.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import hooks.image_service
import hooks.wiring
from builder.backends.seams import BuildContext, Built, LogLine
from builder.build import ImageService
from builder.settings import BuilderSettings
from builder.store import ImageStore
from hooks import home
from hooks.config import Settings
from hooks.forges.github import limits

CONFIG, EFFECTS = sys.argv[1], Path(sys.argv[2])


def effect(text: str) -> None:
    descriptor = os.open(EFFECTS, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(descriptor, f"{text}\n".encode())
    os.close(descriptor)


class QuickBuilder:
    name = "quick"

    def __init__(self, store: ImageStore) -> None:
        self.store = store

    def available(self) -> str:
        return ""

    def build(
        self, context: BuildContext, folder: Path, log: LogLine, *, timeout: float, cancelled: Any
    ) -> Built:
        [key] = context.labels.values()
        scope = context.cache_scope
        log("building")
        (folder / "image").mkdir()
        (folder / "image" / "content").write_text(key)
        # what a killed process made and did not publish has to be made again
        known = self.store.find(key, scope)
        effect(f"{'again' if known and known.scope == scope else 'build'} {key} {scope}")
        return Built(folder / "image", "sandbox", "sha256:" + "1" * 64)


def convert(
    built: Built, output: Path, _settings: BuilderSettings, _log: LogLine, **_more: Any
) -> None:
    output.write_bytes(b"SIF of " + (built.path / "content").read_bytes())


def images(settings: Settings) -> ImageService:
    home.make_signing_key(settings)
    chosen = BuilderSettings(
        base="oci-layout:///nowhere",
        base_digest="sha256:" + "0" * 64,
        store=settings.images,
        work=settings.work,
        signing_key=home.image_signing(settings).read,
        free_bytes=0,
    )
    builder = QuickBuilder(ImageStore(settings.images))
    return ImageService(chosen, image_builder=builder, convert=convert)


if __name__ == "__main__":
    from hooks.cli.main import waas

    hooks.image_service.image_service = images  # type: ignore[assignment]
    if haste := os.environ.get("WAAS_TEST_HASTE"):
        limits.PER_SECOND = 1e6
        hooks.wiring.RECONCILE_SECONDS = float(haste)
    waas.main(["--config", CONFIG, *sys.argv[3:]], standalone_mode=False)
