"""The section ``builder`` of ``waas.yaml``: how images are built, kept and shared.

builder:
  backend: auto               # buildx, buildah, apptainer; auto: the first that is there
  base: docker-image://docker.io/library/debian:bookworm-slim
  apptainer: apptainer        # the program
  spack: /opt/spack           # a checkout to install with; else $SPACK_ROOT, else a pinned release
  at_once: 1                  # builds of one worker
  time_limit: "04:00:00"      # of one build
  quota_gb: 500               # of the image store; 0: no limit
  free_gb: 5                  # to be left on its disk
  keep_days: 90               # an image that nobody used for so long may go
  registry: {url: "https://registry.example.org", repository: hpcwaas/images, credentials: FILE}
  environment: {DOCKER_HOST: …}   # for the programs
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ci.errors import SettingsError
from ci.workflow_settings import TIME_LIMIT

_REGISTRY_KEYS = ("url", "repository", "credentials")


@dataclass(frozen=True, slots=True)
class RegistryChoice:
    """An OCI registry that keeps main's images. ``credentials``: a file ``user:password``."""

    url: str
    repository: str = "hpcwaas/images"
    credentials: Path | None = None


@dataclass(frozen=True, slots=True)
class BuilderChoice:
    """What the section says. ``time_limit`` in seconds; sizes in GB of 10^9 bytes."""

    backend: str = "auto"
    base: str = "docker-image://docker.io/library/debian:bookworm-slim"
    apptainer: str = "apptainer"
    spack: Path | None = None
    at_once: int = 1  # an image build uses all cores
    time_limit: float = 4 * 3600.0
    quota_gb: float = 0.0
    free_gb: float = 5.0
    keep_days: float = 90.0
    registry: RegistryChoice | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


def read_builder_choice(path: Path, value: Any) -> BuilderChoice:
    """Read the section of the settings file ``path``. Raises ``SettingsError``."""
    known = [f.name for f in fields(BuilderChoice)]
    if not isinstance(value, dict):
        raise SettingsError(f"{path}: builder: must be a mapping", hint=f"keys: {', '.join(known)}")
    if unknown := sorted(str(key) for key in value if key not in known):
        near = get_close_matches(unknown[0], known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
        raise SettingsError(f"{path}: builder: unknown key {unknown[0]!r}", hint=hint)
    read = {name: _READERS[name](found) for name, found in value.items()}
    wrong = [name for name, found in read.items() if found is None and value[name] is not None]
    if wrong:
        raise _wrong(path, f"builder: {wrong[0]}", value[wrong[0]], _FORMS[wrong[0]])
    return BuilderChoice(**{name: found for name, found in read.items() if found is not None})


def _wrong(path: Path, where: str, value: Any, form: str) -> SettingsError:
    return SettingsError(f"{path}: {where}: {str(value)[:80]!r} is not {form}")


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value.isprintable() and value else None


def _folder(value: Any) -> Path | None:
    return Path(value).expanduser() if _text(value) and Path(value).is_absolute() else None


def _count(value: Any) -> int | None:
    return value if type(value) is int and 1 <= value <= 64 else None  # True is an int


def _amount(value: Any) -> float | None:
    return float(value) if type(value) in {int, float} and 0 <= value < 1e9 else None


def _days(value: Any) -> float | None:
    amount = _amount(value)
    return amount if amount is not None and amount >= 1 else None


def _seconds(value: Any) -> float | None:
    if not isinstance(value, str) or not TIME_LIMIT.fullmatch(value):
        return None
    hours, minutes, seconds = map(int, value.split(":"))
    return float(hours * 3600 + minutes * 60 + seconds) or None


def _variables(value: Any) -> dict[str, str] | None:
    return {str(k): str(v) for k, v in value.items()} if isinstance(value, dict) else None


def _registry(value: Any) -> RegistryChoice | None:
    if not isinstance(value, dict) or set(value) - set(_REGISTRY_KEYS):
        return None
    url, repository = _text(value.get("url")), _text(value.get("repository", "hpcwaas/images"))
    credentials = _folder(value["credentials"]) if value.get("credentials") else None
    if not url or not url.startswith(("https://", "http://")) or not repository:
        return None
    if value.get("credentials") and credentials is None:
        return None
    return RegistryChoice(url, repository, credentials)


_READERS: Mapping[str, Any] = {
    "backend": _text,
    "base": _text,
    "apptainer": _text,
    "spack": _folder,
    "at_once": _count,
    "time_limit": _seconds,
    "quota_gb": _amount,
    "free_gb": _amount,
    "keep_days": _days,
    "registry": _registry,
    "environment": _variables,
}
_FORMS = {
    "backend": "the name of an image builder",
    "base": "docker-image://… or oci-layout://…",
    "apptainer": "a program",
    "spack": "the absolute path of a folder",
    "at_once": "a number of builds from 1 to 64",
    "time_limit": 'a time "HH:MM:SS", in quotes',
    "quota_gb": "a number of gigabytes",
    "free_gb": "a number of gigabytes",
    "keep_days": "a number of days, at least 1",
    "registry": "a mapping of url (http://… or https://…), repository and credentials (a file)",
    "environment": "a mapping of variables",
}
