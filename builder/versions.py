"""Version numbers as targets have them: often only the first of their parts.

``openmpi@4`` of a site is some 4.x.y. To be on the safe side it may be 4.0.0 where the site must
have at least a version, and any later 4.x.y where an image must not be newer than one.
"""

from __future__ import annotations

import re
from functools import lru_cache

_NUMBERS = re.compile(r"\d{1,6}(?:[.-]\d{1,9}){0,4}", re.ASCII)
_ANY = 10**9  # larger than every part of a version

Numbers = tuple[int, ...]


@lru_cache(maxsize=4096)
def numbers(text: str) -> Numbers:
    """Return the parts of ``2.3.7-1``: 2, 3, 7, 1. Nothing if it is no such number."""
    if not _NUMBERS.fullmatch(text):
        return ()
    return tuple(int(part) for part in re.split(r"[.-]", text))


def lowest(text: str) -> Numbers:
    """Return the oldest version that may be meant; nothing if the text is not a version."""
    found = numbers(text)
    return (*found, *(0,) * (5 - len(found))) if found else ()


def highest(text: str, parts: int) -> Numbers:
    """Return the newest version that may be meant.

    Args:
        text: the version, perhaps only its first parts.
        parts: so many make it exact.
    """
    found = numbers(text)
    rest = 0 if len(found) >= parts else _ANY
    return (*found, *(rest,) * (5 - len(found))) if found else ()


def not_older(site: str, image: str, parts: int) -> bool:
    """Say whether the site's version is surely at least the image's."""
    least, most = lowest(site), highest(image, parts)
    return bool(least and most) and least >= most
