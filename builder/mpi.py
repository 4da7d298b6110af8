"""MPI libraries: their names, and which of them can stand in for which.

A program that is linked with one MPI library finds another at the site. That works where both
have the same binary interface and the site's has every function that the image may call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from builder.versions import highest, lowest, numbers

MPICH_ABI, OPEN_MPI_ABI = "MPICH", "Open MPI"
_UNKNOWN = (99, 0)  # newer than every standard: nothing is known to have all of its functions
_PARTS = 3  # a version with so many parts is exact


class Release(NamedTuple):
    """From which version on a library has which MPI standard: ``least`` surely, ``most`` perhaps.

    They differ where a release has previews of the next standard, or where we found no statement.
    """

    since: str
    least: tuple[int, int]
    most: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Flavour:
    """An MPI library: the family of its binary interface, empty if it stands alone."""

    abi: str = ""
    releases: tuple[Release, ...] = ()


# The first releases with the common interface: https://www.mpich.org/abi/. Standards: MPICH's
# CHANGES file; Intel's release notes (4.1 complete from 2021.16, previews of the next one before);
# HPE (8.x from MPICH 3.4a2, 9.x from 4.x); MVAPICH's user guide. The last line of a library has no
# upper end, so that a release after the newest known one is never taken for less than it is.
FLAVOURS = {
    "openmpi": Flavour(OPEN_MPI_ABI),
    "mpich": Flavour(
        MPICH_ABI,
        (
            Release("3.1", (3, 0), (3, 0)),
            Release("3.2", (3, 1), (3, 1)),
            Release("4.0", (4, 0), (4, 0)),
            Release("4.2", (4, 1), (4, 1)),
            Release("5.0", (5, 0), _UNKNOWN),
        ),
    ),
    "intel-oneapi-mpi": Flavour(
        MPICH_ABI,
        (
            Release("5.0", (3, 0), (3, 1)),
            Release("2018", (3, 1), (3, 1)),
            Release("2021", (3, 1), (4, 0)),
            Release("2021.15", (4, 0), (4, 1)),
            Release("2021.16", (4, 1), (4, 1)),
            Release("2021.18", (4, 1), _UNKNOWN),
        ),
    ),
    "cray-mpich": Flavour(
        MPICH_ABI,
        (
            Release("7.0", (3, 0), (3, 1)),
            Release("8.0", (3, 1), (3, 1)),
            Release("9.0", (4, 0), _UNKNOWN),
        ),
    ),
    "mvapich2": Flavour(
        MPICH_ABI,
        (Release("2.0", (3, 0), (3, 1)), Release("2.3", (3, 1), (3, 1))),
    ),
    "mvapich": Flavour(
        MPICH_ABI,
        (Release("3.0", (3, 1), (3, 1)), Release("4.0", (3, 1), _UNKNOWN)),
    ),
    "parastationmpi": Flavour(MPICH_ABI, (Release("5.1.7", (3, 0), _UNKNOWN),)),
    # nothing is promised about these beyond their own version
    "fujitsu-mpi": Flavour(),
    "hpcx-mpi": Flavour(),
    "mpt": Flavour(),
    "mvapich2-gdr": Flavour(),
    "spectrum-mpi": Flavour(),
}
ALIASES = {
    "cray-mpt": "cray-mpich",
    "impi": "intel-oneapi-mpi",
    "intel-mpi": "intel-oneapi-mpi",
    "mvapich3": "mvapich",
    "ompi": "openmpi",
    "open-mpi": "openmpi",
    "psmpi": "parastationmpi",
}
_FIRST_OPEN_MPI = 2  # before, promises held for parts of a series only


def canonical(spec: str) -> str:
    """Return ``name@version`` with the name that we use for the library."""
    name, at, version = spec.partition("@")
    return f"{ALIASES.get(name, name)}{at}{version}"


def stands_in(image: str, site: str) -> tuple[bool, str]:
    """Say whether the site's MPI can take the place of the image's, and why.

    Args:
        image: ``name@version`` that the image was built with.
        site: the same of the site.
    """
    (mine, _, version), (theirs, _, there) = (canonical(t).partition("@") for t in (image, site))
    if (mine, version) == (theirs, there):
        return True, f"both are {mine}{'@' + version if version else ''}"
    one, other = FLAVOURS.get(mine, Flavour()), FLAVOURS.get(theirs, Flavour())
    if not one.abi or one.abi != other.abi:
        return False, f"{image} and {site} have no common binary interface"
    if not numbers(version) or not numbers(there):
        told = image if not numbers(version) else site
        return False, f"{told} names no version: {image} and {site} cannot be compared"
    if one.abi == OPEN_MPI_ABI:
        return _open_mpi(version, there)
    return _mpich(image, site)


def _open_mpi(image: str, site: str) -> tuple[bool, str]:
    """Open MPI keeps its interface within a series, for programs of older releases.

    The step from 4 to 5 kept it for C, but not for all of Fortran
    (https://docs.open-mpi.org/en/v5.0.x/building-apps/abi-compatibility.html).
    """
    major = numbers(image)[0]
    if major != numbers(site)[0] or major < _FIRST_OPEN_MPI:
        return False, f"Open MPI {image} and {site} are of different series"
    if lowest(site) < highest(image, _PARTS):
        return False, _older("Open MPI", image, site)
    return True, f"Open MPI {site} runs what was built with {image} of the same series"


def _mpich(image: str, site: str) -> tuple[bool, str]:
    (mine, _, version), (theirs, _, there) = (canonical(t).partition("@") for t in (image, site))
    need, have = _release(mine, highest(version, _PARTS)), _release(theirs, lowest(there))
    first = _release(mine, lowest(version))
    if not need or not have or not first:
        old = site if need and first else image
        return False, f"{old} is older than the common interface of the MPICH family"
    if mine == theirs:
        if lowest(there) < highest(version, _PARTS):
            return False, _older(mine, version, there)
        return True, f"{mine} {there} has the interface of {version}, which is older"
    if have.least < need.most:
        return False, f"{site} may lack functions of the MPI standard that {image} has"
    standard = ".".join(map(str, have.least))
    return True, f"{image} and {site} have the MPICH interface, and the site has MPI {standard}"


def _release(name: str, version: tuple[int, ...]) -> Release | None:
    found = [r for r in FLAVOURS[name].releases if lowest(r.since) <= version]
    return found[-1] if found else None


def _older(name: str, image: str, site: str) -> str:
    if len(numbers(site)) < _PARTS or len(numbers(image)) < _PARTS:
        return f"{name} {site} may be older than {image}: whole versions are needed to say"
    return f"{name} {site} is older than {image}, which the image was built with"
