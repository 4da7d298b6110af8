"""Image builders by the name that the settings use."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from builder.backends.buildx import Buildx
from builder.backends.seams import ImageBuilder
from builder.settings import BuilderSettings
from ci.errors import SettingsError

BACKENDS: Mapping[str, Callable[[BuilderSettings], ImageBuilder]] = {"buildx": Buildx}


def backend(settings: BuilderSettings) -> ImageBuilder:
    """Return the image builder that the settings name, or raise ``SettingsError``."""
    if settings.backend not in BACKENDS:
        raise SettingsError(
            f"unknown image builder {settings.backend!r}", hint=f"known are: {', '.join(BACKENDS)}"
        )
    return BACKENDS[settings.backend](settings)
