"""What the store says of an image, and the names of things in it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from ci.errors import EntryError, SettingsError
from ci.target import Target

MAIN = "main"
SIF = "image.sif"
METADATA = "metadata.json"
RECIPE = "recipe"
LOG = "build.log"

KEY = re.compile(r"[0-9a-f]{64}")
SCOPE = re.compile(r"main|pull-([a-z][a-z0-9-]{0,29}-)?[1-9][0-9]{0,9}")
_NOT_IN_METADATA = frozenset({"scope", "folder", "last_used"})


@dataclass(frozen=True, slots=True)
class Image:
    """An image in the store.

    ``digest`` is the SIF's SHA-256 and ``oci_digest`` that of the OCI manifest it was made from
    (both ``sha256:…``); ``size`` of the SIF in bytes; ``duration`` of the build in seconds;
    ``created`` in RFC 3339, UTC; ``builder`` the program that built it, with its version;
    ``software_key`` a hash over everything that determines it but the target, empty for images
    of before there was one. ``folder``, ``scope`` and ``last_used`` (Unix time; at first that of
    publishing) say where it is and how it fares, and are not in its metadata.
    """

    key: str
    digest: str
    oci_digest: str
    base_digest: str
    workflow: str
    step: str
    target: Target
    environment: dict[str, Any] = field(hash=False)
    created: str
    size: int
    duration: float
    builder: str
    software_key: str = ""
    scope: str = MAIN
    folder: Path = Path()
    last_used: float = field(default=0.0, compare=False)

    @property
    def sif(self) -> Path:
        """The SIF file."""
        return self.folder / SIF

    @property
    def here(self) -> bool:
        """Whether its files are in this store; else a registry has them (``ImageStore.fetch``)."""
        return self.sif.is_file()

    def to_dict(self) -> dict[str, Any]:
        """Return the metadata as plain JSON values."""
        return {k: v for k, v in asdict(self).items() if k not in _NOT_IN_METADATA}

    def to_json(self) -> str:
        """Return the metadata as the text of ``metadata.json``."""
        return json.dumps(self.to_dict(), indent=2, sort_keys=True) + "\n"


def parse_image(text: str | bytes, **where: Any) -> Image:
    """Return the image that metadata tell of; names that this version does not know are left out.

    Raises:
        ValueError: the text is no metadata of an image.
    """
    try:
        document = json.loads(text)
        known = _known(document, Image)
        known["target"] = Target(**_known(document["target"], Target))
        image = Image(**{**known, **where})
        checked_key(image.key)
        checked_types(image)
    except (KeyError, TypeError, AttributeError, RecursionError, EntryError) as error:
        raise ValueError(f"no metadata of an image: {error}") from error
    return image


def checked_types(image: Image) -> None:
    """Raise ``TypeError`` unless the fields that are computed with have their types."""
    texts = (image.digest, image.software_key, image.created, *image.target.to_dict().values())
    right = all(isinstance(text, str) for text in texts) and isinstance(image.environment, dict)
    if not right or not isinstance(image.size, int):
        raise TypeError("a field has the wrong type")


def _known(document: Mapping[str, Any], form: type[Image] | type[Target]) -> dict[str, Any]:
    names = {f.name for f in fields(form)} - _NOT_IN_METADATA
    return {name: value for name, value in document.items() if name in names}


def read_image(folder: Path, scope: str) -> Image | None:
    """Return the image in a folder, if there is one. Raises ``SettingsError`` if it is damaged."""
    try:
        with (folder / METADATA).open("rb") as file:
            used = os.fstat(file.fileno()).st_mtime
            return parse_image(file.read(), scope=scope, folder=folder, last_used=used)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"{folder / METADATA} is damaged: {error}", hint="remove the folder"
        ) from error


def checked_key(key: str) -> str:
    """Return the key. Raises ``EntryError`` if it is none, so that it may be part of a path."""
    if not isinstance(key, str) or not KEY.fullmatch(key):
        raise EntryError(f"{key!r} is no content key", hint="64 hexadecimal digits")
    return key


def checked_scope(scope: str) -> str:
    """Return the scope. Raises ``EntryError`` if it is none."""
    if not SCOPE.fullmatch(scope):
        raise EntryError(f"{scope!r} is no scope of images", hint="main or pull-<number>")
    return scope
