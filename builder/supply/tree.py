"""The files of an image that tell what is in it, as they are when all layers lie on each other.

Whiteouts: https://github.com/opencontainers/image-spec/blob/main/layer.md. Only wanted files are
kept, in nested dictionaries; for all others nothing but their place counts.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from builder.supply.oci import layers, open_layout
from builder.supply.tar import Bounds, Entry, Kind, Source, entries
from ci.errors import EntryError, SettingsError

Wanted = Callable[[str], int]  # path → how many bytes of it are wanted, 0: none

_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"
_MAX_DEPTH = 200  # folders in folders
_MAX_LINKS = 10_000  # hard links from a wanted name to one that is not


@dataclass(frozen=True, slots=True)
class Leaf:
    """What lies at a path: a file's content, or where a symbolic link leads."""

    content: bytes = b""
    link: str = ""


_Node = dict[str, "Leaf | _Node"]


@dataclass(slots=True)
class ImageTree:
    """The wanted files of an image, by path (no leading slash)."""

    root: _Node = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)  # targets of hard links that were not kept

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Return path and content of each file, sorted."""
        stack: list[tuple[str, Leaf | _Node]] = [("", self.root)]
        while stack:
            path, node = stack.pop()
            if isinstance(node, dict):
                below = sorted(node, reverse=True)
                stack += [(f"{path}/{name}" if path else name, node[name]) for name in below]
            elif not node.link:
                yield path, node.content

    def read(self, path: str) -> bytes | None:
        """Return a file, its own links followed inside the image; None if it is not there."""
        for _ in range(8):
            leaf = _get(self.root, path.split("/"))
            if not isinstance(leaf, Leaf):
                return None
            if not leaf.link:
                return leaf.content
            start = "" if leaf.link.startswith("/") else os.path.dirname(path)
            path = os.path.normpath(os.path.join("/", start, leaf.link.lstrip("/"))).strip("/")
        return None


def read_archive(path: Path, wanted: Wanted, platform: str = "") -> ImageTree:
    """Read an OCI archive or layout. Raises ``EntryError`` if it is broken or out of bounds."""
    tree = _read_layers(path, wanted, platform)
    if tree.missing:  # hard links to files that nobody wanted: read once more, and keep those
        also = tree.missing
        tree = _read_layers(path, lambda name: wanted(name) or (name in also) << 20, platform)
    return tree


def _read_layers(path: Path, wanted: Wanted, platform: str) -> ImageTree:
    tree, bounds = ImageTree(), Bounds()
    with open_layout(path) as layout:
        for source in layers(layout, platform):
            _add_layer(tree, source, wanted, bounds)
    return tree


def _add_layer(tree: ImageTree, source: Source, wanted: Wanted, bounds: Bounds) -> None:
    upper: _Node = {}
    for entry in entries(source, bounds):
        parts = _parts(entry.name)
        if not parts:
            continue
        name = parts[-1]
        if name == _OPAQUE:
            below = _get(tree.root, parts[:-1])
            if isinstance(below, dict):
                below.clear()
        elif name.startswith(_WHITEOUT):
            _remove(tree.root, [*parts[:-1], name.removeprefix(_WHITEOUT)])
        elif entry.kind is Kind.FOLDER:
            _remove(tree.root, parts, only_leaf=True)
            _remove(upper, parts, only_leaf=True)
        else:
            leaf = _leaf(tree, upper, entry, wanted("/".join(parts)), bounds)
            _remove(tree.root, parts)
            _remove(upper, parts)
            if leaf is not None:
                _put(upper, parts, leaf)
    _merge(tree.root, upper)


def _leaf(tree: ImageTree, upper: _Node, entry: Entry, wanted: int, bounds: Bounds) -> Leaf | None:
    if not wanted:
        return None
    if entry.kind is Kind.FILE:
        content = entry.read(wanted)
        bounds.spend("kept", len(content))
        return Leaf(content)
    if entry.kind is Kind.SYMLINK:
        return Leaf(link=entry.link)
    if entry.kind is Kind.HARDLINK:
        parts = _parts(entry.link)
        found = _get(upper, parts) or _get(tree.root, parts)
        if isinstance(found, Leaf):
            return found
        if len(tree.missing) < _MAX_LINKS:
            tree.missing.add("/".join(parts))
    return None


def read_folder(folder: Path, wanted: Wanted) -> ImageTree:
    """Read an image that lies unpacked in a folder; no link is followed, so nothing else is read.

    Raises ``EntryError`` if it is out of bounds, ``SettingsError`` if it cannot be read.
    """
    tree, bounds = ImageTree(), Bounds()
    stack: list[tuple[str, ...]] = [()]
    while stack:
        parts = stack.pop()
        try:
            with os.scandir(os.path.join(folder, *parts)) as found:
                for item in found:
                    bounds.spend("entries", 1)
                    here = (*parts, item.name)
                    if item.is_dir(follow_symlinks=False):
                        stack.append(_not_too_deep(here))
                    elif size := wanted("/".join(here)):
                        _put(tree.root, list(here), _read_leaf(item.path, size, bounds))
        except OSError as error:
            raise SettingsError(f"cannot look into the image: {error}") from None
    return tree


def _read_leaf(path: str, size: int, bounds: Bounds) -> Leaf:
    if stat.S_ISLNK(os.lstat(path).st_mode):
        return Leaf(link=os.readlink(path))
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return Leaf()
        content = stream.read(size)
    bounds.spend("kept", len(content))
    return Leaf(content)


def _parts(name: str) -> list[str]:
    """Return a name's parts; an absolute one begins at the image's root."""
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if ".." in parts:
        raise EntryError(f"the image has the entry {name[:200]!r}, which leads out of it")
    return list(_not_too_deep(tuple(parts)))


def _not_too_deep(parts: tuple[str, ...]) -> tuple[str, ...]:
    if len(parts) > _MAX_DEPTH:
        raise EntryError(f"the image has more than {_MAX_DEPTH} folders in each other")
    return parts


def _get(node: Leaf | _Node | None, parts: list[str]) -> Leaf | _Node | None:
    for part in parts:
        if not isinstance(node, dict):
            return None
        node = node.get(part)
    return node


def _remove(root: _Node, parts: list[str], *, only_leaf: bool = False) -> None:
    parent = _get(root, parts[:-1])
    if isinstance(parent, dict) and not (only_leaf and isinstance(parent.get(parts[-1]), dict)):
        parent.pop(parts[-1], None)


def _put(root: _Node, parts: list[str], leaf: Leaf) -> None:
    node = root
    for part in parts[:-1]:
        below = node.get(part)
        if not isinstance(below, dict):
            below = node[part] = {}
        node = below
    node[parts[-1]] = leaf


def _merge(lower: _Node, upper: _Node) -> None:
    stack = [(lower, upper)]
    while stack:
        below, above = stack.pop()
        for name, node in above.items():
            old = below.get(name)
            if isinstance(old, dict) and isinstance(node, dict):
                stack.append((old, node))
            else:
                below[name] = node
