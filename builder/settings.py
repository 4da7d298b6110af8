"""What the operator decides about building images."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from builder.recipe import SOURCE_DATE_EPOCH
from ci.errors import SettingsError

_LAYOUT = "oci-layout://"
_REGISTRY = "docker-image://"
_REGISTRY_SECONDS = 60.0
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class BuilderSettings:
    """How images are built and where they are kept. Times in seconds.

    ``base`` is what ``FROM base`` stands for (``oci-layout:///path@sha256:…`` or
    ``docker-image://name@sha256:…``) and ``base_digest`` the digest of its manifest, or of the
    index of its platforms; ``resolve_base`` makes both. ``environment`` is added to that of the
    programs (``DOCKER_HOST``, ``PATH`` …). ``secrets`` maps the ids ``aptsources``, ``aptconf``,
    ``pipconf`` and ``ca`` to files; recipes use those that are given. ``signing_key`` gives
    the private key that signs images (OpenSSH, Ed25519); it is asked when one is to be signed.
    """

    base: str
    base_digest: str
    store: Path
    work: Path
    signing_key: Callable[[], str] = field(repr=False)
    backend: str = "buildx"
    docker: tuple[str, ...] = ("docker",)
    environment: Mapping[str, str] = field(default_factory=dict)
    apptainer: tuple[str, ...] = ("apptainer",)
    secrets: Mapping[str, Path] = field(default_factory=dict)
    network: str = "host"  # engines without a bridge of their own have no other
    build_timeout: float = 4 * 3600.0
    convert_timeout: float = 1800.0
    source_date_epoch: int = SOURCE_DATE_EPOCH
    spack_checkout: Path | None = None  # $SPACK_ROOT; without one, recipes clone a release
    quota_bytes: int = 0  # of the image store; 0: no limit
    free_bytes: int = 0  # to be left on its disk


def resolve_base(
    reference: str,
    docker: Sequence[str] = ("docker",),
    environment: Mapping[str, str] | None = None,
) -> tuple[str, str]:
    """Return a pinned reference to the base image and the digest of its manifest.

    An image of several platforms has an image index instead (image-spec, image-index.md). An OCI
    layout (https://github.com/opencontainers/image-spec, image-layout.md) of one image is looked
    into; for a tag of a registry, the registry is asked what it means now.

    Raises:
        SettingsError: there is no such layout, or the registry does not say.
    """
    name, _, digest = reference.partition("@")
    if not reference.startswith((_LAYOUT, _REGISTRY)):
        raise SettingsError(f"the base image {reference!r} is neither {_REGISTRY}… nor {_LAYOUT}…")
    if not digest and name.startswith(_LAYOUT):
        digest = _layout_digest(Path(name.removeprefix(_LAYOUT)))
    elif not digest:
        digest = _registry_digest(name.removeprefix(_REGISTRY), docker, environment or {})
    if not _DIGEST.fullmatch(digest):
        raise SettingsError(
            f"the base image {reference!r} has no digest",
            hint="add @sha256:…, as `docker buildx imagetools inspect` prints it",
        )
    return f"{name}@{digest}", digest


def _layout_digest(folder: Path) -> str:
    try:
        manifests = json.loads((folder / "index.json").read_text("utf-8"))["manifests"]
        digests = [str(manifest["digest"]) for manifest in manifests]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(f"{folder} is no OCI layout: {error}") from error
    if len(digests) != 1:
        raise SettingsError(f"{folder} holds {len(digests)} images", hint="add @sha256:…")
    return digests[0]


def _registry_digest(image: str, docker: Sequence[str], environment: Mapping[str, str]) -> str:
    argv = [*docker, "buildx", "imagetools", "inspect", "--format", "{{.Manifest.Digest}}", image]
    try:
        done = subprocess.run(
            argv,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_REGISTRY_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        hint = f"install docker with buildx, or name it: builder.base: {_REGISTRY}{image}@sha256:…"
        raise SettingsError(f"cannot ask for the digest of {image}: {error}", hint=hint) from error
    if done.returncode:
        told = done.stderr.strip().splitlines() or ["no reason given"]
        raise SettingsError(f"cannot ask for the digest of {image}: {told[-1]}")
    return done.stdout.strip()
