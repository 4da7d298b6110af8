"""Where an image comes from: an in-toto Statement v1 with SLSA's provenance v1.

https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md,
https://slsa.dev/spec/v1.0/provenance. ``docs/supply-chain.md`` says what our build type means.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from builder.store import Image

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "https://hpcwaas.org/image-build/v1"
BUILDER = "https://hpcwaas.org/builder"


@dataclass(frozen=True, slots=True)
class Origin:
    """What an image does not say itself.

    ``commit`` and ``catalog_commit`` are of the registry and of the Software Catalogue, empty if
    they are in no commit; ``sources`` is path → SHA-256 of each file that the recipe copies;
    ``backend`` the image builder's name; ``version`` that of this program; ``started`` and
    ``finished`` in RFC 3339, UTC; ``invocation`` a name that only this build has.
    """

    commit: str = ""
    catalog_commit: str = ""
    sources: Mapping[str, str] = field(default_factory=dict, hash=False)
    backend: str = ""
    version: str = ""
    started: str = ""
    finished: str = ""
    invocation: str = ""


def statement(
    image: Image, origin: Origin, subjects: Mapping[str, str], recipe: bytes
) -> dict[str, Any]:
    """Return the statement about the files in an image's folder, name → SHA-256."""
    return {
        "_type": STATEMENT,
        "subject": [
            {"name": name, "digest": {"sha256": digest}}
            for name, digest in sorted(subjects.items())
        ],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "workflow": image.workflow,
                    "step": image.step,
                    "commit": origin.commit,
                    "target": image.target.to_dict(),
                    "environment": image.environment,
                },
                "internalParameters": {
                    "contentKey": image.key,
                    "recipe": {"sha256": hashlib.sha256(recipe).hexdigest()},
                    "backend": origin.backend,
                },
                "resolvedDependencies": _dependencies(image, origin),
            },
            "runDetails": {
                "builder": {"id": BUILDER, "version": {"hpcwaas": origin.version}},
                "metadata": {
                    "invocationId": origin.invocation,
                    "startedOn": origin.started,
                    "finishedOn": origin.finished,
                },
                "byproducts": [{"name": "oci-manifest", "digest": _digest(image.oci_digest)}],
            },
        },
    }


def canonical(document: object) -> bytes:
    """Return JSON that has one form only: keys sorted, no spaces, ASCII."""
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode("ascii")


def sources_digest(sources: Mapping[str, str]) -> str:
    """Return one SHA-256 for all: of the lines that ``sha256sum`` would print, sorted by path."""
    lines = "".join(f"{digest}  {path}\n" for path, digest in sorted(sources.items()))
    return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()


def _dependencies(image: Image, origin: Origin) -> list[dict[str, Any]]:
    found = [{"name": "base", "digest": _digest(image.base_digest)}]
    commits = {"source": origin.commit, "catalogue": origin.catalog_commit}
    found += [
        {"name": name, "digest": {"gitCommit": commit}}
        for name, commit in commits.items()
        if commit
    ]
    return [*found, {"name": "files", "digest": {"sha256": sources_digest(origin.sources)}}]


def _digest(digest: str) -> dict[str, str]:
    algorithm, _, value = digest.partition(":")
    return {algorithm: value}
