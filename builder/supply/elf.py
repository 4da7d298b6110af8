"""The C library of an image: its version, and the oldest kernel that it runs on.

The ELF note NT_GNU_ABI_TAG says the kernel
(https://refspecs.linuxfoundation.org/LSB_1.2.0/gLSB/noteabitag.html); ELF's own layout is in
elf(5). Read with ``struct``: some forty lines, and every offset in them is a stranger's.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping

_LIBRARY = re.compile(r"(?:usr/)?lib(?:64)?/(?:[^/]+-linux-gnu[^/]*/)?libc(?:\.so\.6|-2\.\d+\.so)")
_VERSION_NAME = re.compile(r"libc-(2\.\d+)\.so")
_BANNER = re.compile(rb"GNU C Library \([^)\n]{0,100}\) [a-z]{1,20} release version (\d+\.\d+)")
_PACKAGE = re.compile(r"(?:\d+:)?(\d+\.\d+)")
_SIZE = 32 << 20  # bytes of a library that are read; libc has 2 MB
_PT_NOTE, _NT_GNU_ABI_TAG, _LINUX = 4, 1, 0
_MAX_HEADERS, _MAX_NOTES = 128, 64


def wanted(path: str) -> int:
    """Return how many bytes of a file are needed, 0 if it is no C library."""
    return _SIZE if _LIBRARY.fullmatch(path) else 0


def glibc(libraries: Mapping[str, bytes], package_version: str = "") -> tuple[str, str]:
    """Return the version of the C library and the oldest kernel for it; empty if not known.

    Args:
        libraries: path → content of those that ``wanted`` names; the 64-bit one counts.
        package_version: of the package libc6, for a library that does not tell its own.
    """
    version = kernel = ""
    for path, content in sorted(libraries.items(), key=_sixty_four_first):
        version = version or _told(path, content)
        kernel = kernel or oldest_kernel(content)
    packaged = _PACKAGE.match(package_version)
    return version or (packaged[1] if packaged else ""), kernel


def _sixty_four_first(item: tuple[str, bytes]) -> tuple[bool, str]:
    return item[1][4:5] != b"\x02", item[0]


def _told(path: str, content: bytes) -> str:
    banner = _BANNER.search(content)
    if banner:
        return banner[1].decode("ascii")
    name = _VERSION_NAME.search(path)
    return name[1] if name else ""


def oldest_kernel(content: bytes) -> str:
    """Return the version in the note NT_GNU_ABI_TAG of an ELF file; empty if there is none."""
    try:
        for kind, owner, description in _notes(content):
            if kind == _NT_GNU_ABI_TAG and owner == b"GNU\0" and len(description) >= 16:
                system, *version = struct.unpack_from(_order(content) + "4I", description)
                return ".".join(map(str, version)) if system == _LINUX else ""
    except (struct.error, OverflowError):
        pass  # an offset leads out of the file
    return ""


def _order(content: bytes) -> str:
    return ">" if content[5:6] == b"\x02" else "<"


def _notes(content: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Go through type, owner and description of the notes in the program headers."""
    if content[:4] != b"\x7fELF":
        return
    order, wide = _order(content), content[4:5] == b"\x02"
    start = struct.unpack_from(order + ("Q" if wide else "I"), content, 32 if wide else 28)[0]
    size, count = struct.unpack_from(order + "2H", content, 54 if wide else 42)
    for number in range(min(count, _MAX_HEADERS)):
        header = start + number * size
        if struct.unpack_from(order + "I", content, header)[0] == _PT_NOTE:
            word, at = ("Q", 8) if wide else ("I", 4)  # p_offset, and p_filesz at 4 times that
            offset = struct.unpack_from(order + word, content, header + at)[0]
            length = struct.unpack_from(order + word, content, header + 4 * at)[0]
            yield from _segment(content[offset : offset + length], order)


def _segment(notes: bytes, order: str) -> Iterator[tuple[int, bytes, bytes]]:
    position = 0
    for _ in range(_MAX_NOTES):
        if position + 12 > len(notes):
            return
        owner_size, size, kind = struct.unpack_from(order + "3I", notes, position)
        owner = position + 12
        description = owner + (-(-owner_size // 4) * 4)
        yield kind, notes[owner : owner + owner_size], notes[description : description + size]
        position = description + (-(-size // 4) * 4)
