"""The image store: a folder per image, named by content key, that is there whole or not at all.

    ROOT/<key>/{image.sif, metadata.json, recipe, build.log}      images of main
    ROOT/pull-<n>/<key>/…                                         images of a pull request
    ROOT/.parts/<key>/   being made;  ROOT/.locks/<key>;  ROOT/.failed/<key>.log

An image that was built for a pull request answers that pull request only, until it is promoted.
Nothing is changed after it has been published; what a killed process left is swept when the
store is opened next.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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

_KEY = re.compile(r"[0-9a-f]{64}")
_SCOPE = re.compile(r"main|pull-[1-9][0-9]{0,9}")
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Image:
    """An image in the store.

    ``digest`` is the SIF's SHA-256 and ``oci_digest`` that of the OCI manifest it was made from
    (both ``sha256:…``); ``size`` in bytes; ``duration`` of the build in seconds; ``created`` in
    RFC 3339, UTC; ``builder`` the program that built it, with its version. ``folder`` and
    ``scope`` say where it is, and are not in its metadata.
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
    scope: str = MAIN
    folder: Path = Path()

    @property
    def sif(self) -> Path:
        """The SIF file."""
        return self.folder / SIF

    def to_dict(self) -> dict[str, Any]:
        """Return the metadata as plain JSON values."""
        document = asdict(self)
        del document["folder"], document["scope"]
        return document


class ImageStore:
    """Images under one folder; several processes may use it at once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._parts = root / ".parts"
        self._locks = root / ".locks"
        self._failed = root / ".failed"
        for folder in (self._parts, self._locks, self._failed):
            folder.mkdir(parents=True, exist_ok=True)
        self.sweep(self._parts)

    def sweep(self, folder: Path) -> None:
        """Remove what dead processes left: sub-folders named by a key that nobody holds."""
        for part in folder.iterdir() if folder.is_dir() else ():
            descriptor = self._try_lock(part.name)
            if descriptor is not None:
                shutil.rmtree(part, ignore_errors=True)
                os.close(descriptor)

    @contextmanager
    def lock(self, key: str, *, timeout: float) -> Iterator[None]:
        """Hold a key alone, across threads and processes. The kernel frees it when we die.

        Raises:
            SettingsError: another holds it for longer than ``timeout`` seconds.
        """
        end = time.monotonic() + timeout
        while (descriptor := self._try_lock(key)) is None:
            if time.monotonic() > end:
                raise SettingsError(f"another build of image {key[:12]} does not come to its end")
            time.sleep(_POLL_SECONDS)
        try:
            yield
        finally:
            os.close(descriptor)

    def _try_lock(self, key: str) -> int | None:
        descriptor = os.open(
            self._locks / _checked(key), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor

    def begin(self, key: str) -> Path:
        """Return an empty folder to make an image in. The caller holds the lock of the key."""
        part = self._parts / _checked(key)
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(exist_ok=True)
        return part

    def publish(self, part: Path, image: Image) -> Image:
        """Put a finished folder in its place; an image that is there already stays."""
        text = json.dumps(image.to_dict(), indent=2, sort_keys=True) + "\n"
        (part / METADATA).write_text(text, "utf-8")
        for path in part.iterdir():
            _sync(path)
        _sync(part)
        return self._move(part, image.key, image.scope)

    def promote(self, key: str, from_scope: str) -> Image:
        """Make a pull request's image one of main; the work of a moment, and safe to repeat."""
        source = self._folder(key, from_scope)
        if from_scope != MAIN and source.is_dir():
            return self._move(source, key, MAIN)
        image = self._read(key, MAIN)
        if image is None:
            raise EntryError(f"{from_scope} has no image {key[:12]} to promote")
        return image

    def _move(self, source: Path, key: str, scope: str) -> Image:
        place = self._folder(key, scope)
        place.parent.mkdir(exist_ok=True)
        try:
            source.rename(place)
        except OSError as error:
            if error.errno not in {errno.EEXIST, errno.ENOTEMPTY}:
                raise SettingsError(f"cannot put an image into {place}: {error}") from error
        shutil.rmtree(source, ignore_errors=True)
        _sync(place.parent)
        image = self._read(key, scope)
        if image is None:
            raise SettingsError(f"cannot put an image into {place}")
        return image

    def fail(self, key: str, part: Path) -> Path:
        """Drop a folder of a failed build; keep its log and return where that is."""
        kept = self._failed / f"{_checked(key)}.log"
        with suppress(FileNotFoundError):
            (part / LOG).rename(kept)
        shutil.rmtree(part, ignore_errors=True)
        return kept

    def find(self, key: str, scope: str = MAIN) -> Image | None:
        """Return the image that may answer a request of this scope: its own, else main's."""
        found = self._read(key, scope)
        return found if found or scope == MAIN else self._read(key, MAIN)

    def list(self) -> tuple[Image, ...]:
        """Return all images, the newest first."""
        scopes = [MAIN, *(p.name for p in self.root.iterdir() if _SCOPE.fullmatch(p.name))]
        found = [
            image
            for scope in scopes
            for folder in self._scope_folder(scope).iterdir()
            if _KEY.fullmatch(folder.name) and (image := self._read(folder.name, scope))
        ]
        return tuple(sorted(found, key=lambda image: image.created, reverse=True))

    def _scope_folder(self, scope: str) -> Path:
        if not _SCOPE.fullmatch(scope):
            raise EntryError(f"{scope!r} is no scope of images", hint="main or pull-<number>")
        return self.root if scope == MAIN else self.root / scope

    def _folder(self, key: str, scope: str) -> Path:
        return self._scope_folder(scope) / _checked(key)

    def _read(self, key: str, scope: str) -> Image | None:
        folder = self._folder(key, scope)
        try:
            document = json.loads((folder / METADATA).read_text("utf-8"))
            document["target"] = Target(**document["target"])
            names = {f.name for f in fields(Image)}
            known = {name: value for name, value in document.items() if name in names}
            return Image(**known | {"scope": scope, "folder": folder})
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SettingsError(
                f"{folder / METADATA} is damaged: {error}", hint="remove the folder"
            ) from error


def _checked(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise EntryError(f"{key!r} is no content key", hint="64 hexadecimal digits")
    return key


def _sync(path: Path) -> None:
    """Have the kernel write a file or a folder to the disk, so that a rename follows it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
