"""How people write which GPU it is, and how we do."""

from __future__ import annotations

import re

# `8.0`, `80`, `sm_80`, `compute_80`; the last digit is the minor number (12.0 is `sm_120`)
_CUDA = re.compile(r"(?:sm_?|compute_?)?([1-9]\d?)\.?(\d)", re.ASCII | re.IGNORECASE)
_AMD = re.compile(r"gfx[0-9a-f]{3,4}", re.ASCII | re.IGNORECASE)


def normalised(text: str) -> str:
    """Return a compute capability as ``8.0`` and an AMD target as ``gfx90a``; nothing if neither.

    NVIDIA's names are those of nvcc's option ``-arch``
    (https://docs.nvidia.com/cuda/cuda-compiler-driver-nvcc/), AMD's those of LLVM
    (https://llvm.org/docs/AMDGPUUsage.html#processors).
    """
    if match := _CUDA.fullmatch(text):
        return f"{match[1]}.{match[2]}"
    return text.lower() if _AMD.fullmatch(text) else ""
