"""Read tar streams that a stranger may have made, forward only and within bounds.

``tarfile`` keeps every member in memory and reads extended headers of any size at once; here
nothing is kept, and what is read at once has a limit. Formats: POSIX.1-2017 pax, ustar, and GNU's
long names (https://www.gnu.org/software/tar/manual/html_node/Standard.html).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from ci.errors import EntryError

_BLOCK = 512
_CHUNK = 1 << 20
_MAX_HEADER = 1 << 20  # bytes of one extended header; a path has at most 4096
_REGULAR = b"\0" + b"07"
_END = bytes(_BLOCK)


class Source(Protocol):
    """What bytes come from."""

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes, none at the end."""

    def jump(self, position: int, /) -> bool:
        """Go to a position without reading what is before it, if that can be done."""


class Kind(StrEnum):
    """What an entry is; devices, pipes and sockets are all ``OTHER``."""

    FILE = "file"
    FOLDER = "folder"
    SYMLINK = "symlink"
    HARDLINK = "hardlink"
    OTHER = "other"


_KINDS = {b"1": Kind.HARDLINK, b"2": Kind.SYMLINK, b"5": Kind.FOLDER}


@dataclass(slots=True)
class Bounds:
    """What reading an image may cost; it counts down.

    ``entries`` of all layers; ``bytes`` of them when unpacked; ``kept`` bytes held in memory.
    """

    entries: int = 3_000_000
    bytes: int = 64 << 30
    kept: int = 512 << 20

    def spend(self, what: str, amount: int) -> None:
        """Raise ``EntryError`` when there is more than may be."""
        left = getattr(self, what) - amount
        if left < 0:
            raise EntryError(f"the image is too large to be looked into: too many {what}")
        setattr(self, what, left)


class Stream:
    """A source that counts: it only goes forward, and never further than the bounds."""

    def __init__(self, source: Source, bounds: Bounds) -> None:
        self._source = source
        self._bounds = bounds
        self.position = 0

    def exactly(self, size: int) -> bytes:
        """Return so many bytes. Raises ``EntryError`` if there are fewer."""
        pieces = []
        left = size
        while left:
            piece = self._some(left)
            if not piece:
                raise EntryError("a layer of the image ends too early")
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)

    def block(self) -> bytes:
        """Return the next block; an end without the two empty blocks is an end as well."""
        first = self._some(_BLOCK)
        return first + self.exactly(_BLOCK - len(first)) if first else _END

    def skip_to(self, position: int) -> None:
        """Go forward to a position, counted from the beginning."""
        last = position - 1  # is read, so that it is known to be there
        if last - self.position > _CHUNK and self._source.jump(last):
            self._bounds.spend("bytes", last - self.position)
            self.position = last
        while self.position < position:
            if not self._some(position - self.position):
                raise EntryError("a layer of the image ends too early")

    def _some(self, size: int) -> bytes:
        piece = self._source.read(min(size, _CHUNK))
        self.position += len(piece)
        self._bounds.spend("bytes", len(piece))
        return piece


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry; its content can be read until the next is asked for."""

    name: str
    kind: Kind
    link: str
    size: int
    stream: Stream
    start: int  # of the content in the stream

    def read(self, limit: int) -> bytes:
        """Return the first bytes of a file, at most ``limit``."""
        self.stream.skip_to(self.start)
        return self.stream.exactly(min(self.size, limit))


def entries(source: Source, bounds: Bounds) -> Iterator[Entry]:
    """Go through the entries of a tar, in their order.

    Raises:
        EntryError: it is no tar, it is cut, or it is out of bounds.
    """
    stream = Stream(source, bounds)
    extended: dict[str, str] = {}
    while (block := stream.block()) != _END:
        bounds.spend("entries", 1)
        _check(block)
        kind, size = block[156:157], _number(block[124:136])
        if kind in b"xgLK":
            content = stream.exactly(_bounded(size))
            stream.skip_to(_rounded(stream.position))
            extended |= _extended(kind, content)
            continue
        if kind == b"S":  # GNU's sparse files: the map goes on in further blocks
            more = block[482]
            while more:
                more = stream.exactly(_BLOCK)[504]
        size = _decimal(extended["size"]) if "size" in extended else size
        entry = _entry(block, kind, size, extended, stream)
        yield entry
        if kind not in b"123456":
            stream.skip_to(_rounded(entry.start + size))
        extended = {}


def _entry(block: bytes, kind: bytes, size: int, extended: dict[str, str], stream: Stream) -> Entry:
    name = extended.get("path") or _name(block)
    link = extended.get("linkpath") or _text(block[157:257])
    what = _KINDS.get(kind, Kind.FILE if kind in _REGULAR else Kind.OTHER)
    if what is Kind.FILE and name.endswith("/"):  # so was a folder written before 1988
        what = Kind.FOLDER
    return Entry(name, what, link, size, stream, stream.position)


def _check(block: bytes) -> None:
    total = sum(block) - sum(block[148:156]) + 8 * 0x20
    if total != _number(block[148:156]):
        raise EntryError("a layer of the image is no tar archive: a checksum is wrong")


def _number(field: bytes) -> int:
    """Return an octal number, or one in GNU's base 256."""
    if field[0] == 0x80:
        number = int.from_bytes(field[1:], "big")
    else:
        text = field.split(b"\0", 1)[0].strip()
        if text.strip(b"01234567"):
            raise EntryError("a layer of the image is no tar archive: a number is wrong")
        number = int(text or b"0", 8)
    if number >> 62:
        raise EntryError("a layer of the image says that a file has exabytes")
    return number


def _decimal(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise EntryError("a layer of the image is no tar archive: a number is wrong")
    return int(text)


def _bounded(size: int) -> int:
    if size > _MAX_HEADER:
        raise EntryError("a layer of the image has a header of more than 1 MiB")
    return size


def _rounded(position: int) -> int:
    return -(-position // _BLOCK) * _BLOCK


def _name(block: bytes) -> str:
    prefix = _text(block[345:500]) if block[257:263] == b"ustar\0" else ""
    return f"{prefix}/{_text(block[:100])}" if prefix else _text(block[:100])


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def _extended(kind: bytes, content: bytes) -> dict[str, str]:
    """Return what an extended header says of the next entry: its path, link path and size."""
    if kind == b"L":
        return {"path": _text(content)}
    if kind == b"K":
        return {"linkpath": _text(content)}
    if kind == b"g":  # of all entries: times and comments, in what engines write
        return {}
    found: dict[str, str] = {}
    while content.strip(b"\0"):
        length, _, _ = content[:20].partition(b" ")
        end = _decimal(length.decode("ascii", "replace"))
        name, equals, value = content[len(length) + 1 : end - 1].partition(b"=")
        if not equals or content[end - 1 : end] != b"\n":
            raise EntryError("a layer of the image is no tar archive: an extended header is wrong")
        if name in {b"path", b"linkpath", b"size"}:
            found[name.decode("ascii")] = value.decode("utf-8", "surrogateescape")
        content = content[end:]
    return found
