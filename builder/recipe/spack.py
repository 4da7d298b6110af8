"""The stage that builds with Spack (https://spack.readthedocs.io).

Its ``package.py`` files are the catalogue's, and those of a pull request run in this stage: what
it keeps from build to build is kept apart for each scope (``Cache.scoped``). Checksums of sources
are never switched off. What is kept never decides what is built (``reuse: false``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from builder.recipe.apt import apt
from builder.recipe.model import Cache, Copy, Run, Stage
from builder.recipe.quoting import program, script, settled
from ci.software.environment import SoftwareEnvironment
from ci.target import Target

# The last of the releases that have Spack's own packages in the same repository, so that one name
# pins both; from 1.0 on they are fetched from a second one.
SPACK_RELEASE = "v0.23.1"
CLINGO = "clingo==5.8.3"  # what Spack decides with; it would fetch a binary otherwise
STAGE = "builder-spack"

_PACKAGES = (
    *("bzip2", "ca-certificates", "file", "g++", "gcc", "gfortran", "git", "gnupg2", "make"),
    *("patch", "python3-venv", "unzip", "xz-utils", "zstd"),
)
_SECRETS = ("ca",)
_CACHE = Cache("spack", "/var/cache/spack")
_MPI = {"intel-mpi": "intel-oneapi-mpi"}  # our name of an MPI → Spack's, where they differ


def stage(
    environment: SoftwareEnvironment, target: Target, checkout: bool, repository: bool
) -> Stage:
    """Return the stage that installs the specs into ``/opt/software`` with a view.

    Args:
        environment: its ``spack`` are the specs.
        target: what they are built for.
        checkout: Spack is in the folder ``spack`` of the build context; otherwise it is cloned.
        repository: the catalogue is a repository of Spack (it has a ``repo.yaml``).

    Raises:
        EntryError: a value cannot be quoted.
    """
    clone = Run(script("git-spack", release=SPACK_RELEASE), _SECRETS, title="fetch Spack")
    concretize = script(
        "spack-concretize",
        document=document(environment, target, repository),
        lock_check=program("lock_check"),
        microarchitecture=target.microarchitecture,
    )
    install = script(
        "spack-install", activation=program("activation"), database=program("database")
    )
    return Stage(
        STAGE,
        (
            apt(_PACKAGES, target),
            Copy("spack/", "/opt/spack/") if checkout else clone,
            Run(
                script("spack-prepare", clingo=CLINGO),
                ("ca", "pipconf"),
                title="prepare Spack",
            ),
            Copy("catalog/", "/opt/catalog/"),
            Run(concretize, _SECRETS, title="concretize the specs"),
            Run(settled(install), _SECRETS, (_CACHE,), title="build with Spack"),
        ),
    )


def document(environment: SoftwareEnvironment, target: Target, repository: bool) -> tuple[str, ...]:
    """Return the lines of a ``spack.yaml``; JSON values are YAML values."""
    content = {
        "specs": list(environment.spack),
        "repos": ["/opt/catalog"] if repository else [],
        "concretizer": {"unify": True, "reuse": False, "targets": {"host_compatible": False}},
        "packages": _packages(target),
        "config": {"install_tree": {"root": "/opt/software"}, "checksum": True},
        "view": {"default": {"root": "/opt/views/view", "link_type": "symlink"}},
    }
    return ("spack:", *(f"  {key}: {json.dumps(value)}" for key, value in content.items()))


def _packages(target: Target) -> Mapping[str, object]:
    """What the target asks of packages (https://spack.readthedocs.io, packages.yaml).

    The preference ``packages:all:target`` is silently dropped when it cannot be met; ``require``
    is not, and the lock is looked at as well before anything is installed.

    The GPU is a preference of ``all``: packages that have the variant follow it, unless their own
    spec or a conflict says otherwise. As a requirement it would rule out what has no GPU version.
    """
    everything: dict[str, object] = {"require": [f"target={target.microarchitecture}"]}
    packages: dict[str, object] = {"all": everything}
    if target.mpi:
        name, at, version = target.mpi.partition("@")
        packages["mpi"] = {"require": [f"{_MPI.get(name, name)}{at}{version}"]}
    gpu, _, version = target.gpu.partition("@")
    architecture = target.gpu_architecture
    if gpu == "cuda":
        number = architecture.replace(".", "")
        everything["variants"] = " ".join(["+cuda", *([f"cuda_arch={number}"] if number else [])])
    elif gpu == "rocm":
        named = [f"amdgpu_target={architecture}"] if architecture else []
        everything["variants"] = " ".join(["+rocm", *named])
    if version:
        packages["hip" if gpu == "rocm" else gpu] = {"require": [f"@{version}"]}
    return packages
