"""What the store knows without looking into its folders: the index, kept in agreement with them.

The folders are the truth. A change of folders and the note of it in the index are made under one
lock, together with the state (time, links) that the changed folders are then in; so a folder in
another state than the one noted was changed by somebody who died, or by hand, and is compared
name by name at the next open. Without a usable index all questions are answered from the folders.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from builder.store.files import locked, state_of
from builder.store.image import KEY, MAIN, METADATA, SCOPE, Image, parse_image, read_image
from builder.store.index import Index, Row, broken
from ci.errors import SettingsError

REMOTE = "remote"  # of images that a registry has; never given to callers as a scope

T = TypeVar("T")
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Note:
    """What a change of folders has put and dropped."""

    rows: list[Row] = field(default_factory=list)
    dropped: list[tuple[str, str]] = field(default_factory=list)

    def put(self, image: Image, scope: str) -> None:
        """An image is there now."""
        self.rows.append(_row(scope, image.key, image))

    def drop(self, scope: str, key: str) -> None:
        """An image is gone."""
        self.dropped.append((scope, key))


class Known:
    """The index of a store and its lock."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = root / ".locks" / "changes"
        self._index = Index(root / ".index")
        self._behind = False  # a note could not be written: compare before the next question

    def folder(self, scope: str) -> Path:
        """Return where the images of a scope are."""
        if scope == MAIN:
            return self._root
        return self._root / (".remote" if scope == REMOTE else scope)

    def open(self) -> None:
        """Have the index ready and in agreement with the folders, if it can be had at all."""
        with locked(self._lock):
            self._try(self._agree)

    @contextmanager
    def change(self, *scopes: str) -> Iterator[Note]:
        """Hold the lock while folders of these scopes change; what is noted goes to the index."""
        concerned = dict.fromkeys((MAIN, *scopes))  # a new scope is a new folder in main's
        with locked(self._lock):
            self._try(self._agree)
            before = self._try(lambda: [s for s in concerned if self._agrees(s)]) or []
            note = Note()
            try:
                yield note
            except BaseException:
                self._behind = True
                raise

            self._try(lambda: self._write(note, before, concerned))

    def _write(self, note: Note, agreed: Iterable[str], concerned: Iterable[str]) -> None:
        states = {scope: state_of(self.folder(scope)) for scope in concerned}
        noted = [(scope, states[scope]) for scope in agreed if states[scope]]
        gone = [scope for scope in concerned if not states[scope]]
        self._index.change(note.rows, note.dropped, noted, gone)

    def candidates(
        self, software_key: str, scopes: tuple[str, ...]
    ) -> list[tuple[str, str, Image | None]]:
        """Return scope, key and image of this software, in the order of the scopes.

        No image: its folder is gone. The folders are only looked at in a scope whose own folder
        was changed by others than us.
        """
        found = self._ask(lambda: self._index.candidates(software_key, scopes))
        if found is not None:
            sure = self._try(lambda: {s for s in scopes if self._agrees(s)}) or set()
            return [(s, key, self._told(s, key, text, s in sure)) for s, key, text in found]
        walked = ((s, key, self._read(key, s)) for s in scopes for key in sorted(self.keys(s)))
        return [entry for entry in walked if entry[2] and entry[2].software_key == software_key]

    def _told(self, scope: str, key: str, metadata: str, sure: bool) -> Image | None:
        """Return the image of a row, if its folder is there."""
        folder = self.folder(scope) / key
        if not sure and not (folder / METADATA).exists():
            return None
        return parse_image(metadata, scope=_public(scope), folder=folder)

    def size(self) -> int:
        """Return the bytes of all images' SIFs that are here."""
        found = self._ask(lambda: self._index.size(but=REMOTE))
        if found is not None:
            return found
        walked = (self._read(key, s) for s in self.scopes() for key in self.keys(s))
        return sum(image.size for image in walked if image)

    def scopes(self) -> list[str]:
        """Return main and the scopes of pull requests, as the folders have them."""
        return [MAIN, *sorted(p.name for p in self._root.iterdir() if _is_pull(p.name))]

    def keys(self, scope: str) -> set[str]:
        """Return the keys of a scope, as its folder has them."""
        return _names(self.folder(scope))

    def _ask(self, question: Callable[[], T]) -> T | None:
        for _ in range(2):  # a damaged index is made anew
            if self._behind or not self._index.current():
                self.open()
            found = self._try(question)
            if found is not None:
                return found
        return None

    def _try(self, act: Callable[[], T]) -> T | None:
        """Do something with the index; None if it cannot be used. A damaged one is removed."""
        if self._behind and act != self._agree:
            return None
        try:
            return act()
        except (sqlite3.Error, OSError) as error:
            _log.warning("the index of the image store cannot be used: %s", error)
            self._behind = True
            if isinstance(error, sqlite3.Error) and broken(error):
                with suppress(OSError):
                    self._index.forget()
            return None

    def _agree(self) -> None:
        """Open the index if need be, and compare with it what changed behind its back."""
        if not self._behind and self._index.current():
            return
        self._index.open()
        noted = self._index.scopes()
        there = noted if self._agrees(MAIN) else {*self.scopes(), REMOTE}
        for scope in sorted(there | {MAIN}):
            self._compare(scope)
        self._index.change(forget=noted - there - {MAIN})
        self._behind = False

    def _agrees(self, scope: str) -> bool:
        return self._index.agrees(scope, state_of(self.folder(scope)))

    def _compare(self, scope: str) -> None:
        state = state_of(self.folder(scope))
        if self._index.agrees(scope, state):
            return
        there, noted = _names(self.folder(scope)), self._index.keys(scope)
        put = (self._row(key, scope) for key in sorted(there - noted))
        drop = [(scope, key) for key in noted - there]
        self._index.change(put, drop, [(scope, state)] if state else [])

    def _row(self, key: str, scope: str) -> Row:
        return _row(scope, key, self._read(key, scope))

    def _read(self, key: str, scope: str) -> Image | None:
        try:
            return read_image(self.folder(scope) / key, _public(scope))
        except SettingsError as error:  # told when somebody asks for that image
            _log.warning("%s", error)
            return None


def _row(scope: str, key: str, image: Image | None) -> Row:
    """Return what the index has of an image; of one that cannot be read, that it is there."""
    if image is None:
        return (scope, key, "", 0, "")
    metadata = json.dumps(image.to_dict(), separators=(",", ":"))
    return (scope, key, image.software_key, image.size, metadata)


def _public(scope: str) -> str:
    return MAIN if scope == REMOTE else scope


def _is_pull(name: str) -> bool:
    return name != MAIN and SCOPE.fullmatch(name) is not None


def _names(folder: Path) -> set[str]:
    try:
        return {name for name in os.listdir(folder) if KEY.fullmatch(name)}
    except FileNotFoundError:
        return set()
