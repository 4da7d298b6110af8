"""The content key: one name for everything that determines an image, and for nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from ci.software.environment import SoftwareEnvironment
from ci.target import Target

_FORM = 1  # raise it when the form of the document below changes


def content_key(
    environment: SoftwareEnvironment,
    target: Target,
    sources: Mapping[str, str],
    base_digest: str,
    recipe_text: str,
) -> str:
    """Return a SHA-256, in lower-case hexadecimal, over the canonical JSON of the arguments.

    ``sources`` maps each file that the recipe copies to the SHA-256 of its content. Who asked,
    when, and on which machine are left out: they do not change what is in the image.
    """
    document = {
        "form": _FORM,
        "environment": environment.to_dict(),
        "target": target.to_dict(),
        "sources": dict(sources),
        "base": base_digest,
        "recipe": recipe_text,
    }
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def digests(files: Mapping[str, bytes]) -> dict[str, str]:
    """Return path → SHA-256 of the content, as ``content_key`` takes it."""
    return {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}
