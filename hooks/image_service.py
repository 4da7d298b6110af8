"""The image store and the image service that the settings describe."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from builder.build import ImageService
from builder.secrets import detect_secrets
from builder.settings import BuilderSettings, resolve_base
from builder.store import ImageStore
from builder.store.registry import RegistryStore
from builder.store.shared import SharedStore
from builder.supply.signers import read_signers_file
from builder.supply.verify import verify
from ci.errors import SettingsError, SiteError
from hooks import home
from hooks.config import Settings

_GIGABYTE = 10**9


def image_store(settings: Settings) -> ImageStore:
    """The image store that the settings describe; shared through a registry if they name one."""
    choice = settings.builder.registry
    if choice is None:
        return ImageStore(settings.images)
    registry = RegistryStore(choice.url, choice.repository, choice.credentials)

    def check(folder: Path) -> None:
        verify(folder, read_signers_file(settings.signers))

    return SharedStore(settings.images, registry, check)


def image_service(settings: Settings) -> ImageService:
    """The image service that the settings describe. Raises ``SettingsError``."""
    choice = settings.builder
    base, digest = resolve_base(choice.base, environment=choice.environment)
    secrets = detect_secrets(os.environ, settings.work / "build-secrets")
    if not base.startswith("oci-layout://"):  # an image of a registry has package sources
        secrets = {name: path for name, path in secrets.items() if not name.startswith("apt")}
    signing = home.image_signing(settings)
    signing.check()  # now, and not when a build has ended
    spack = choice.spack or os.environ.get("SPACK_ROOT")
    return ImageService(
        BuilderSettings(
            base=base,
            base_digest=digest,
            store=settings.images,
            work=settings.work,
            signing_key=signing.read,
            backend=choice.backend,
            environment=dict(choice.environment),
            apptainer=(choice.apptainer,),
            secrets=secrets,
            build_timeout=choice.time_limit,
            spack_checkout=Path(spack) if spack else None,
            quota_bytes=int(choice.quota_gb * _GIGABYTE),
            free_bytes=int(choice.free_gb * _GIGABYTE),
        ),
        store=image_store(settings),
    )


class ImagesWhenReady:
    """The image service, made when it is first needed: the service runs without an engine or a
    registry of base images in reach, and takes them up when they are there.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._made: ImageService | None = None
        self._lock = threading.Lock()

    def __call__(self) -> ImageService:
        """The service. Raises a transient ``SiteError`` while it cannot be made."""
        with self._lock:
            try:
                self._made = self._made or image_service(self._settings)
            except SettingsError as error:
                message = f"images cannot be had for now: {error.message}"
                raise SiteError(message, transient=True, hint=error.hint) from error
            return self._made
