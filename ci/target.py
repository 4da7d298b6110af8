"""The target: what an image must run on."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """Platform, microarchitecture and runtime that an image is made for, or that a site has.

    ``platform`` is OCI's ``os/arch``; ``microarchitecture`` an archspec label; ``mpi`` and ``gpu``
    are ``name@version`` (``openmpi@4.1.5``, ``cuda@12.2``, ``rocm@6.0``) or empty;
    ``gpu_architecture`` is NVIDIA's compute capability (``8.0``) or AMD's target (``gfx90a``);
    ``container_engine`` is what the site runs images with: ``apptainer`` or ``singularity``, with
    ``@version`` where that matters.

    ``glibc`` and ``kernel`` are versions (``2.28``, ``4.18``). Of a site: what it has. Of an image:
    the glibc inside it, and the oldest kernel that this glibc runs on. Empty: not known.
    """

    platform: str = "linux/amd64"
    microarchitecture: str = "x86_64"
    mpi: str = ""
    gpu: str = ""
    gpu_architecture: str = ""
    container_engine: str = "apptainer"
    glibc: str = ""
    kernel: str = ""

    def to_dict(self) -> dict[str, str]:
        """Return the fields as plain JSON values, in declaration order."""
        return asdict(self)
