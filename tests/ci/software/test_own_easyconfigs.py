import io
import lzma
import tarfile
from pathlib import Path

import pytest

from ci.software import own_easyconfigs


def archive(folder: Path, name: str) -> Path:
    with tarfile.open(folder / name, "w:gz") as tar:
        for path in ("e/b/B-1.eb", "e/a/A-1.eb", "e/again/A-1.eb", "e/a/A-1.patch", "setup.py"):
            tar.addfile(tarfile.TarInfo(path), io.BytesIO())
    return folder / name


def test_an_archive_gives_release_and_names(tmp_path: Path) -> None:
    packed = own_easyconfigs.pack(archive(tmp_path, "easybuild_easyconfigs-9.9.1.tar.gz"))
    assert lzma.decompress(packed) == b"9.9.1\nA-1.eb\nB-1.eb\n"


def test_another_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="easyconfigs-<release>"):
        own_easyconfigs.pack(archive(tmp_path, "easybuild-5.4.1.tar.gz"))


def test_names_are_those_of_files() -> None:
    assert "foss-2023a.eb" in own_easyconfigs.names()
    assert all(name.endswith(".eb") and "/" not in name for name in own_easyconfigs.names())
