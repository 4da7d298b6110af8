"""What is asked of Container Image Creation: a step's image for a target."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePosixPath

from builder.store import MAIN
from ci.errors import EntryError
from ci.software.environment import SoftwareEnvironment
from ci.target import Target
from ci.workflow_settings import ImageTest


class Phase(StrEnum):
    """How far a request has come; the last two are final."""

    PENDING = "PENDING"
    STARTED = "STARTED"
    BUILDING = "BUILDING"
    CONVERTING = "CONVERTING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"


Progress = Callable[[Phase, str], None]


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """A step's image for a target.

    ``files`` are the step's folder and ``catalog`` the Software Catalogue, relative path →
    content; ``tests`` must pass before the image is published; ``scope`` is ``main`` or
    ``pull-<n>``. ``commit`` and ``catalog_commit`` are where files and catalogue are from, for the
    record: they do not decide what is built. A file that begins with ``#!`` becomes executable,
    since git's file modes are not in here.
    """

    workflow: str
    step: str
    environment: SoftwareEnvironment
    target: Target
    files: Mapping[str, bytes] = field(hash=False)
    scope: str = MAIN
    catalog: Mapping[str, bytes] = field(default_factory=dict, hash=False)
    tests: tuple[ImageTest, ...] = ()
    commit: str = ""
    catalog_commit: str = ""


def check_paths(files: Mapping[str, bytes]) -> None:
    """Refuse paths that leave the folder or cannot be files together with the others."""
    parents = {str(parent) for path in files for parent in PurePosixPath(path).parents}
    for path in files:
        parts = path.split("/")
        if not path.isprintable() or not all(parts) or {".", ".."} & set(parts):
            raise EntryError(f"{path!r} cannot be the path of a file in an image")
        if path in parents:
            raise EntryError(f"{path!r} is both a file and a folder")
