"""A digest that changes when the same inputs may give another recipe."""

from __future__ import annotations

import hashlib

from builder.recipe.stages import render
from ci.software.environment import SoftwareEnvironment
from ci.target import Target
from ci.workflow_settings import ImageTest

_HASH = "--hash=sha256:" + "0" * 64


def form() -> str:
    """Return a SHA-256 over recipes that use everything that a recipe can have.

    So it follows from templates, pinned releases and our code, but not from how they are written.
    """
    everything = SoftwareEnvironment(
        apt=("a1",),
        pip=(f"b==1 {_HASH}",),
        spack=("c",),
        easybuild=("d-1.eb",),
        post_install="post_inst.sh",
        env_script="env.sh",
        pip_lock=True,
    )
    tests = (ImageTest("import", ("e",)), ImageTest("version", ("f",), "1"))
    cuda = Target("linux/amd64", "zen3", "openmpi@4.1.5", "cuda@12.2", "8.0")
    rocm = Target("linux/arm64", "neoverse_v1", "intel-mpi", "rocm@6.0", "gfx90a")
    first = render(everything, cuda, "g", catalog_has_repository=True, tests=tests)
    second = render(everything, rocm, "g", spack_checkout=True)
    texts = [recipe.text + recipe.definition("docker:h") for recipe in (first, second)]
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()
