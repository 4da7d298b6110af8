"""What is in an image: read from its files, without running anything of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from builder.supply import elf, packages
from builder.supply.packages import DebianPackage, EasyBuildModule, PythonPackage, SpackPackage
from builder.supply.tree import ImageTree, read_archive, read_folder

DPKG_RECORD, PIP_RECORD = "dpkg.txt", "pip.txt"
SPACK_RECORD, EASYBUILD_RECORD = "spack.lock", "easybuild.txt"


@dataclass(frozen=True, slots=True)
class Inventory:
    """All packages of an image, those of its base included, each kind sorted.

    ``glibc`` is the C library's version and ``kernel`` the oldest that it runs on (``2.36``,
    ``3.2.0``), both empty if there is none; ``system`` the variables of os-release(5).
    """

    system: Mapping[str, str] = field(default_factory=dict, hash=False)
    debian: tuple[DebianPackage, ...] = ()
    python: tuple[PythonPackage, ...] = ()
    spack: tuple[SpackPackage, ...] = ()
    easybuild: tuple[EasyBuildModule, ...] = ()
    spack_lock: bytes = b""
    glibc: str = ""
    kernel: str = ""


def inventory(path: Path, *, platform: str = "") -> Inventory:
    """Look into an image: an OCI archive, an OCI layout, or a folder with its files.

    ``platform`` chooses among several images in one archive.

    Raises:
        EntryError: the image is broken, hostile, or too large to be looked into.
        SettingsError: it cannot be read.
    """
    if path.is_dir() and not (path / "oci-layout").is_file():
        return _inventory(read_folder(path, _wanted))
    return _inventory(read_archive(path, _wanted, platform))


def records(found: Inventory) -> dict[str, bytes]:
    """Return the resolved packages as the managers' own lists say them, file name → content.

    ``dpkg.txt`` is what ``dpkg-query -W`` prints, ``pip.txt`` has ``name==version``,
    ``easybuild.txt`` ``name/version``. Lists without entries are left out.
    """
    debian = (f"{_qualified(one)}\t{one.version}" for one in found.debian)
    python = (f"{one.name}=={one.version}" for one in found.python)
    easybuild = (f"{one.name}/{one.version}" for one in found.easybuild)
    made = {
        DPKG_RECORD: _lines(debian),
        PIP_RECORD: _lines(python),
        SPACK_RECORD: found.spack_lock,
        EASYBUILD_RECORD: _lines(easybuild),
    }
    return {name: content for name, content in made.items() if content}


def _wanted(path: str) -> int:
    return packages.wanted(path) or elf.wanted(path)


def _inventory(tree: ImageTree) -> Inventory:
    files = dict(tree.files())
    debian = packages.debian(files)
    lock = files.get(packages.SPACK_LOCK, b"")
    release = next(filter(None, map(tree.read, packages.OS_RELEASE)), b"")
    libraries = {path: content for path, content in files.items() if elf.wanted(path)}
    libc = next((one.version for one in debian if one.name == "libc6"), "")
    glibc, kernel = elf.glibc(libraries, libc)
    return Inventory(
        system=packages.os_release(release),
        debian=debian,
        python=packages.python(files),
        spack=packages.spack(lock),
        easybuild=packages.easybuild(files),
        spack_lock=lock,
        glibc=glibc,
        kernel=kernel,
    )


def _qualified(package: DebianPackage) -> str:
    """Return the name as dpkg shows it: with the architecture where there may be several."""
    return f"{package.name}:{package.architecture}" if package.shared else package.name


def _lines(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in sorted(set(lines))).encode("utf-8", "replace")
