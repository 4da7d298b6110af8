"""Targets: which are real, which image runs where, and what to tell a compiler.

Names of microarchitectures and their order come from archspec
(https://archspec.readthedocs.io): ``a <= b`` says that ``a`` is ``b`` or an ancestor of it,
so code for ``a`` runs on ``b``. The machine that builds is never asked what it is: inside a
virtual machine it understates, and it is not where the image runs.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from dataclasses import replace

import archspec.cpu

from ci.errors import EntryError
from ci.target import Target

# OCI's names of processor families (https://github.com/opencontainers/image-spec) → archspec's
FAMILIES = {
    "linux/amd64": "x86_64",
    "linux/arm64": "aarch64",
    "linux/ppc64le": "ppc64le",
    "linux/riscv64": "riscv64",
}
CONTAINER_ENGINES = ("apptainer", "singularity")

_VERSIONED = re.compile(r"([a-z][a-z0-9-]*(@[0-9][A-Za-z0-9.]*)?)?", re.ASCII)


def check(target: Target) -> None:
    """Raise ``EntryError`` if a field of the target names nothing real; say what is near."""
    if target.platform not in FAMILIES:
        raise _unknown("platform", target.platform, FAMILIES)
    if target.microarchitecture not in archspec.cpu.TARGETS:
        raise _unknown("microarchitecture", target.microarchitecture, archspec.cpu.TARGETS)
    family = str(archspec.cpu.TARGETS[target.microarchitecture].family)
    if family != FAMILIES[target.platform]:
        right = next((p for p, f in FAMILIES.items() if f == family), "")
        raise EntryError(
            f"{target.microarchitecture} is not a microarchitecture of {target.platform}",
            hint=f"its platform is {right}" if right else "",
        )
    for name, value in (("mpi", target.mpi), ("gpu", target.gpu)):
        if not _VERSIONED.fullmatch(value):
            raise EntryError(f"{name}: {value!r} is not `name` or `name@version`")
    if target.container_engine not in CONTAINER_ENGINES:
        raise _unknown("container engine", target.container_engine, CONTAINER_ENGINES)


def runs_on(image_target: Target, site_target: Target) -> bool:
    """Say whether an image made for one target runs on the other.

    All fields but the microarchitecture must be equal; that one may be an ancestor.
    """
    same = replace(image_target, microarchitecture=site_target.microarchitecture) == site_target
    image = archspec.cpu.TARGETS[image_target.microarchitecture]
    site = archspec.cpu.TARGETS[site_target.microarchitecture]
    return same and image.family == site.family and bool(image <= site)


def compatible(target: Target) -> tuple[Target, ...]:
    """Return the targets whose images run on this one: itself first, then its nearest ancestors."""
    here = archspec.cpu.TARGETS[target.microarchitecture]
    names = [here.name, *(a.name for a in here.ancestors if a.family == here.family)]
    return tuple(replace(target, microarchitecture=name) for name in names)


def compiler_flags(target: Target, compiler: str, version: str) -> str:
    """Return what makes the compiler write code for the target, for example ``-march=znver3``.

    For a target younger than the compiler these are the flags of its nearest ancestor that the
    compiler knows. Raises ``EntryError`` when it knows none.
    """
    for candidate in compatible(target):
        microarchitecture = archspec.cpu.TARGETS[candidate.microarchitecture]
        try:
            flags = microarchitecture.optimization_flags(compiler, version)
        except archspec.cpu.UnsupportedMicroarchitecture:
            continue
        if flags:
            return str(flags)
    raise EntryError(
        f"{compiler} {version} cannot compile for {target.microarchitecture}",
        hint="it needs a newer compiler",
    )


def _unknown(what: str, name: str, known: Collection[str]) -> EntryError:
    near = difflib.get_close_matches(name, known, 3)
    hint = f"did you mean {' or '.join(near)}?" if near else ""
    return EntryError(f"unknown {what} {name!r}", hint=hint or f"known are: {', '.join(known)}")
