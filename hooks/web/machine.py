"""The public Container Image Creation API's ``machine``, translated to a target.

Clients send ``{"platform", "architecture", "container_engine", "mpi", "gpu"}``
(https://github.com/eflows4hpc/image_creation). The first three are usual; what is not needed is
left out or empty. Architectures are Spack's labels or, as in that project's own README, the
vendor's names. ``gpu_architecture``, ``glibc`` and ``kernel`` are ours, for clients that know us.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

import archspec.cpu

from builder.targets import CONTAINER_ENGINES, FAMILIES, check, normal, unknown
from ci.errors import EntryError
from ci.target import Target

_OURS = tuple(field.name for field in fields(Target) if field.name != "microarchitecture")
_FIELDS = ("architecture", *_OURS)
_DEFAULTS = Target()
_GENERIC = ("", "none", "generic")  # of an architecture: whatever the platform's family has

# Names that vendors and clouds use → archspec's
_ARCHITECTURES = {
    "amd64": "x86_64",
    "arm64": "aarch64",
    "bergamo": "zen4",
    "cascade_lake": "cascadelake",
    "genoa": "zen4",
    "grace": "neoverse_v2",
    "graviton2": "neoverse_n1",
    "graviton3": "neoverse_v1",
    "graviton4": "neoverse_v2",
    "ice_lake": "icelake",
    "knl": "mic_knl",
    "milan": "zen3",
    "naples": "zen",
    "rome": "zen2",
    "sapphire_rapids": "sapphirerapids",
    "skx": "skylake_avx512",
    "turin": "zen5",
    "zen1": "zen",
}
_PROCESSORS = {"x86_64": "amd64", "aarch64": "arm64"}  # uname's names → OCI's
_ENGINES = {
    # of these the public service made no SIF: nothing says how it would have to be packed
    "": _DEFAULTS.container_engine,
    "docker": _DEFAULTS.container_engine,
    "podman": _DEFAULTS.container_engine,
    "singularity-ce": "singularity",
    "singularityce": "singularity",
    "singularitypro": "singularity",
}


def target_from_machine(machine: Mapping[str, object]) -> Target:
    """Return the target that a ``machine`` of the public API means.

    Raises:
        EntryError: a key or a name is not known; the nearest right ones are in the hint.
    """
    words = _words(machine)
    try:
        platform, variant = _platform(words["platform"])
        architecture = _architecture(words["architecture"], platform, variant)
        target = normal(
            Target(
                platform=platform or _platform_of(architecture),
                microarchitecture=architecture,
                mpi=words["mpi"],
                gpu=words["gpu"],
                gpu_architecture=words["gpu_architecture"],
                container_engine=_engine(words["container_engine"]),
                glibc=words["glibc"],
                kernel=words["kernel"],
            )
        )
        check(target)
    except EntryError as error:
        raise EntryError(f"machine: {error.message}", hint=error.hint) from None
    return target


def _words(machine: Mapping[str, object]) -> dict[str, str]:
    """The fields as text; empty where there is none."""
    words = dict.fromkeys(_FIELDS, "")
    for name, value in machine.items():
        if name not in words:
            raise unknown("field of machine", str(name), _FIELDS)
        if value is not None and not isinstance(value, str):
            raise EntryError(f"machine: {name} must be text, not {type(value).__name__}")
        words[name] = (value or "").strip()
    return words


def _platform(text: str) -> tuple[str, str]:
    """The platform in OCI's words, and its variant; both empty if there is none."""
    if not text:
        return "", ""
    system, slash, rest = text.lower().partition("/")
    if not slash:
        system, rest = "linux", system
    processor, _, variant = rest.partition("/")
    return f"{system}/{_PROCESSORS.get(processor, processor)}", variant


def _architecture(text: str, platform: str, variant: str) -> str:
    """An archspec label; of an empty text the variant, else the family of the platform."""
    family = FAMILIES.get(platform, _DEFAULTS.microarchitecture)
    name = text.lower()
    if name in _GENERIC:
        versioned = f"{family}_{variant}"
        return versioned if versioned in archspec.cpu.TARGETS else family
    name = _ARCHITECTURES.get(name.replace("-", "_"), name)
    if name not in archspec.cpu.TARGETS and name.replace("-", "_") in archspec.cpu.TARGETS:
        name = name.replace("-", "_")
    little_endian = f"{name}le"
    if family == "ppc64le" and little_endian in archspec.cpu.TARGETS:
        return little_endian
    if name not in archspec.cpu.TARGETS:
        raise unknown("architecture", text, [*archspec.cpu.TARGETS, *_ARCHITECTURES])
    return name


def _platform_of(architecture: str) -> str:
    family = str(archspec.cpu.TARGETS[architecture].family)
    return next((p for p, f in FAMILIES.items() if f == family), _DEFAULTS.platform)


def _engine(text: str) -> str:
    name, at, version = text.lower().partition("@")
    if name in _ENGINES:
        name = _ENGINES[name]
        return f"{name}{at}{version}" if name == "singularity" else name
    if name not in CONTAINER_ENGINES:
        raise unknown("container engine", text, [*CONTAINER_ENGINES, *filter(None, _ENGINES)])
    return f"{name}{at}{version}"
