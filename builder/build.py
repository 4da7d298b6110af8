"""From a request to an image: take it from the store, or build, convert and publish it."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from importlib import metadata
from pathlib import Path, PurePosixPath

from builder import sif, targets
from builder.backends import backend
from builder.backends.seams import BuildContext, ImageBuilder
from builder.content_key import content_key, digests
from builder.recipe import Recipe, render
from builder.settings import BuilderSettings
from builder.store import LOG, MAIN, RECIPE, SIF, Image, ImageStore
from ci.errors import EntryError, WaasError
from ci.software.environment import POST_INSTALL, SoftwareEnvironment
from ci.target import Target

LABEL = "org.hpcwaas.content-key"


class Phase(StrEnum):
    """How far a request has come; the last two are final."""

    PENDING = "PENDING"
    STARTED = "STARTED"
    BUILDING = "BUILDING"
    CONVERTING = "CONVERTING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"


Progress = Callable[[Phase, str], None]


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """A step's image for a target.

    ``files`` are the step's folder and ``catalog`` the Software Catalogue, relative path →
    content; ``scope`` is ``main`` or ``pull-<n>``. A file that begins with ``#!`` becomes
    executable, since git's file modes are not in here.
    """

    workflow: str
    step: str
    environment: SoftwareEnvironment
    target: Target
    files: Mapping[str, bytes] = field(hash=False)
    scope: str = MAIN
    catalog: Mapping[str, bytes] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class ImagePlan:
    """What a request comes to: the key and recipe to build by, or the image that is there."""

    key: str
    recipe: Recipe
    image: Image | None = None

    @property
    def reuse(self) -> bool:
        """Whether nothing has to be built."""
        return self.image is not None


class ImageService:
    """Makes images and keeps them. Several processes may share its folders and its engine."""

    def __init__(
        self,
        settings: BuilderSettings,
        *,
        image_builder: ImageBuilder | None = None,
        convert: Callable[..., None] = sif.convert,
    ) -> None:
        self._settings = settings
        self._builder = image_builder or backend(settings)
        self._convert = convert
        self.store = ImageStore(settings.store)
        self._work = settings.work / "builds"
        self._work.mkdir(parents=True, exist_ok=True)
        self.store.sweep(self._work)

    def available(self) -> str:
        """Return nothing if images can be built here, else what is missing."""
        return self._builder.available() or sif.available(self._settings)

    def recipe(self, request: BuildRequest) -> Recipe:
        """Return the recipe of a request. Raises ``EntryError``."""
        return render(
            request.environment,
            request.target,
            request.step,
            spack_checkout=self._settings.spack_checkout is not None,
            catalog_has_repository="repo.yaml" in request.catalog,
            source_date_epoch=self._settings.source_date_epoch,
        )

    def plan(self, request: BuildRequest) -> ImagePlan:
        """Say what a request comes to, without doing it.

        An image of exactly this key is best; after it one that differs in nothing but a
        microarchitecture that is an ancestor of the target's, the nearest first. What has to be
        built is built for the target's own microarchitecture, even if nothing in it is compiled.

        Raises:
            EntryError: the request cannot be built.
        """
        for files in (request.files, request.catalog):
            _check_paths(files)
        exact: ImagePlan | None = None
        targets.check(request.target)
        for target in targets.compatible(request.target):
            candidate = replace(request, target=target)
            recipe = self.recipe(candidate)
            key = self._key(candidate, recipe)
            exact = exact or ImagePlan(key, recipe)
            image = self.store.find(key, request.scope)
            if image:
                return replace(exact, key=key, recipe=recipe, image=image)
        assert exact is not None  # noqa: S101 - a target is compatible with itself
        return exact

    def ensure(
        self, request: BuildRequest, progress: Progress = lambda _phase, _message: None
    ) -> Image:
        """Return an image for the request, built if need be; safe to repeat at any time.

        ``progress`` hears of each phase, and in BUILDING and CONVERTING each line of the log.
        What it raises ends the build.

        Raises:
            EntryError: the contributor's recipe fails; SettingsError: the engine or a tool does.
        """
        progress(Phase.PENDING, "")
        try:
            image = self._ensure(request, progress)
        except WaasError as error:
            progress(Phase.FAILED, str(error))
            raise
        progress(Phase.FINISHED, image.key)
        return image

    def _ensure(self, request: BuildRequest, progress: Progress) -> Image:
        plan = self.plan(request)
        if plan.image:
            return plan.image
        limit = self._settings.build_timeout + self._settings.convert_timeout
        with self.store.lock(plan.key, timeout=limit):
            again = self.plan(request)  # another may have built it while we waited
            if again.image:
                return again.image
            progress(Phase.STARTED, plan.key)
            part = self.store.begin(plan.key)
            work = Path(tempfile.mkdtemp(dir=self._work_of(plan.key)))
            try:
                image = self._make(request, plan, part, work, progress)
                return self.store.publish(part, image)
            except BaseException:
                self.store.fail(plan.key, part)
                raise
            finally:
                shutil.rmtree(work.parent, ignore_errors=True)

    def _make(
        self, request: BuildRequest, plan: ImagePlan, part: Path, work: Path, progress: Progress
    ) -> Image:
        begun = time.monotonic()
        (part / RECIPE).write_text(plan.recipe.text, "utf-8")
        context = self._context(request, plan, work)
        with (part / LOG).open("w", encoding="utf-8", buffering=1) as log:

            def tell(phase: Phase) -> Callable[[str], None]:
                def line(text: str) -> None:
                    log.write(text + "\n")
                    progress(phase, text)

                return line

            archive = work / "image.tar"
            limit = self._settings.build_timeout
            building, converting = tell(Phase.BUILDING), tell(Phase.CONVERTING)
            oci_digest = self._builder.build(context, archive, building, timeout=limit)
            engine = request.target.container_engine
            self._convert(archive, part / SIF, self._settings, converting, container_engine=engine)
        with (part / SIF).open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return Image(
            key=plan.key,
            digest=f"sha256:{digest}",
            oci_digest=oci_digest,
            base_digest=self._settings.base_digest,
            workflow=request.workflow,
            step=request.step,
            target=request.target,
            environment=request.environment.to_dict(),
            created=datetime.now(UTC).isoformat(timespec="milliseconds"),
            size=(part / SIF).stat().st_size,
            duration=round(time.monotonic() - begun, 3),
            builder=f"hpcwaas {_version()} {self._builder.name}",
            scope=request.scope,
        )

    def _context(self, request: BuildRequest, plan: ImagePlan, work: Path) -> BuildContext:
        files = {"step": work / "step"}
        _write_tree(request.files, files["step"])
        if plan.recipe.uses_catalog:
            files["catalog"] = work / "catalog"
            _write_tree(request.catalog, files["catalog"])
        if request.environment.spack and self._settings.spack_checkout:
            files["spack"] = self._settings.spack_checkout
        return BuildContext(
            recipe=plan.recipe.text,
            files=files,
            base=self._settings.base,
            platform=request.target.platform,
            labels={LABEL: plan.key},
            secrets=self._settings.secrets,
        )

    def _key(self, request: BuildRequest, recipe: Recipe) -> str:
        copied = {f"step/{path}": digest for path, digest in digests(request.files).items()}
        if recipe.uses_catalog:
            found = digests(request.catalog).items()
            copied |= {f"catalog/{path}": digest for path, digest in found}
        base = self._settings.base_digest
        return content_key(request.environment, request.target, copied, base, recipe.text)

    def _work_of(self, key: str) -> Path:
        folder = self._work / key
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(exist_ok=True)
        return folder


def _check_paths(files: Mapping[str, bytes]) -> None:
    """Refuse paths that leave the folder or cannot be files together with the others."""
    parents = {str(parent) for path in files for parent in PurePosixPath(path).parents}
    for path in files:
        parts = path.split("/")
        if not path.isprintable() or not all(parts) or {".", ".."} & set(parts):
            raise EntryError(f"{path!r} cannot be the path of a file in an image")
        if path in parents:
            raise EntryError(f"{path!r} is both a file and a folder")


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


def _version() -> str:
    try:
        return metadata.version("hpcwaas")
    except metadata.PackageNotFoundError:
        return "unknown"  # run from a checkout that is not installed
