"""Image builders by the name that the settings use."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from builder.backends.apptainer import Apptainer
from builder.backends.buildah import Buildah
from builder.backends.buildx import Buildx
from builder.backends.seams import ImageBuilder
from builder.settings import BuilderSettings
from ci.errors import SettingsError

AUTO = "auto"
# in the order in which they are tried
BACKENDS: Mapping[str, Callable[[BuilderSettings], ImageBuilder]] = {
    "buildx": Buildx,
    "buildah": Buildah,
    "apptainer": Apptainer,
}


def backend(settings: BuilderSettings) -> ImageBuilder:
    """Return the image builder that the settings name, for ``auto`` the first that works here.

    Raises:
        SettingsError: there is none of this name, or none works; what each lacks is said.
    """
    if settings.backend == AUTO:
        return _first(settings)
    if settings.backend not in BACKENDS:
        raise SettingsError(
            f"unknown image builder {settings.backend!r}",
            hint=f"known are: {', '.join([AUTO, *BACKENDS])}",
        )
    return BACKENDS[settings.backend](settings)


def _first(settings: BuilderSettings) -> ImageBuilder:
    missing = []
    for name, make in BACKENDS.items():
        found = make(settings)
        told = found.available()
        if not told:
            return found
        missing.append(f"{name}: {told}")
    raise SettingsError(
        f"no image builder works here: {'; '.join(missing)}",
        hint="install one of them, or name one that is elsewhere (builder.environment)",
    )
