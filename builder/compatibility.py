"""Which image runs where: one table of rules, a rule for each field of a target.

An image made for one target may answer for another if every field fits. In doubt it does not fit:
a build too many costs minutes, an image that does not run costs somebody's job. ``RULES`` is the
table; docs/images-compatibility.md shows it to people.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import archspec.cpu

from builder import accelerators, mpi
from builder.targets import FAMILIES, ancestry, normal
from builder.versions import lowest, not_older, numbers
from ci.gpu_architecture import normalised
from ci.software.environment import SoftwareEnvironment
from ci.target import Target

_ZSTD_ENGINE = (3, 8)  # Singularity's first that reads a SIF packed with zstd, see builder.sif
_ZSTD_KERNEL = (4, 14)  # Linux' first that does
_FAR = 10**6  # further than any ancestor


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an image's target and a site's compare in one field. ``why`` is a sentence."""

    field: str
    image: str
    site: str
    fits: bool
    why: str


Answer = tuple[bool, str]


@dataclass(frozen=True, slots=True)
class Rule:
    """What a field must be like, in a sentence; where that is from; the rule itself."""

    field: str
    sentence: str
    source: str
    answer: Callable[[Target, Target], Answer]


def _platform(image: Target, site: Target) -> Answer:
    if image.platform == site.platform:
        return True, f"both are {site.platform}"
    return False, f"an image for {image.platform} does not run on {site.platform}"


def _microarchitecture(image: Target, site: Target) -> Answer:
    mine, there = image.microarchitecture, site.microarchitecture
    if mine == there:
        return True, f"both are {there}"
    if mine in _ancestry(there):
        return True, f"code for {mine} runs on {there}, which descends from it"
    return False, f"code for {mine} may not run on {there}, which does not descend from it"


def _mpi(image: Target, site: Target) -> Answer:
    if not image.mpi and not site.mpi:
        return True, "neither has an MPI"
    if not image.mpi:
        return False, f"the image was made for no MPI, so it is not linked with {site.mpi}'s"
    if not site.mpi:
        return False, f"the image is linked with {image.mpi}, and the site has no MPI"
    return mpi.stands_in(image.mpi, site.mpi)


def _gpu(image: Target, site: Target) -> Answer:
    if image.gpu == site.gpu:
        return True, f"both are {site.gpu}" if site.gpu else "neither has an accelerator"
    if not image.gpu:
        return False, f"the image was made for no accelerator: it would leave {site.gpu} idle"
    if not site.gpu:
        return False, f"the image needs {image.gpu}, and the site has no accelerator"
    return accelerators.runs(image.gpu, site.gpu, native=bool(image.gpu_architecture))


def _gpu_architecture(image: Target, site: Target) -> Answer:
    mine, there = image.gpu_architecture, site.gpu_architecture
    mine, there = normalised(mine) or mine, normalised(there) or there
    if mine == there:
        return True, f"both are {there}" if there else "neither names a GPU architecture"
    if not mine:
        return False, f"it is not known which GPU the image was made for; the site has {there}"
    if not there:
        return False, f"the image was made for {mine}; the site does not say which GPU it has"
    return accelerators.code_runs(mine, there)


def _container_engine(image: Target, site: Target) -> Answer:
    mine, there = image.container_engine, site.container_engine
    if mine == there:
        return True, f"both are {there}"
    if not _packs_zstd(mine):
        return True, f"a SIF for {mine} is packed with gzip, which every engine reads"
    if reads_zstd(there):
        return True, f"a SIF for {mine} is packed with zstd, which {there} reads"
    return False, f"a SIF for {mine} is packed with zstd, which {there} may not read"


def _glibc(image: Target, site: Target) -> Answer:
    if not image.mpi and not image.gpu:
        return True, "no library of the site comes into the image"
    if not site.glibc:
        return True, "the site does not say which glibc it has"
    if not numbers(image.glibc):
        return False, f"no glibc is known in the image; libraries of the site need {site.glibc}"
    if image.glibc == site.glibc or not_older(image.glibc, site.glibc, 2):
        return True, f"libraries of the site, made with glibc {site.glibc}, load with {image.glibc}"
    return False, f"libraries of the site need its glibc {site.glibc}; the image has {image.glibc}"


def _kernel(image: Target, site: Target) -> Answer:
    if not site.kernel:
        return True, "the site does not say which kernel it has"
    if not numbers(image.kernel):
        return False, f"the oldest kernel for the image is not known; the site has {site.kernel}"
    if image.kernel == site.kernel or not_older(site.kernel, image.kernel, 2):
        return True, f"the image runs on kernels from {image.kernel} on; the site has {site.kernel}"
    return False, f"the image needs a kernel from {image.kernel} on; the site has {site.kernel}"


