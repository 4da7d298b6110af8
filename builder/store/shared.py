"""A folder of images in front, and a registry behind it that several services share.

    ROOT/.remote/<key>/metadata.json    of an image that the registry has
    ROOT/.pulls/<key>/                  being fetched
    ROOT/.unpushed/<key>                digest of a rebuilt image that the registry must get anew

What is built is published here first, so nothing is lost when the registry is away: it is sent at
the next ``sync``. Answers come with metadata only; ``fetch`` brings the files.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from builder.store.files import locked, sync_tree, try_lock
from builder.store.image import (
    KEY,
    MAIN,
    METADATA,
    Image,
    checked_key,
    parse_image,
    read_image,
)
from builder.store.known import REMOTE
from builder.store.registry import RegistryStore
from builder.store.store import ImageStore
from ci.errors import SettingsError, SiteError

_QUIET_SECONDS = 60.0  # a registry that did not answer is not asked by the way for so long
_log = logging.getLogger(__name__)


class SharedStore(ImageStore):
    """An image store whose images of main are in a registry too."""

    def __init__(
        self, root: Path, registry: RegistryStore, check: Callable[[Path], object]
    ) -> None:
        """``check`` raises unless the folder of a fetched image is one that may be used."""
        self._registry, self._check = registry, check
        self._unpushed = root / ".unpushed"
        self._pulls = root / ".pulls"
        self._away_until = 0.0
        super().__init__(root)

    def _open(self) -> None:
        for folder in (self._unpushed, self._pulls):
            folder.mkdir(exist_ok=True)
        super()._open()
        for part in self._pulls.iterdir():
            descriptor = try_lock(self._pull_lock(part.name))
            if descriptor is not None:
                shutil.rmtree(part, ignore_errors=True)
                os.close(descriptor)

    def publish(self, part: Path, image: Image, *, replace: bool = False) -> Image:
        """Put a finished folder in its place and, if it is one of main, send it to the registry.

        That the registry is away or refuses us is logged, not raised: ``sync`` tries again.
        """
        if image.scope == MAIN and replace:
            self._mark(image)
        made = super().publish(part, image, replace=replace)
        if made.scope == MAIN:
            self._push_now(made.key)
        return made

    def promote(self, key: str, from_scope: str) -> Image:
        """Make a pull request's image one of main, and send it to the registry as ``publish``."""
        image = super().promote(key, from_scope)
        self._push_now(key)
        return image

    def find(self, key: str, scope: str = MAIN) -> Image | None:
        """Return the image that may answer: of this scope, of main, else of the registry.

        The registry is not asked for a minute after it did not answer.
        """
        found = super().find(key, scope) or self._remembered(key)
        if found or time.monotonic() < self._away_until:
            return found
        try:
            metadata = self._registry.metadata(key)
        except (SiteError, SettingsError) as error:
            self._away(error)
            return None
        return self._remember(key, metadata) if metadata else None

    def fetch(self, image: Image) -> Image:
        """Return the image with its files here, from the registry if need be; safe to repeat.

        Holds no lock of the key, so its holder may call this too.

        Raises:
            SiteError: the registry does not answer, or no longer has the image;
            SettingsError: what it has is not what was signed.
        """
        found = super().find(image.key, image.scope)
        if not found:
            with self._told(image.key), locked(self._pull_lock(image.key)):
                found = self._read(image.key, MAIN)  # another fetched it while we waited
                found = found or self._pull(image.key)
        # it was chosen by metadata that nobody had checked, if they came from the registry
        if (found.software_key, found.target) != (image.software_key, image.target):
            self._forget_remote(image.key)
            raise SiteError(
                f"image {image.key[:12]} is another than the registry said",
                transient=True,
                hint="try again: it will be chosen anew, or built",
            )
        return found

    def sync(self) -> tuple[int, int]:
        """Send what the registry lacks, learn what it has; return how many of each.

        Raises:
            SiteError: the registry does not answer; what was done until then stays done.
            SettingsError: it does not let us in.
        """
        theirs = set(self._registry.keys())
        ours = self._known.keys(MAIN)
        sent = sum(self._push(key) for key in sorted(ours - theirs | self._marked()))
        for key in self._known.keys(REMOTE) - theirs:
            self._forget_remote(key)
        learned = 0
        for key in sorted(theirs - ours - self._known.keys(REMOTE)):
            metadata = self._registry.metadata(key)
            if metadata:
                self._remember(key, metadata)
                learned += 1
        self._away_until = 0.0
        return sent, learned

    def _answering(self, scope: str) -> tuple[str, ...]:
        return (*super()._answering(scope), REMOTE)

    def _met(self, key: str, there: str) -> Image | None:
        return self._remembered(key) if there == REMOTE else super()._met(key, there)

    def _remembered(self, key: str) -> Image | None:
        return read_image(self._known.folder(REMOTE) / checked_key(key), MAIN)

    def _remember(self, key: str, metadata: bytes) -> Image:
        place = self._known.folder(REMOTE) / key
        with self._told(key), self._known.change(REMOTE) as note:
            part = place.with_name(".part")  # one at a time: we hold the lock of changes
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            (part / METADATA).write_bytes(metadata)
            sync_tree(part)
            if not place.exists():
                part.rename(place)
            image = parse_image(metadata, scope=MAIN, folder=place)
            note.put(image, REMOTE)
        return image

    def _forget_remote(self, key: str) -> None:
        with self._told(key), self._known.change(REMOTE) as note:
            self._discard(self._known.folder(REMOTE) / key)
            note.drop(REMOTE, key)
        self._empty_trash()

    def _pull(self, key: str) -> Image:
        part = self._pulls / key
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        try:
            if not self._registry.pull(key, part):
                self._forget_remote(key)
                raise SiteError(
                    f"the registry {self._registry.name} no longer has image {key[:12]}",
                    hint="try again: it will be built",
                )
            self._check(part)
            os.utime(part / METADATA)
            sync_tree(part)
            return self._place(part, key, MAIN)
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def _pull_lock(self, key: str) -> Path:
        return self._locks / f"{checked_key(key)}.pull"

    def _mark(self, image: Image) -> None:
        """Remember, before it is published, that the registry must get this image anew."""
        mark = self._unpushed / checked_key(image.key)
        with self._told(image.key), locked(self._locks / "marks"):
            part = self._unpushed / f".{image.key}"
            part.write_text(image.digest, "utf-8")
            part.replace(mark)

    def _push_now(self, key: str) -> None:
        if time.monotonic() < self._away_until:
            return
        try:
            self._push(key)
        except (SiteError, SettingsError) as error:
            self._away(error)

    def _push(self, key: str) -> bool:
        """Send an image of main; in place of the registry's, if it was marked and published."""
        image, mark = self._read(key, MAIN), self._unpushed / key
        if image is None:
            return False
        replace = _text(mark) == image.digest
        sent = self._registry.push(image.folder, replace=replace)
        if replace:
            with locked(self._locks / "marks"):
                if _text(mark) == image.digest:
                    mark.unlink(missing_ok=True)
        return sent

    def _marked(self) -> set[str]:
        return {path.name for path in self._unpushed.iterdir() if KEY.fullmatch(path.name)}

    def _away(self, error: Exception) -> None:
        _log.warning("the image registry is left alone for a while: %s", error)
        self._away_until = time.monotonic() + _QUIET_SECONDS


def _text(path: Path) -> str:
    with suppress(FileNotFoundError):
        return path.read_text("utf-8")
    return ""
