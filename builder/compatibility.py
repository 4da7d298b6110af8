"""Which image runs where (interim)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import archspec.cpu

from ci.software.environment import SoftwareEnvironment
from ci.target import Target
from builder.targets import FAMILIES


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one field compares."""

    field: str
    image: str
    site: str
    fits: bool
    why: str


def judge(image: Target, site: Target) -> tuple[Verdict, ...]:
    """One verdict per field."""
    found = []
    for name, of_image in image.to_dict().items():
        of_site = site.to_dict()[name]
        fits = of_image == of_site
        if name == "microarchitecture":
            one, other = archspec.cpu.TARGETS[of_image], archspec.cpu.TARGETS[of_site]
            fits = one.family == other.family and bool(one <= other)
        if name in ("glibc", "kernel"):
            fits = not of_site or bool(of_image)
        found.append(Verdict(name, of_image, of_site, fits, f"{name}: {of_image} and {of_site}"))
    return tuple(found)


def runs_on(image: Target, site: Target) -> bool:
    """All fields fit."""
    return all(v.fits for v in judge(image, site))


def distance(image: Target, site: Target) -> tuple[int, ...]:
    """The closest first."""
    if image.microarchitecture == site.microarchitecture:
        return (0,)
    here = archspec.cpu.TARGETS[site.microarchitecture]
    names = [a.name for a in here.ancestors]
    return (1 + names.index(image.microarchitecture) if image.microarchitecture in names else 99,)


def relevant(environment: SoftwareEnvironment, target: Target) -> Target:
    """Fields that matter."""
    compiled = bool(environment.spack or environment.easybuild or environment.post_install)
    if not compiled and not environment.pip:
        target = replace(target, microarchitecture=FAMILIES[target.platform])
    if not compiled:
        target = replace(target, mpi="", gpu="", gpu_architecture="")
    return replace(target, glibc="", kernel="")
