"""The target: what an image must run on."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """Platform, microarchitecture and runtime that an image is made for.

    ``platform`` is OCI's ``os/arch``; ``microarchitecture`` an archspec label;
    ``mpi`` and ``gpu`` are ``name@version`` or empty; ``container_engine`` is what
    the site runs images with (``apptainer`` or ``singularity``).
    """

    platform: str = "linux/amd64"
    microarchitecture: str = "x86_64"
    mpi: str = ""
    gpu: str = ""
    container_engine: str = "apptainer"

    def to_dict(self) -> dict[str, str]:
        """Return the fields as plain JSON values, in declaration order."""
        return asdict(self)
