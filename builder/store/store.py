"""Images under one folder: how they come, are found, and go."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from builder.store.files import sync, sync_tree, told, try_lock
from builder.store.image import (
    LOG,
    MAIN,
    METADATA,
    Image,
    checked_key,
    checked_scope,
    read_image,
)
from builder.store.known import Known, Note
from ci.errors import EntryError, SettingsError

_POLL_SECONDS = 0.1
_REPLACED = ".replaced"


class ImageStore:
    """Images under one folder; several processes may use it at once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._parts = root / ".parts"
        self._locks = root / ".locks"
        self._failed = root / ".failed"
        self._trash = root / ".trash"
        self._replaced = root / _REPLACED
        folders = (self._parts, self._locks, self._failed, self._trash, self._replaced)
        self._known = Known(root)
        with told(f"cannot open the image store {root}"):
            for folder in (*folders, root / ".index", root / ".remote"):
                folder.mkdir(parents=True, exist_ok=True)
            self._open()

    def _open(self) -> None:
        self._known.open()
        for aside in self._replaced.iterdir():
            scope, _, key = aside.name.rpartition("_")
            self._settle(key, scope)
        self.sweep(self._parts)
        self._empty_trash()

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
        with self._told(key):
            return try_lock(self._locks / checked_key(key))

    def begin(self, key: str) -> Path:
        """Return an empty folder to make an image in. The caller holds the lock of the key."""
        part = self._parts / checked_key(key)
        shutil.rmtree(part, ignore_errors=True)
        with self._told(key):
            part.mkdir(exist_ok=True)
        return part

    def publish(self, part: Path, image: Image, *, replace: bool = False) -> Image:
        """Put a finished folder in its place. An image that is there stays, unless ``replace``.

        A kill at any instruction leaves the old image or the new one, never none and never half.

        Raises:
            SettingsError: the disk is full, or the store cannot be written.
        """
        with self._told(image.key):
            text = image.to_json()
            metadata = part / METADATA
            if not metadata.is_file() or metadata.read_text("utf-8") != text:
                metadata.write_text(text, "utf-8")
            os.utime(metadata)
            sync_tree(part)
            return self._place(part, image.key, image.scope, replace=replace)

    def promote(self, key: str, from_scope: str) -> Image:
        """Make a pull request's image one of main; the work of a moment, and safe to repeat."""
        source = self._folder(key, from_scope)
        if from_scope != MAIN and source.is_dir():
            with self._told(key):
                return self._place(source, key, MAIN, from_scope=from_scope)
        image = self._read(key, MAIN)
        if image is None:
            raise EntryError(f"{from_scope} has no image {key[:12]} to promote")
        return image

    def _place(
        self, source: Path, key: str, scope: str, *, replace: bool = False, from_scope: str = ""
    ) -> Image:
        place, aside = self._folder(key, scope), self._aside(key, scope)
        with self._known.change(scope, *filter(None, [from_scope])) as note:
            place.parent.mkdir(exist_ok=True)
            self._mend(key, scope, note)
            if replace and place.exists():
                place.rename(aside)
            if not place.exists():
                with suppress(FileNotFoundError):  # promoted by another meanwhile
                    source.rename(place)
            sync(place.parent)
            image = read_image(place, scope)
            if image is None:
                raise SettingsError(f"cannot put an image into {place}")
            note.put(image, scope)
            if from_scope:
                note.drop(from_scope, key)
                self._discard(source)
        self._discard(aside)
        self._discard(source)
        self._empty_trash()
        return image

    def _mend(self, key: str, scope: str, note: Note) -> None:
        """End what a killed replacement began. The caller holds the lock of changes."""
        place, aside = self._folder(key, scope), self._aside(key, scope)
        if not aside.exists():
            return
        if place.exists():
            self._discard(aside)
        else:
            place.parent.mkdir(exist_ok=True)
            aside.rename(place)
            sync(place.parent)
        image = read_image(place, scope)
        if image:
            note.put(image, scope)

    def _settle(self, key: str, scope: str) -> None:
        with self._known.change(scope) as note:
            self._mend(key, scope, note)

    def _discard(self, folder: Path) -> None:
        """Take a folder out of sight at once; ``_empty_trash`` deletes it."""
        with suppress(FileNotFoundError):
            folder.rename(tempfile.mkdtemp(dir=self._trash))  # onto an empty folder, rename(2)

    def _empty_trash(self) -> None:
        for folder in self._trash.iterdir():
            shutil.rmtree(folder, ignore_errors=True)

    def fail(self, key: str, part: Path) -> Path:
        """Drop a folder of a failed build; keep its log and return where that is."""
        kept = self._failed / f"{checked_key(key)}.log"
        with suppress(FileNotFoundError):
            (part / LOG).rename(kept)
        shutil.rmtree(part, ignore_errors=True)
        return kept

    def remove(self, key: str, scope: str, *, unused_since: float | None = None) -> bool:
        """Remove an image; say whether there was one to remove.

        One that was used later than ``unused_since`` (Unix time) stays.
        """
        folder = self._folder(key, scope)
        with self._told(key), self._known.change(scope) as note:
            self._mend(key, scope, note)
            image = read_image(folder, scope) if unused_since is not None else None
            if image and unused_since is not None and image.last_used > unused_since:
                return False
            there = folder.exists()
            self._discard(folder)
            note.drop(scope, key)
            if scope != MAIN:
                with suppress(OSError):  # others are still in it
                    folder.parent.rmdir()
            sync(self.root)
        self._empty_trash()
        return there

    def trim_logs(self, before: float) -> None:
        """Remove the logs of builds that failed before a Unix time."""
        for log in self._failed.iterdir():
            with suppress(FileNotFoundError):
                if log.stat().st_mtime < before:
                    log.unlink()

    def used(self, key: str, scope: str, when: float | None = None) -> None:
        """Note that an image was taken at a Unix time, by default now. It never goes back."""
        path = self._folder(key, scope) / METADATA
        when = time.time() if when is None else when
        with self._told(key), suppress(FileNotFoundError):
            if path.stat().st_mtime < when:
                os.utime(path, (when, when))

    def find(self, key: str, scope: str = MAIN) -> Image | None:
        """Return the image that may answer a request of this scope: its own, else main's."""
        found = self._read(key, scope)
        return found if found or scope == MAIN else self._read(key, MAIN)

    def fetch(self, image: Image) -> Image:
        """Return the image with its files here. Raises ``SettingsError`` if it is gone."""
        found = self._read(image.key, image.scope)
        if found is None:
            raise SettingsError(f"image {image.key[:12]} is gone", hint="try again")
        return found

    def candidates(self, software_key: str, scope: str = MAIN) -> tuple[Image, ...]:
        """Return the images of main and of this scope that hold exactly this software.

        They are as the index has them, without ``last_used``; ``fetch`` gives what is really there.
        """
        if not software_key:
            return ()
        scopes = self._answering(checked_scope(scope))
        found: dict[str, Image] = {}
        for there, key, told_of in self._known.candidates(software_key, scopes):
            image = told_of or self._met(key, there)
            if image is None:
                self._forget(key, there)
            elif image.software_key == software_key:
                found.setdefault(key, image)
        return tuple(found.values())

    def _answering(self, scope: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys((scope, MAIN)))

    def _met(self, key: str, there: str) -> Image | None:
        return self._read(key, there)

    def _forget(self, key: str, scope: str) -> None:
        with self._known.change(scope) as note:
            if not (self._known.folder(scope) / key).exists():
                note.drop(scope, key)

    def list(self) -> tuple[Image, ...]:
        """Return all images, the newest first."""
        found = [
            image
            for scope in self._known.scopes()
            for key in self._known.keys(scope)
            if (image := self._read(key, scope))
        ]
        return tuple(sorted(found, key=lambda image: image.created, reverse=True))

    def bytes_used(self) -> int:
        """Return the bytes of all SIFs; what is beside them (records, logs) is not counted."""
        return self._known.size()

    def _folder(self, key: str, scope: str) -> Path:
        return self._known.folder(checked_scope(scope)) / checked_key(key)

    def _aside(self, key: str, scope: str) -> Path:
        return self._replaced / f"{scope}_{key}"

    def _read(self, key: str, scope: str) -> Image | None:
        folder = self._folder(key, scope)
        image = read_image(folder, scope)
        if image is None and self._aside(key, scope).exists():  # it is being replaced
            self._settle(key, scope)
            image = read_image(folder, scope)
        return image

    def _told(self, key: str) -> AbstractContextManager[None]:
        return told(f"cannot change image {key[:12]} in {self.root}")
