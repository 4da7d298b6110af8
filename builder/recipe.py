"""From a software environment and a target to the text that an image is built from.

The language is BuildKit's Dockerfile (https://docs.docker.com/reference/dockerfile/). The base
image is called ``base`` and given by the builder, so a recipe names no registry. Contents come
from two folders of the build context: ``step`` (the step's folder) and, for Spack and EasyBuild,
``catalog`` (the Software Catalogue). Pure: nothing is run or read but the templates.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

from builder import targets
from ci.errors import EntryError
from ci.software.environment import SoftwareEnvironment
from ci.target import Target

SPACK_RELEASE = "v0.23.1"
EASYBUILD_RELEASE = "5.4.1"
SOURCE_DATE_EPOCH = 1704067200  # 2024-01-01; younger files in an image get this time

_COMPILER = ("gcc", "12.2.0")  # of Debian 12; a newer one understands the same flags
_STEP = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", re.ASCII)
# a step's folder goes to "/<step>/": it must not fall into one that the system needs
_TAKEN = re.compile(
    "bin|boot|dev|environment|etc|home|lib|lib32|lib64|libx32|media|mnt|opt|proc|root|run|sbin"
    "|singularity|srv|sys|tmp|usr|var"
)
# The preference `packages:all:target` is silently dropped when it cannot be met; `require` is
# not, and the lock is looked at as well before anything is installed.
_SPACK_LOCK_CHECK = (
    "import json,sys; specs=json.load(open(sys.argv[1]))['concrete_specs'].values(); "
    "target=lambda s: s['arch']['target']; "
    "name=lambda t: t['name'] if isinstance(t,dict) else t; "
    "bad=sorted({s['name'] for s in specs if name(target(s))!=sys.argv[2]}); "
    "sys.exit('error: not for '+sys.argv[2]+': '+', '.join(bad) if bad else 0)"
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A Dockerfile's text; ``uses_catalog`` says that it copies the folder ``catalog``."""

    text: str
    uses_catalog: bool = False


class _Verbatim(str):
    """Text for the template that is quoted already."""

    __slots__ = ()


def render(
    environment: SoftwareEnvironment,
    target: Target,
    step: str,
    *,
    spack_checkout: bool = False,
    catalog_has_repository: bool = False,
    source_date_epoch: int = SOURCE_DATE_EPOCH,
) -> Recipe:
    """Write the recipe of a step's image.

    Args:
        environment: what goes in besides the step's folder.
        target: what the image must run on.
        step: the step's name; its folder becomes ``/<step>/``.
        spack_checkout: take Spack from the folder ``spack`` of the build context, not from git.
        catalog_has_repository: the catalogue is a Spack repository (it has a ``repo.yaml``).
        source_date_epoch: seconds since 1970 (https://reproducible-builds.org).

    The target's ``mpi`` decides what Spack builds with; otherwise ``mpi`` and ``gpu`` become
    labels, for whoever starts the image.

    Raises:
        EntryError: for a step's name or a target that cannot be used.
    """
    targets.check(target)
    _check(environment, step)
    values = _software(environment, target) | {
        "cache": target.platform.replace("/", "-"),
        "labels": _labels(target, step),
        "source_date_epoch": source_date_epoch,
        "spack_checkout": spack_checkout,
        "spack_document": _spack_document(environment, target, catalog_has_repository),
        "step": step,
    }
    text = _JINJA.get_template("Dockerfile.j2").render(values)
    return Recipe(text, uses_catalog=bool(environment.spack or environment.easybuild))


def _software(environment: SoftwareEnvironment, target: Target) -> dict[str, object]:
    flags = targets.compiler_flags(target, *_COMPILER)
    return {
        "compiler_flags": f"-O2 {flags}",
        "easybuild": environment.easybuild,
        "easybuild_release": EASYBUILD_RELEASE,
        "easybuild_stems": [name.removesuffix(".eb") for name in environment.easybuild],
        "env_script": environment.env_script,
        "microarchitecture": target.microarchitecture,
        "optarch": f"GCC:{flags.removeprefix('-')}",
        "pip": environment.pip,
        "post_install": environment.post_install,
        "runtime_packages": _runtime_packages(environment),
        "spack": environment.spack,
        "spack_lock_check": _SPACK_LOCK_CHECK,
        "spack_release": SPACK_RELEASE,
    }


def quote(value: object) -> str:
    """Quote a value, or each of a sequence of values, for a POSIX shell inside a Dockerfile."""
    if isinstance(value, _Verbatim):
        return value
    if isinstance(value, list | tuple):
        return " ".join(quote(item) for item in value)
    return shlex.quote(_one_line(str(value)))


def quote_exec(value: str) -> _Verbatim:
    """Quote a value for an exec form (JSON) or a label, where BuildKit would expand ``$``."""
    text = _one_line(value)
    if not text.isascii() or set(text) & set("$\\"):
        raise EntryError(f"{value!r} cannot stand in a recipe", hint="use letters and digits")
    return _Verbatim(json.dumps(text))


def _one_line(text: str) -> str:
    """A line break would end the instruction; no other control character has a use either."""
    if not text.isprintable():
        raise EntryError(f"a control character in {text!r}")
    return text


def _check(environment: SoftwareEnvironment, step: str) -> None:
    if environment.spack and environment.easybuild:
        raise EntryError(
            f"step {step}: spack and easybuild together are not supported",
            hint="one of them must install the software of a step",
        )
    if not _STEP.fullmatch(step) or _TAKEN.fullmatch(step):
        raise EntryError(
            f"{step!r} cannot be a step's name",
            hint="letters, digits, `_`, `-` and `.`; not a system folder, since it becomes /<step>",
        )


def _runtime_packages(environment: SoftwareEnvironment) -> list[str]:
    ours = []
    if environment.pip:
        ours += ["python3", "python3-venv"]
    if environment.easybuild or environment.spack:
        ours += ["libgfortran5", "libgomp1", "libstdc++6"]  # what the builder's compiler links
    return list(dict.fromkeys([*environment.apt, *ours]))


def _labels(target: Target, step: str) -> dict[str, str]:
    named = {"step": step, **target.to_dict()}
    return {f"org.hpcwaas.{key.replace('_', '-')}": value for key, value in named.items() if value}


def _spack_document(
    environment: SoftwareEnvironment, target: Target, repository: bool
) -> list[str]:
    """The lines of a ``spack.yaml``; JSON strings are YAML strings."""
    if not environment.spack:
        return []
    requirements = [f"target={target.microarchitecture}"]
    document = {
        "specs": list(environment.spack),
        "repos": ["/opt/catalog"] if repository else [],
        "concretizer": {"unify": True, "targets": {"host_compatible": False}},
        "packages": {"all": {"require": requirements}}
        | ({"mpi": {"require": [target.mpi]}} if target.mpi else {}),
        "config": {"install_tree": {"root": "/opt/software"}},
        "view": {"default": {"root": "/opt/views/view", "link_type": "hardlink"}},
    }
    return ["spack:", *(f"  {key}: {json.dumps(value)}" for key, value in document.items())]


_JINJA = Environment(
    loader=PackageLoader("builder"),
    undefined=StrictUndefined,
    finalize=quote,
    autoescape=False,  # noqa: S701 - this is shell text, which HTML escapes would corrupt
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_JINJA.filters["exec"] = quote_exec
