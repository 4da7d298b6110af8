"""Targets: which are real, how they are written, and what to tell a compiler.

Names of microarchitectures and their order come from archspec
(https://archspec.readthedocs.io). The machine that builds is never asked what it is: inside a
virtual machine it understates, and it is not where the image runs. What runs where is in
``builder.compatibility``.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from dataclasses import replace

import archspec.cpu

from builder import mpi
from builder.accelerators import CUDA, ROCM
from builder.accelerators import FLAVOURS as ACCELERATORS
from builder.versions import numbers
from ci.errors import EntryError
from ci.gpu_architecture import normalised
from ci.target import Target

# OCI's names of processor families (https://github.com/opencontainers/image-spec) → archspec's
FAMILIES = {
    "linux/amd64": "x86_64",
    "linux/arm64": "aarch64",
    "linux/ppc64le": "ppc64le",
    "linux/riscv64": "riscv64",
}
CONTAINER_ENGINES = ("apptainer", "singularity")
# https://developer.nvidia.com/cuda-gpus and /cuda-legacy-gpus, from Kepler on
CAPABILITIES = (
    *("3.0", "3.2", "3.5", "3.7", "5.0", "5.2", "5.3", "6.0", "6.1", "6.2", "7.0", "7.2", "7.5"),
    *("8.0", "8.6", "8.7", "8.8", "8.9", "9.0", "10.0", "10.1", "10.3", "11.0", "12.0", "12.1"),
)
# https://llvm.org/docs/AMDGPUUsage.html#processors: those that ROCm has had
AMD_TARGETS = (
    *("gfx803", "gfx900", "gfx902", "gfx904", "gfx906", "gfx908", "gfx909", "gfx90a", "gfx90c"),
    *("gfx940", "gfx941", "gfx942", "gfx950", "gfx1010", "gfx1011", "gfx1012", "gfx1013"),
    *("gfx1030", "gfx1031", "gfx1032", "gfx1033", "gfx1034", "gfx1035", "gfx1036"),
    *("gfx1100", "gfx1101", "gfx1102", "gfx1103", "gfx1150", "gfx1151", "gfx1152", "gfx1153"),
    *("gfx1200", "gfx1201"),
)

_VARIANT = re.compile(r"(linux/[a-z0-9]+)/(v\d)", re.ASCII)
_LONGEST = 80  # of a wrong name in a message


def check(target: Target) -> None:
    """Raise ``EntryError`` if a field of the target names nothing real; say what is near."""
    _check_platform(target)
    _check_versioned("mpi", target.mpi, (*mpi.FLAVOURS, *mpi.ALIASES))
    _check_versioned("gpu", target.gpu, ACCELERATORS)
    _check_gpu_architecture(target)
    if not target.container_engine:
        raise EntryError("container engine: none is named", hint=_known(CONTAINER_ENGINES))
    _check_versioned("container engine", target.container_engine, CONTAINER_ENGINES)
    for name, value in (("glibc", target.glibc), ("kernel", target.kernel)):
        if value and ("-" in value or len(numbers(value)) < 2):
            raise EntryError(
                f"{name}: {value[:_LONGEST]!r} is not a version in numbers",
                hint="two or three of them with dots, as 2.28 or 5.14.0",
            )


def normal(target: Target) -> Target:
    """Return the target with the names that we use, so that two ways to write one are equal."""
    return replace(
        target,
        mpi=mpi.canonical(target.mpi),
        gpu_architecture=normalised(target.gpu_architecture) or target.gpu_architecture,
    )


def ancestry(microarchitecture: str) -> tuple[str, ...]:
    """Return the microarchitecture and those of its family whose code runs on it."""
    here = archspec.cpu.TARGETS[microarchitecture]
    return (here.name, *(a.name for a in here.ancestors if a.family == here.family))


def compiler_flags(target: Target, compiler: str, version: str) -> str:
    """Return what makes the compiler write code for the target, for example ``-march=znver3``.

    For a target younger than the compiler these are the flags of its nearest ancestor that the
    compiler knows. Raises ``EntryError`` when it knows none.
    """
    for name in ancestry(target.microarchitecture):
        try:
            flags = archspec.cpu.TARGETS[name].optimization_flags(compiler, version)
        except archspec.cpu.UnsupportedMicroarchitecture:
            continue
        if flags:
            return str(flags)
    raise EntryError(
        f"{compiler} {version} cannot compile for {target.microarchitecture}",
        hint="it needs a newer compiler",
    )


def unknown(what: str, name: str, known: Collection[str]) -> EntryError:
    """Return the error for a name that is none of those known, with the nearest of them."""
    near = difflib.get_close_matches(name[:_LONGEST].lower(), known, 3)
    hint = f"did you mean {' or '.join(near)}?" if near else _known(known)
    return EntryError(f"unknown {what} {name[:_LONGEST]!r}", hint=hint)


def _check_platform(target: Target) -> None:
    name = target.microarchitecture
    if variant := _VARIANT.fullmatch(target.platform):
        raise EntryError(
            f"platform: {target.platform!r} has a variant",
            hint=_without_variant(variant[1], variant[2]),
        )
    if target.platform not in FAMILIES:
        raise unknown("platform", target.platform, FAMILIES)
    if name not in archspec.cpu.TARGETS:
        raise unknown("microarchitecture", name, archspec.cpu.TARGETS)
    family = str(archspec.cpu.TARGETS[name].family)
    if family != FAMILIES[target.platform]:
        right = next((p for p, f in FAMILIES.items() if f == family), "")
        raise EntryError(
            f"{name} is not a microarchitecture of {target.platform}",
            hint=f"its platform is {right}" if right else "",
        )


def _without_variant(platform: str, variant: str) -> str:
    """What to write instead of OCI's variants, which say less than a microarchitecture."""
    label = f"{FAMILIES.get(platform, '')}_{variant}"
    if label in archspec.cpu.TARGETS:
        return f"write platform {platform} and microarchitecture {label}"
    return f"write platform {platform}; the microarchitecture says the rest"


def _check_versioned(what: str, value: str, names: Collection[str]) -> None:
    name, at, version = value.partition("@")
    if value and name not in names:
        raise unknown(what, name, names)
    if at and not numbers(version):
        raise EntryError(
            f"{what}: {value[:_LONGEST]!r} is not `name` or `name@version`",
            hint=f"a version is numbers with dots, as {name}@4.1",
        )


def _check_gpu_architecture(target: Target) -> None:
    value, flavour = target.gpu_architecture, target.gpu.partition("@")[0]
    if not value:
        return
    if not flavour:
        raise EntryError(
            f"gpu architecture: {value[:_LONGEST]!r} is given, but no gpu",
            hint="name it too, as cuda@12.2 or rocm@6.0",
        )
    written = normalised(value)
    if written in AMD_TARGETS if flavour == CUDA else written in CAPABILITIES:
        raise EntryError(
            f"gpu architecture: {value[:_LONGEST]!r} is not one of {flavour}",
            hint=f"it is one of {ROCM if flavour == CUDA else CUDA}",
        )
    known = CAPABILITIES if flavour == CUDA else AMD_TARGETS
    if written not in known:
        siblings = [name for name in known if name[:-1] == written[:-1]]  # differ in the last digit
        raise unknown("gpu architecture", written or value, siblings or known)


def _known(names: Collection[str]) -> str:
    return f"known are: {', '.join(names)}"
