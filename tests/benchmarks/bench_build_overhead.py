"""What our way to an image costs beside the programs that make it, given the same Dockerfile.

By hand: `docker buildx build` of the same text with the same options, then `apptainer build` of
its archive. Ours: `ImageService.ensure`, which also takes stock of the image, seals and keeps
it. Runs alternate, and no step of any comes from a cache: each has another SOURCE_DATE_EPOCH.
Prints figures, asserts none. Runs as many times as WAAS_BENCH_RUNS says (3).
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from builder.backends.buildx import Buildx
from builder.backends.seams import BuildContext, Built, Cancelled, LogLine, never
from builder.build import BuildRequest, ImageService
from builder.secrets import detect_secrets
from builder.settings import BuilderSettings, resolve_base
from builder.supply.signature import new_key
from ci.software.environment import read_environment
from ci.target import Target

if TYPE_CHECKING:
    from hooks.testbed.engine import Engine

pytestmark = [pytest.mark.engine, pytest.mark.slow]

RUNS = int(os.environ.get("WAAS_BENCH_RUNS", "3"))
FILES = {"packages.txt": b"hello\n", "requirements.txt": b"six==1.17.0\n", "a.txt": b"a\n"}
SQUASH = "-comp zstd -Xcompression-level 3"
EPOCH = 1_600_000_000


class Timed(Buildx):
    """Notes how long builds take."""

    def __init__(self, settings: BuilderSettings) -> None:
        super().__init__(settings)
        self.took = 0.0

    def build(
        self,
        context: BuildContext,
        folder: Path,
        log: LogLine,
        *,
        timeout: float,
        cancelled: Cancelled = never,
    ) -> Built:
        begun = time.monotonic()
        built = super().build(context, folder, log, timeout=timeout, cancelled=cancelled)
        self.took = time.monotonic() - begun
        return built


@pytest.fixture
def settings_of(
    engine: Engine, apptainer: Path, debian_base: Path, tmp_path: Path
) -> Callable[[int], BuilderSettings]:
    base, digest = resolve_base(f"oci-layout://{debian_base}")
    key = new_key()
    secrets = detect_secrets(os.environ, tmp_path / "secrets")

    def make(epoch: int) -> BuilderSettings:
        return BuilderSettings(
            base=base,
            base_digest=digest,
            store=tmp_path / f"images-{epoch}",
            work=tmp_path / f"work-{epoch}",
            signing_key=lambda: key,
            environment=engine.environment,
            apptainer=(str(apptainer),),
            secrets=secrets,
            source_date_epoch=epoch,
        )

    return make


def request() -> BuildRequest:
    return BuildRequest(
        workflow="example",
        step="hello",
        environment=read_environment(FILES, "example/hello"),
        target=Target(microarchitecture="x86_64"),
        files=FILES,
    )


def ours(settings: BuilderSettings) -> tuple[float, float]:
    """Return the seconds of the build alone, and of all."""
    builder = Timed(settings)
    service = ImageService(settings, image_builder=builder)
    begun = time.monotonic()
    service.ensure(request())
    took = time.monotonic() - begun
    shutil.rmtree(settings.store)
    return builder.took, took


def by_hand(settings: BuilderSettings, folder: Path) -> tuple[float, float]:
    """Return the seconds of the build alone, and of all."""
    folder.mkdir()
    text = ImageService(settings).recipe(request()).dockerfile()
    begun = time.monotonic()
    (folder / "context" / "step").mkdir(parents=True)
    for name, content in FILES.items():
        (folder / "context" / "step" / name).write_bytes(content)
    (folder / "Dockerfile").write_text(text)
    argv = ["docker", "buildx", "build", "--progress=plain", "--provenance=false"]
    argv += [f"--network={settings.network}", f"--build-context=base={settings.base}"]
    argv += ["--platform=linux/amd64", f"--file={folder / 'Dockerfile'}", "--target=image"]
    argv += [f"--output=type=oci,compression=uncompressed,dest={folder / 'image.tar'}"]
    argv += [f"--secret=id={name},src={path}" for name, path in settings.secrets.items()]
    call([*argv, str(folder / "context")], settings.environment, settings.source_date_epoch)
    built = time.monotonic() - begun
    argv = [*settings.apptainer, "build", "--mksquashfs-args", SQUASH]
    argv += [str(folder / "image.sif"), f"oci-archive:{folder / 'image.tar'}"]
    call(argv, settings.environment, settings.source_date_epoch)
    took = time.monotonic() - begun
    shutil.rmtree(folder)
    return built, took


def call(argv: list[str], environment: Mapping[str, str], epoch: int) -> None:
    environ = {**os.environ, **environment, "SOURCE_DATE_EPOCH": str(epoch)}
    subprocess.run(argv, env=environ, check=True, capture_output=True, timeout=600)


def test_the_same_image_ours_and_by_hand(
    settings_of: Callable[[int], BuilderSettings], tmp_path: Path
) -> None:
    first = EPOCH + int(time.time()) % 100_000_000
    mine: list[tuple[float, float]] = []
    hand: list[tuple[float, float]] = []
    for run in range(RUNS):
        turns = [
            lambda epoch: mine.append(ours(settings_of(epoch))),
            lambda epoch: hand.append(by_hand(settings_of(epoch), tmp_path / str(epoch))),
        ]
        for turn, measure in enumerate(turns if run % 2 else reversed(turns)):
            measure(first + 2 * run + turn)
    for number, what in enumerate(("build alone", "build and SIF")):
        us, them = (statistics.median(times[number] for times in found) for found in (mine, hand))
        each = " ".join(f"{a[number]:.1f}/{b[number]:.1f}" for a, b in zip(mine, hand, strict=True))
        print(f"\n{what}: ours {us:.2f} s, by hand {them:.2f} s, ratio {us / them:.3f} ({each})")
