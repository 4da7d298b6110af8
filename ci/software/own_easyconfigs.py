"""The easyconfigs that EasyBuild itself has: their file names, as of one release.

``own_easyconfigs.txt.xz`` holds the release and then one name a line. It is made from the source
archive of https://pypi.org/project/easybuild-easyconfigs/:
``python -m ci.software.own_easyconfigs easybuild_easyconfigs-<release>.tar.gz``.
"""

from __future__ import annotations

import lzma
import re
import sys
import tarfile
from functools import lru_cache
from pathlib import Path

FILE = Path(__file__).with_name("own_easyconfigs.txt.xz")
_ARCHIVE = re.compile(r"easybuild[_-]easyconfigs-([0-9][0-9.]*)\.tar\.gz", re.ASCII)


def release() -> str:
    """The release of EasyBuild whose easyconfigs are listed."""
    return _lines()[0]


def names() -> frozenset[str]:
    """The file names of all of them."""
    return _lines()[1]


@lru_cache(maxsize=1)
def _lines() -> tuple[str, frozenset[str]]:
    first, *others = lzma.decompress(FILE.read_bytes()).decode("ascii").split()
    return first, frozenset(others)


def pack(archive: Path) -> bytes:
    """The content of the file; the same archive gives the same bytes. Raises ``ValueError``."""
    found = _ARCHIVE.fullmatch(archive.name)
    if not found:
        raise ValueError(f"{archive.name} is not easybuild_easyconfigs-<release>.tar.gz")
    with tarfile.open(archive) as tar:
        paths = [member.name for member in tar if member.isfile()]
    own = sorted({path.rpartition("/")[2] for path in paths if path.endswith(".eb")})
    text = "\n".join([found[1], *own]) + "\n"
    return lzma.compress(text.encode("ascii"), preset=9 | lzma.PRESET_EXTREME)


if __name__ == "__main__":
    FILE.write_bytes(pack(Path(sys.argv[1])))
