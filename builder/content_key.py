"""The content key: one name for everything that determines an image, and for nothing else.

It is made in two steps. The *inputs* of an image are a document that says what goes in, whatever
the target; its hash is the **software key**. With the target and the text of the recipe it gives
the **content key**. Images of one software key differ in their targets only, so these are the ones
among which a compatible image is looked for; and two documents tell what differs between two
images, input by input.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from ci.software.environment import SoftwareEnvironment
from ci.target import Target
from ci.workflow_settings import ImageTest

_FORM = 2  # raise it when the form of the documents below changes


def inputs(
    step: str,
    environment: SoftwareEnvironment,
    sources: Mapping[str, str],
    base_digest: str,
    recipe_form: str,
    tests: Iterable[ImageTest] = (),
) -> dict[str, Any]:
    """Return the document of what goes into an image, plain JSON values.

    ``sources`` maps each file that a recipe may copy to the SHA-256 of its content;
    ``recipe_form`` is the digest of the templates that recipes are written by. Who asked, when,
    and on which machine are left out: they do not change what is in the image.
    """
    return {
        "form": _FORM,
        "step": step,
        "environment": environment.to_dict(),
        "sources": dict(sources),
        "base": base_digest,
        "recipe_form": recipe_form,
        "tests": [asdict(test) for test in tests],
    }


def software_key(document: Mapping[str, Any]) -> str:
    """Return the hash of a document of inputs: SHA-256, lower-case hexadecimal."""
    return _hash(document)


def content_key(software: str, target: Target, recipe_text: str) -> str:
    """Return the content key: SHA-256, lower-case hexadecimal, over all that decides an image."""
    return _hash({"software": software, "target": target.to_dict(), "recipe": recipe_text})


def digests(files: Mapping[str, bytes]) -> dict[str, str]:
    """Return path → SHA-256 of the content, as ``inputs`` takes it."""
    return {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}


def canonical(document: Any) -> bytes:
    """Return a JSON value as bytes that depend on nothing but the value."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return text.encode("ascii")


def _hash(document: Any) -> str:
    return hashlib.sha256(canonical(document)).hexdigest()
