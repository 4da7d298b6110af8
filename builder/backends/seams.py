"""The seam of an image builder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from builder.recipe import MAIN_SCOPE, Recipe

LogLine = Callable[[str], None]
Cancelled = Callable[[], bool]


def never() -> bool:
    """Say that nobody cancels."""
    return False


@dataclass(frozen=True, slots=True)
class BuildContext:
    """What a backend needs: the recipe, the files that it copies, where the base image is.

    ``files`` maps a name inside the build context to a file or folder here; ``base`` is what
    ``FROM base`` stands for, as buildx's ``--build-context`` takes it (``oci-layout://…`` or
    ``docker-image://…``); ``secrets`` maps a secret id to a file that no layer keeps;
    ``cache_scope`` keeps what pull requests leave in caches apart from main's.
    """

    recipe: Recipe
    files: Mapping[str, Path]
    base: str
    platform: str
    labels: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Path] = field(default_factory=dict)
    cache_scope: str = MAIN_SCOPE


@dataclass(frozen=True, slots=True)
class Built:
    """What a backend made: an OCI archive, or a folder with the image's files.

    ``digest`` is the manifest's (``sha256:…``), empty where there is none.
    """

    path: Path
    form: Literal["oci-archive", "sandbox"]
    digest: str = ""


class ImageBuilder(Protocol):
    """Turns a recipe into an image."""

    name: str

    def available(self) -> str:
        """Empty if it can work here, else the sentence that says what is missing."""

    def build(
        self,
        context: BuildContext,
        folder: Path,
        log: LogLine,
        *,
        timeout: float,
        cancelled: Cancelled = never,
    ) -> Built:
        """Build in ``folder``, an empty one; the image appears in it whole or not at all.

        The recipe's stage ``test`` runs first, if it has one; if it fails nothing is exported.
        ``timeout`` in seconds; ``cancelled`` is asked at least once a second.

        Raises:
            EntryError: the recipe or a test fails (its first error quoted);
            SettingsError: the engine does; SiteError: package servers do not answer;
            CancelledError.
        """
