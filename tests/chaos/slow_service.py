"""``waas serve`` with an image builder that makes small files, and stops where a test wants it to.

    python slow_service.py CONFIG FOLDER

While ``FOLDER/hold-<phase>`` exists, whoever comes to that phase writes ``FOLDER/at-<phase>`` and
waits. ``FOLDER/effects`` gets a line for each thing that was done.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import hooks.image_service
from builder.backends.seams import BuildContext, Built, LogLine
from builder.build import ImageService
from builder.process import CancelledError
from builder.settings import BuilderSettings
from hooks import home
from hooks.builds.records import BuildRecords
from hooks.config import Settings

CONFIG, FOLDER = sys.argv[1], Path(sys.argv[2])


def effect(text: str) -> None:
    descriptor = os.open(FOLDER / "effects", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(descriptor, f"{text}\n".encode())
    os.close(descriptor)


def hold(phase: str, cancelled: Any = lambda: False) -> None:
    while (FOLDER / f"hold-{phase}").exists():
        (FOLDER / f"at-{phase}").touch()
        if cancelled():
            effect("cancelled")
            raise CancelledError
        time.sleep(0.02)


class SlowBuilder:
    name = "slow"

    def available(self) -> str:
        return ""

    def build(
        self, context: BuildContext, folder: Path, log: LogLine, *, timeout: float, cancelled: Any
    ) -> Built:
        step = next(iter(context.files["step"].glob("name.txt"))).read_text().strip()
        effect(f"build {step}")
        hold("STARTED", cancelled)
        log("building")
        hold("BUILDING", cancelled)
        (folder / "image").mkdir()
        (folder / "image" / "content").write_text(step)
        return Built(folder / "image", "sandbox", "sha256:" + "1" * 64)


def convert(
    built: Built, output: Path, _settings: BuilderSettings, log: LogLine, **more: Any
) -> None:
    log("converting")
    hold("CONVERTING", more.get("cancelled", lambda: False))
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
    return ImageService(chosen, image_builder=SlowBuilder(), convert=convert)


finish = BuildRecords.finish


def held_finish(self: BuildRecords, build: str, image: Any) -> bool:
    hold("PUBLISHED")
    return finish(self, build, image)


if __name__ == "__main__":
    from hooks.cli.main import waas

    hooks.image_service.image_service = images  # type: ignore[assignment]
    BuildRecords.finish = held_finish  # type: ignore[method-assign]
    waas.main(["--config", CONFIG, "serve"], standalone_mode=False)
