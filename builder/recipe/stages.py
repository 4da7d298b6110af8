"""From a software environment and a target to the recipe of an image. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from builder import targets
from builder.recipe import easybuild, image_tests, spack
from builder.recipe.apt import apt
from builder.recipe.model import IMAGE, Copy, Env, Label, Recipe, Run, Stage, Step
from builder.recipe.quoting import script, settled
from ci.errors import EntryError
from ci.software.environment import SoftwareEnvironment
from ci.target import Target
from ci.workflow_settings import ImageTest

SOURCE_DATE_EPOCH = 1704067200  # 2024-01-01; younger files in an image get this time

_COMPILER = ("gcc", "12.2.0")  # of Debian 12; a newer one understands the same flags
_ENVIRONMENTS = "/.singularity.d/env"  # scripts that Singularity and Apptainer source, in order
_EASYBUILD_SCRIPT = f"{_ENVIRONMENTS}/91-easybuild.sh"
_SPACK_SCRIPT = f"{_ENVIRONMENTS}/92-spack.sh"
_STEP = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", re.ASCII)
# a step's folder goes to "/<step>/": it must not fall into one that the system needs
_TAKEN = re.compile(
    "bin|boot|dev|environment|etc|home|lib|lib32|lib64|libx32|media|mnt|opt|proc|root|run|sbin"
    "|singularity|srv|sys|tmp|usr|var"
)


def render(
    environment: SoftwareEnvironment,
    target: Target,
    step: str,
    *,
    spack_checkout: bool = False,
    catalog_has_repository: bool = False,
    source_date_epoch: int = SOURCE_DATE_EPOCH,
    tests: Sequence[ImageTest] = (),
) -> Recipe:
    """Make the recipe of a step's image.

    Args:
        environment: what goes in besides the step's folder.
        target: what the image must run on.
        step: the step's name; its folder becomes ``/<step>/``.
        spack_checkout: take Spack from the folder ``spack`` of the build context, not from git.
        catalog_has_repository: the catalogue is a Spack repository (it has a ``repo.yaml``).
        source_date_epoch: seconds since 1970 (https://reproducible-builds.org).
        tests: what the image must pass.

    Raises:
        EntryError: for a step's name, a target or a value that cannot be used.
    """
    _check(target, step)
    flags = targets.compiler_flags(target, *_COMPILER)
    builders = []
    if environment.easybuild:
        builders.append(easybuild.stage(environment, target, flags))
    if environment.spack:
        builders.append(spack.stage(environment, target, spack_checkout, catalog_has_repository))
    steps = (
        *_software(environment, target, flags),
        *_labels(target, step, source_date_epoch),
        *_folder(environment, target, step, flags),
    )
    stages = (*builders, Stage(IMAGE, steps))
    return Recipe(stages, source_date_epoch, bool(builders), image_tests.checks(tests))


def _check(target: Target, step: str) -> None:
    targets.check(target)
    if not _STEP.fullmatch(step) or _TAKEN.fullmatch(step):
        raise EntryError(
            f"{step!r} cannot be a step's name",
            hint="letters, digits, `_`, `-` and `.`; not a system folder, since it becomes /<step>",
        )


def _software(environment: SoftwareEnvironment, target: Target, flags: str) -> Iterator[Step]:
    packages = _runtime_packages(environment)
    if packages:
        yield apt(packages, target)
    if environment.easybuild:
        for name in ("software", "modules"):
            folder = f"/opt/easybuild/{name}/"
            yield Copy(folder, folder, stage=easybuild.STAGE)
        yield Copy("/opt/easybuild/environment.sh", _EASYBUILD_SCRIPT, stage=easybuild.STAGE)
    if environment.spack:
        for path in ("/opt/software/", "/opt/views/", "/opt/environment/spack.lock"):
            yield Copy(path, path, stage=spack.STAGE)
        yield Copy("/opt/environment/activate.sh", _SPACK_SCRIPT, stage=spack.STAGE)
        yield Env("PATH", "/opt/views/view/bin:$PATH")
    if environment.pip:
        yield _pip(environment, flags)
        yield Env("PATH", "/opt/venv/bin:$PATH")


def _runtime_packages(environment: SoftwareEnvironment) -> list[str]:
    ours = []
    if environment.pip:
        ours += ["python3", "python3-venv"]
    if environment.easybuild or environment.spack:
        ours += ["libgfortran5", "libgomp1", "libstdc++6"]  # what the builder's compiler links
    return list(dict.fromkeys([*environment.apt, *ours]))


def _pip(environment: SoftwareEnvironment, flags: str) -> Run:
    """Code of contributors may run here (setup.py), so nothing is kept from build to build.

    The rules of hashes are pip's (https://pip.pypa.io/en/stable/topics/secure-installs/).
    """
    for line in environment.pip:
        # of what a line of a requirements file may be, only requirements
        if not line[:1].isalnum() or line.endswith("\\") or "${" in line:
            raise EntryError(f"{line!r} is no pip requirement", hint="`name`, `name==version`")
    options = ["--require-hashes"] if any("--hash=" in line for line in environment.pip) else []
    options += ["--no-deps"] if environment.pip_lock else []
    scripts = [_EASYBUILD_SCRIPT] if environment.easybuild else []
    scripts += [_SPACK_SCRIPT] if environment.spack else []
    lines = script(
        "pip",
        flags=f"-O2 {flags}",
        environments=scripts,
        requirements=environment.pip,
        options=options,
    )
    return Run(settled(lines), ("ca", "pipconf"), title="install Python packages")


def _labels(target: Target, step: str, epoch: int) -> Iterator[Label]:
    """OCI's annotations (image-spec, annotations.md), as far as they are known here, and ours."""
    created = datetime.fromtimestamp(epoch, UTC)
    yield Label("org.opencontainers.image.title", step)
    yield Label("org.opencontainers.image.created", f"{created:%Y-%m-%dT%H:%M:%SZ}")
    for key, value in {"step": step, **target.to_dict()}.items():
        if value:
            yield Label(f"org.hpcwaas.{key.replace('_', '-')}", value)


def _folder(
    environment: SoftwareEnvironment, target: Target, step: str, flags: str
) -> Iterator[Step]:
    if environment.env_script:
        yield Copy(f"step/{environment.env_script}", f"{_ENVIRONMENTS}/96-step.sh")
    yield Copy("step/", f"/{step}/")
    if environment.post_install:
        variables = {
            "WAAS_PLATFORM": target.platform,
            "WAAS_MICROARCHITECTURE": target.microarchitecture,
            "WAAS_MPI": target.mpi,
            "WAAS_GPU": target.gpu,
            "WAAS_GPU_ARCHITECTURE": target.gpu_architecture,
        }
        program = f"./{environment.post_install}"
        lines = script(
            "post-install",
            flags=f"-O2 {flags}",
            variables=variables,
            folder=f"/{step}",
            program=program,
        )
        yield Run(settled(lines), ("ca",), title=f"run {environment.post_install}")
