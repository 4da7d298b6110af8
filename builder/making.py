"""One attempt at an image: context, build, SIF, seal. What it leaves is in the attempt's folder."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TextIO

from builder import checkout
from builder.backends.seams import BuildContext, Built, ImageBuilder
from builder.content_key import canonical
from builder.plan import ImagePlan
from builder.request import BuildRequest, Phase, Progress
from builder.settings import BuilderSettings
from builder.store import LOG, RECIPE, SIF, Image
from builder.supply.inventory import Inventory, inventory
from builder.supply.provenance import Origin
from builder.supply.seal import seal
from builder.supply.signature import parse_key
from ci.software.environment import POST_INSTALL

LABEL = "org.hpcwaas.content-key"
INPUTS = "inputs.json"


@dataclass(frozen=True, slots=True)
class Workshop:
    """What images are made with."""

    settings: BuilderSettings
    image_builder: ImageBuilder
    convert: Callable[..., None]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt: ``part`` is the folder that becomes the image's, ``work`` is for scratch."""

    request: BuildRequest
    plan: ImagePlan
    files: Mapping[str, Mapping[str, bytes]]
    part: Path
    work: Path
    progress: Progress
    cancelled: Callable[[], bool]


def make_image(shop: Workshop, attempt: Attempt) -> Image:
    """Make an image in the attempt's folder, complete and sealed, and return its metadata.

    Raises:
        EntryError: the recipe or a test of the image fails; SettingsError: the engine, a tool or
            the key that signs does; SiteError: package servers do not answer; CancelledError.
    """
    begun, started = time.monotonic(), _now()
    (attempt.part / RECIPE).write_text(attempt.plan.recipe.text, "utf-8")
    (attempt.part / INPUTS).write_bytes(canonical(attempt.plan.inputs) + b"\n")
    with (attempt.part / LOG).open("w", encoding="utf-8", buffering=1) as log:
        built, found = _build(shop, attempt, log)
    image = _image(shop, attempt, built, found, round(time.monotonic() - begun, 3))
    seal(
        attempt.part,
        image,
        found=found,
        origin=_origin(shop, attempt, started),
        key=parse_key(shop.settings.signing_key()),
        source_date_epoch=shop.settings.source_date_epoch,
    )
    return image


def _build(shop: Workshop, attempt: Attempt, log: TextIO) -> tuple[Built, Inventory]:
    """Build, look into the image, convert it to a SIF."""

    def tell(phase: Phase) -> Callable[[str], None]:
        def line(text: str) -> None:
            log.write(text + "\n")
            attempt.progress(phase, text)

        return line

    target = attempt.plan.target
    built = shop.image_builder.build(
        _context(shop.settings, attempt),
        attempt.work,
        tell(Phase.BUILDING),
        timeout=shop.settings.build_timeout,
        cancelled=attempt.cancelled,
    )
    found = inventory(built.path, platform=target.platform)
    shop.convert(
        built,
        attempt.part / SIF,
        shop.settings,
        tell(Phase.CONVERTING),
        container_engine=target.container_engine,
        labels={LABEL: attempt.plan.key},
        cancelled=attempt.cancelled,
    )
    return built, found


def _context(settings: BuilderSettings, attempt: Attempt) -> BuildContext:
    work, plan = attempt.work, attempt.plan
    files: dict[str, Path] = {}
    for name, contents in attempt.files.items():
        files[name] = work / name
        _write_tree(contents, files[name])
    if attempt.request.environment.spack and settings.spack_checkout:
        files["spack"] = work / "spack"
        _copy_checkout(settings.spack_checkout, files["spack"])
    return BuildContext(
        recipe=plan.recipe,
        files=files,
        base=settings.base,
        platform=plan.target.platform,
        labels={LABEL: plan.key},
        secrets=settings.secrets,
        cache_scope=attempt.request.scope,
    )


def _write_tree(files: Mapping[str, bytes], folder: Path) -> None:
    """Write files with modes that do not depend on our umask."""
    folder.mkdir()
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        target.chmod(0o755 if content.startswith(b"#!") or path == POST_INSTALL else 0o644)
    for place in [folder, *(p for p in folder.rglob("*") if p.is_dir())]:
        place.chmod(0o755)


def _copy_checkout(source: Path, folder: Path) -> None:
    for path in checkout.files(source):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source / path, target, follow_symlinks=False)


def _origin(shop: Workshop, attempt: Attempt, started: str) -> Origin:
    sources = attempt.plan.inputs["sources"]
    return Origin(
        commit=attempt.request.commit,
        catalog_commit=attempt.request.catalog_commit,
        sources=sources,
        backend=shop.image_builder.name,
        version=_version(),
        started=started,
        finished=_now(),
        invocation=f"{attempt.plan.key}/{started}",
    )


def _image(
    shop: Workshop, attempt: Attempt, built: Built, found: Inventory, duration: float
) -> Image:
    request, plan, file = attempt.request, attempt.plan, attempt.part / SIF
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return Image(
        key=plan.key,
        software_key=plan.software,
        digest=f"sha256:{digest}",
        oci_digest=built.digest,
        base_digest=shop.settings.base_digest,
        workflow=request.workflow,
        step=request.step,
        target=replace(plan.target, glibc=found.glibc, kernel=found.kernel),
        environment=request.environment.to_dict(),
        created=_now(),
        size=file.stat().st_size,
        duration=duration,
        builder=f"hpcwaas {_version()} {shop.image_builder.name}",
        scope=request.scope,
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _version() -> str:
    try:
        return metadata.version("hpcwaas")
    except metadata.PackageNotFoundError:
        return "unknown"  # run from a checkout that is not installed