RULES = (
    Rule(
        "platform",
        "Must be equal.",
        "https://github.com/opencontainers/image-spec",
        _platform,
    ),
    Rule(
        "microarchitecture",
        "The image's must be the site's or an ancestor of the same family. The closest is taken.",
        "https://archspec.readthedocs.io",
        _microarchitecture,
    ),
    Rule(
        "mpi",
        "None in both; or both of the same binary interface, and the site's surely not older.",
        "https://www.mpich.org/abi/",
        _mpi,
    ),
    Rule(
        "gpu",
        "None in both; or CUDA of the site not older, or of the same major number from 11 on if "
        "the image names its GPU architecture; or ROCm of the same two first numbers.",
        "https://docs.nvidia.com/deploy/cuda-compatibility/",
        _gpu,
    ),
    Rule(
        "gpu_architecture",
        "Equal; or a compute capability of the same major number, the site's minor number not "
        "smaller, neither of them a Tegra.",
        "https://docs.nvidia.com/cuda/cuda-c-programming-guide/#binary-compatibility",
        _gpu_architecture,
    ),
    Rule(
        "container_engine",
        "A SIF packed with gzip (made for Singularity) runs everywhere; one packed with zstd (made "
        "for Apptainer) needs Apptainer, or Singularity 3.8 or later.",
        "https://docs.kernel.org/filesystems/squashfs.html",
        _container_engine,
    ),
    Rule(
        "glibc",
        "Where libraries of the site come into the image (MPI, accelerator), the image's must not "
        "be older than the site's.",
        "https://sourceware.org/glibc/wiki/FAQ",
        _glibc,
    ),
    Rule(
        "kernel",
        "The oldest that the image's glibc runs on must not be newer than the site's.",
        "https://refspecs.linuxfoundation.org/LSB_1.2.0/gLSB/noteabitag.html",
        _kernel,
    ),
)


def judge(image: Target, site: Target) -> tuple[Verdict, ...]:
    """Compare field by field what an image was made for with what a site has.

    Of the site, the fields that matter: see ``relevant``. Never raises: a name that is unknown
    fits itself only.
    """
    return tuple(
        Verdict(
            rule.field,
            getattr(image, rule.field),
            getattr(site, rule.field),
            *rule.answer(image, site),
        )
        for rule in RULES
    )


def runs_on(image: Target, site: Target) -> bool:
    """Say whether an image made for one target runs on the other."""
    return all(rule.answer(image, site)[0] for rule in RULES)


def distance(image: Target, site: Target) -> tuple[int, ...]:
    """Return how far two targets are from each other, to sort by; all 0 if they are equal.

    A number per field, the more decisive first. ``glibc`` and ``kernel`` come last: they are facts
    of an image, not what it was made for.
    """
    return (
        int(image.platform != site.platform),
        _generations(image.microarchitecture, site.microarchitecture),
        _gap(image.mpi, site.mpi),
        _gap(image.gpu, site.gpu),
        _gap(image.gpu_architecture, site.gpu_architecture),
        int(image.container_engine != site.container_engine),
        int(image.glibc != site.glibc),
        int(image.kernel != site.kernel),
    )


def relevant(environment: SoftwareEnvironment, target: Target) -> Target:
    """Return the target with the fields that cannot change the image set to what they all share.

    What is compiled depends on the microarchitecture; pip may compile. MPI and accelerator matter
    to Spack, EasyBuild and scripts. Of the container engine only how the SIF is packed for it
    matters: ``apptainer`` stands for zstd, ``singularity`` for gzip. ``glibc`` and ``kernel`` are
    no inputs of a build.
    """
    target = normal(target)
    built = bool(environment.spack or environment.easybuild or environment.post_install)
    old_kernel = bool(target.kernel) and lowest(target.kernel) < _ZSTD_KERNEL
    zstd = reads_zstd(target.container_engine) and not old_kernel
    target = replace(
        target, container_engine="apptainer" if zstd else "singularity", glibc="", kernel=""
    )
    if not built:
        target = replace(target, mpi="", gpu="", gpu_architecture="")
    if not built and not environment.pip:
        target = replace(target, microarchitecture=FAMILIES[target.platform])
    return target


def reads_zstd(container_engine: str) -> bool:
    """Say whether an engine surely runs a SIF that is packed with zstd."""
    name, _, version = container_engine.partition("@")
    return name == "apptainer" or (name == "singularity" and lowest(version) >= _ZSTD_ENGINE)


def _packs_zstd(container_engine: str) -> bool:
    return container_engine.partition("@")[0] != "singularity"


@lru_cache(maxsize=1024)
def _ancestry(name: str) -> tuple[str, ...]:
    return ancestry(name) if name in archspec.cpu.TARGETS else ()


@lru_cache(maxsize=8192)
def _generations(image: str, site: str) -> int:
    """How much of the site's microarchitecture code for the image's leaves unused.

    First the instruction sets, then the steps in archspec's graph between them.
    """
    if image == site:
        return 0
    if image not in _ancestry(site):
        return _FAR
    has, uses = archspec.cpu.TARGETS[site], archspec.cpu.TARGETS[image]
    steps = len(_ancestry(site)) - len(_ancestry(image))
    return 256 * len(set(has.features) - set(uses.features)) + steps


def _gap(image: str, site: str) -> int:
    """How far two of ``name@version`` (or versions alone) are apart; 0 if they are equal."""
    (mine, _, version), (theirs, _, there) = (text.rpartition("@") for text in (image, site))
    if mine != theirs:
        return _FAR**4
    return int(image != site) + abs(_scalar(version) - _scalar(there))


def _scalar(version: str) -> int:
    major, minor, patch = (*numbers(version), 0, 0, 0)[:3]
    return (major * _FAR + minor) * _FAR + patch
