"""The seam of an image builder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

LogLine = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class BuildContext:
    """What a backend needs: the recipe, the files that it copies, where the base image is.

    ``files`` maps a name inside the build context to a file or folder here; ``base`` is what
    ``FROM base`` stands for, as buildx's ``--build-context`` takes it (``oci-layout://…`` or
    ``docker-image://…``); ``secrets`` maps a secret id to a file that no layer keeps.
    """

    recipe: str
    files: Mapping[str, Path]
    base: str
    platform: str
    labels: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Path] = field(default_factory=dict)


class ImageBuilder(Protocol):
    """Turns a recipe into an OCI archive."""

    name: str

    def available(self) -> str:
        """Empty if it can work here, else the sentence that says what is missing."""

    def build(self, context: BuildContext, output: Path, log: LogLine, *, timeout: float) -> str:
        """Write an OCI archive to ``output`` and return its manifest digest (``sha256:…``).

        Raises ``EntryError`` when the recipe fails (its first error quoted), ``SettingsError``
        when the engine itself does. ``output`` appears whole or not at all.
        """
