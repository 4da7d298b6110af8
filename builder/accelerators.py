"""Which accelerator's software and code run on which other."""

from __future__ import annotations

from builder.versions import not_older, numbers

CUDA, ROCM = "cuda", "rocm"
FLAVOURS = (CUDA, ROCM)
_CUDA_PARTS = 2  # cuda@12.2 is exact: updates change neither the toolkit's interface nor the driver
_MINOR_COMPATIBLE = 11  # from this CUDA on
# NVIDIA promises nothing for code of one of these on another GPU, nor the other way round
_TEGRA = frozenset({"3.2", "5.3", "6.2", "7.2", "8.7", "10.1", "11.0"})

Answer = tuple[bool, str]


def runs(image: str, site: str, *, native: bool) -> Answer:
    """Say whether the site's driver runs what the image was built with, and why.

    Args:
        image: ``cuda@12.2`` or ``rocm@6.0`` that the image was built with.
        site: the same of the site: for CUDA the newest that its driver is for.
        native: the image has code for a named GPU, not only what a driver translates.
    """
    (mine, _, version), (theirs, _, there) = image.partition("@"), site.partition("@")
    if mine != theirs:
        return False, f"{mine} does not run on {theirs}"
    if not numbers(version) or not numbers(there):
        return False, f"a version is missing: {image} and {site} cannot be compared"
    return _cuda(version, there, native) if mine == CUDA else _rocm(version, there)


def _cuda(image: str, site: str, native: bool) -> Answer:
    """Drivers run older CUDAs, and from 11 on all of the same major number.

    The latter not for PTX, which an older driver cannot translate
    (https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html).
    """
    if not_older(site, image, _CUDA_PARTS):
        return True, f"a driver for CUDA {site} runs what was built with CUDA {image}"
    major = numbers(image)[0]
    if major != numbers(site)[0] or major < _MINOR_COMPATIBLE:
        return False, f"a driver for CUDA {site} does not run what was built with CUDA {image}"
    if not native:
        return False, f"CUDA {image} needs its own driver where no GPU architecture was named"
    return True, f"drivers for CUDA {major} run what any CUDA {major} built for a named GPU"


def _rocm(image: str, site: str) -> Answer:
    mine, theirs = numbers(image)[:2], numbers(site)[:2]
    if len(mine) == 2 and mine == theirs:
        return True, f"ROCm {image} and {site} differ in the last number at most"
    return False, f"ROCm {image} and {site} are not the same release"


def code_runs(image: str, site: str) -> Answer:
    """Say whether machine code for one GPU runs on another, and why.

    NVIDIA's runs on GPUs of the same major number whose minor number is not smaller
    (https://docs.nvidia.com/cuda/cuda-c-programming-guide/#binary-compatibility); AMD's on the
    very target only.

    Args:
        image: compute capability (``8.0``) or AMD target that the code is for.
        site: the same of the site's GPU.
    """
    mine, there = numbers(image), numbers(site)
    if not mine or not there or mine[0] != there[0] or mine > there:
        return False, f"code for {image} does not run on {site}"
    if _TEGRA & {image, site}:
        return False, f"code for {image} does not run on {site}: one of them is a Tegra"
    return True, f"code for compute capability {image} runs on {site}"
