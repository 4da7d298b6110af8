"""From a request to an image: take it from the store, or build, seal and publish it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from builder import checkout, sif, targets
from builder.backends import backend
from builder.backends.seams import Cancelled, ImageBuilder, never
from builder.compatibility import judge, relevant
from builder.content_key import content_key, digests, inputs, software_key
from builder.making import Attempt, Workshop, make_image
from builder.materials import used_catalog
from builder.plan import ImagePlan, choose
from builder.recipe import FORM, Recipe, render
from builder.request import BuildRequest, Phase, Progress, check_paths
from builder.settings import BuilderSettings
from builder.store import Image, ImageStore
from ci.errors import SettingsError, SiteError, WaasError
from ci.target import Target

__all__ = ["BuildRequest", "ImagePlan", "ImageService", "Phase", "Progress"]

Files = Mapping[str, Mapping[str, bytes]]


class ImageService:
    """Makes images and keeps them. Several processes may share its folders and its engine."""

    def __init__(
        self,
        settings: BuilderSettings,
        *,
        image_builder: ImageBuilder | None = None,
        convert: Callable[..., None] = sif.convert,
        store: ImageStore | None = None,
    ) -> None:
        self._settings = settings
        self._chosen = image_builder
        self._convert = convert
        self.store = store or ImageStore(settings.store)
        self._work = settings.work / "builds"
        self._work.mkdir(parents=True, exist_ok=True)
        self.store.sweep(self._work)

    def available(self) -> str:
        """Return nothing if images can be built here, else what is missing."""
        try:
            return self._builder.available() or sif.available(self._settings)
        except SettingsError as error:
            return str(error)

    def recipe(self, request: BuildRequest) -> Recipe:
        """Return the recipe of a request. Raises ``EntryError``."""
        targets.check(request.target)
        return self._render(request, relevant(request.environment, request.target))

    def plan(self, request: BuildRequest) -> ImagePlan:
        """Say what a request comes to, without doing it.

        Of all images of the same software the closest whose target fits is taken; none is closer
        than the one of exactly this key. What has to be built is built for the target itself, but
        for those of its fields that cannot change the image.

        Raises:
            EntryError: the request cannot be built.
        """
        targets.check(request.target)
        files = self._files(request)
        target = relevant(request.environment, request.target)
        recipe = self._render(request, target)
        document = self._inputs(request, files)
        software = software_key(document)
        wanted = replace(target, glibc=request.target.glibc, kernel=request.target.kernel)
        image, considered = choose(wanted, self.store.candidates(software, request.scope))
        return ImagePlan(
            key=content_key(software, target, recipe.text),
            software=software,
            inputs=document,
            recipe=recipe,
            target=target,
            wanted=wanted,
            image=image,
            considered=considered,
        )

    def ensure(
        self,
        request: BuildRequest,
        progress: Progress = lambda _phase, _message: None,
        *,
        cancelled: Cancelled = never,
        force: bool = False,
    ) -> Image:
        """Return an image for the request, built if need be; safe to repeat at any time.

        ``progress`` hears of each phase, and in BUILDING and CONVERTING each line of the log.
        What it raises ends the build. ``cancelled`` is asked about once a second. With ``force``
        the image is built anew and takes the place of the one that is there.

        Raises:
            EntryError: the contributor's recipe fails; SettingsError: the engine or a tool does;
            SiteError: the world does, or there is no room (transient); CancelledError.
        """
        progress(Phase.PENDING, "")
        try:
            image = self._ensure(request, progress, cancelled, force)
        except WaasError as error:
            progress(Phase.FAILED, str(error))
            raise
        progress(Phase.FINISHED, image.key)
        return image

    def _ensure(
        self, request: BuildRequest, progress: Progress, cancelled: Cancelled, force: bool
    ) -> Image:
        plan = self.plan(request)
        if plan.image and not force:
            return self._taken(plan.image)
        limit = self._settings.build_timeout + self._settings.convert_timeout
        with self.store.lock(plan.key, timeout=limit):
            again = self.plan(request)  # another may have built it while we waited
            if again.image and not force:
                return self._taken(again.image)
            self._check_room()
            progress(Phase.STARTED, plan.key)
            image = self._build(request, plan, progress, cancelled, force)
        return _fitting(image, plan.wanted)

    def _build(
        self,
        request: BuildRequest,
        plan: ImagePlan,
        progress: Progress,
        cancelled: Cancelled,
        force: bool,
    ) -> Image:
        """Make and publish the image; the caller holds the lock of its key."""
        part = self.store.begin(plan.key)
        work = Path(tempfile.mkdtemp(dir=self._work_of(plan.key)))
        shop = Workshop(self._settings, self._builder, self._convert)
        files = self._files(request)
        try:
            attempt = Attempt(request, plan, files, part, work, progress, cancelled)
            return self.store.publish(part, make_image(shop, attempt), replace=force)
        except BaseException:
            self.store.fail(plan.key, part)
            raise
        finally:
            shutil.rmtree(work.parent, ignore_errors=True)

    def _taken(self, image: Image) -> Image:
        """The image with its files here, and noted as used."""
        found = self.store.fetch(image)
        self.store.used(found.key, found.scope)
        return found

    def _check_room(self) -> None:
        """Raise a transient ``SiteError`` while there is no room for another image."""
        quota, free = self._settings.quota_bytes, shutil.disk_usage(self.store.root).free
        used = self.store.bytes_used() if quota else 0
        if quota and used >= quota:
            told = f"the image store is full: {used / 1e9:.1f} of {quota / 1e9:.1f} GB"
        elif free < self._settings.free_bytes:
            told = f"the disk of the image store has {free / 1e9:.1f} GB left"
        else:
            return
        hint = "`waas images gc` removes what nobody needs; or raise builder.quota_gb"
        raise SiteError(told, transient=True, hint=hint)

    @cached_property
    def _builder(self) -> ImageBuilder:
        return self._chosen or backend(self._settings)

    @cached_property
    def _checkout_digest(self) -> str:
        return (
            checkout.digest(self._settings.spack_checkout) if self._settings.spack_checkout else ""
        )

    def _render(self, request: BuildRequest, target: Target) -> Recipe:
        return render(
            request.environment,
            target,
            request.step,
            spack_checkout=self._settings.spack_checkout is not None,
            catalog_has_repository="repo.yaml" in request.catalog,
            source_date_epoch=self._settings.source_date_epoch,
            tests=request.tests,
        )

    def _files(self, request: BuildRequest) -> Files:
        """What the recipe copies, folder by folder of the build context. Raises ``EntryError``."""
        found = {"step": request.files}
        if request.environment.spack or request.environment.easybuild:
            found["catalog"] = used_catalog(request.environment, request.catalog)
        for files in found.values():
            check_paths(files)
        return found

    def _inputs(self, request: BuildRequest, files: Files) -> dict[str, Any]:
        sources = {
            f"{folder}/{path}": digest
            for folder, contents in files.items()
            for path, digest in digests(contents).items()
        }
        if request.environment.spack and self._checkout_digest:
            sources["spack"] = self._checkout_digest
        return inputs(
            request.step,
            request.environment,
            sources,
            self._settings.base_digest,
            FORM,
            request.tests,
        )

    def _work_of(self, key: str) -> Path:
        folder = self._work / key
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(exist_ok=True)
        return folder


def _fitting(image: Image, wanted: Target) -> Image:
    """The image, if it runs where it was made for; its glibc is known only once it is built."""
    obstacles = [verdict.why for verdict in judge(image.target, wanted) if not verdict.fits]
    if obstacles:
        raise SettingsError(
            f"the image is built, but does not run there: {obstacles[0]}",
            hint="choose another base image (builder.base), or correct the site's target",
        )
    return image
