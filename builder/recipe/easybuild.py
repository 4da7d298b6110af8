"""The stage that builds with EasyBuild (https://docs.easybuild.io).

EasyBuild refuses root. Easyconfigs and sources are the catalogue's, with their checksums.
"""

from __future__ import annotations

from builder.recipe.apt import apt
from builder.recipe.model import Copy, Run, Stage
from builder.recipe.quoting import script
from ci.software.environment import SoftwareEnvironment
from ci.target import Target

EASYBUILD_RELEASE = "5.4.1"
STAGE = "builder-easybuild"

_PACKAGES = (
    *("bzip2", "cmake", "file", "g++", "gcc", "gfortran", "git", "lmod", "make", "patch"),
    *("procps", "python3-venv", "xz-utils"),
)


def stage(environment: SoftwareEnvironment, target: Target, flags: str) -> Stage:
    """Return the stage that installs the easyconfigs into ``/opt/easybuild``.

    Args:
        environment: its ``easybuild`` are the names of easyconfigs.
        target: what they are built for; of a GPU, CUDA's compute capability.
        flags: the compiler's for the target, as ``-march=zen3 -mtune=zen3``.

    Raises:
        EntryError: a value cannot be quoted.
    """
    capability = target.gpu_architecture if target.gpu.partition("@")[0] == "cuda" else ""
    install = script(
        "easybuild-install",
        flags=f"-O2 {flags}",
        optarch=f"GCC:{flags.removeprefix('-')}",
        cuda=[f"--cuda-compute-capabilities={capability}"] if capability else [],
        easyconfigs=environment.easybuild,
    )
    stems = tuple(name.removesuffix(".eb") for name in environment.easybuild)
    prepare = script("easybuild-prepare", easybuild=f"easybuild=={EASYBUILD_RELEASE}")
    return Stage(
        STAGE,
        (
            apt(_PACKAGES, target),
            Run(prepare, ("ca", "pipconf"), title="install EasyBuild"),
            Copy("catalog/", "/src/catalog/", owner="easybuild"),
            Run(install, ("ca",), user="easybuild", title="build with EasyBuild"),
            Run(
                script("easybuild-environment", stems=stems),
                user="easybuild",
                title="load the modules",
            ),
            Run(script("easybuild-times"), title="leave logs and times out"),
        ),
    )
