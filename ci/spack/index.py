"""The packages that Spack itself has: names, versions, variants, as of one checkout.

``builtin.json.xz`` is ``{"packages": {name: "versions;variants"}, "virtual": "names"}``, names
with a space between them; ``*`` stands for versions or variants that nobody can list without
running Spack. ``python -m ci.spack.refresh`` makes it. It is read when a name is first looked up.
"""

from __future__ import annotations

import json
import lzma
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ci.software.package_recipe import PackageRecipe

FILE = Path(__file__).with_name("builtin.json.xz")
UNLISTED = "*"

# Variants that build systems and Spack itself give to packages, whatever their recipes say
# (https://spack.readthedocs.io, "Build Systems"; and the reserved names of spack.variant).
INHERITED = frozenset(
    [
        *("build_system", "build_type", "ipo", "generator", "shared", "plugins", "envmods"),
        *("buildtype", "default_library", "strip"),  # Meson
        *("cuda", "cuda_arch", "rocm", "amdgpu_target", "amdgpu_target_sram_ecc", "sycl"),
        *("dev_path", "patches", "commit"),
    ]
)
_PROVIDES = re.compile(r"\bprovides\(([^()]*)\)")
_PROVIDED = re.compile(r"""["']([a-z0-9][a-z0-9-]*)(?:@[^"']*)?["']""", re.ASCII)


@dataclass(frozen=True, slots=True)
class Listing:
    """What is known of a package; None: not known, so nothing can be missing in it."""

    versions: tuple[str, ...] | None
    variants: frozenset[str] | None


@lru_cache(maxsize=1)
def _document() -> tuple[Mapping[str, str], frozenset[str]]:
    document = json.loads(lzma.decompress(FILE.read_bytes()))
    return document["packages"], frozenset(document["virtual"].split())


def names() -> Collection[str]:
    """The names of all packages."""
    return _document()[0].keys()


def is_virtual(name: str) -> bool:
    """Whether several packages provide it, such as ``mpi``."""
    return name in _document()[1]


def known(name: str) -> bool:
    """Whether Spack has the package, or packages that provide it."""
    return name in _document()[0] or is_virtual(name)


def listing(name: str) -> Listing | None:
    """What a package has; None if there is none of this name."""
    packed = _document()[0].get(name)
    if packed is None:
        return None
    versions, _, variants = packed.partition(";")
    return Listing(
        None if versions in ("", UNLISTED) else tuple(versions.split()),
        None if variants == UNLISTED else frozenset(variants.split()) | INHERITED,
    )


def pack(packages: Mapping[str, Listing], virtual: Collection[str]) -> bytes:
    """The content of the file; the same packages give the same bytes."""
    packed = {}
    for name, found in sorted(packages.items()):
        versions = UNLISTED if found.versions is None else " ".join(found.versions)
        variants = UNLISTED if found.variants is None else " ".join(sorted(found.variants))
        packed[name] = f"{versions};{variants}"
    document = {"packages": packed, "virtual": " ".join(sorted(virtual))}
    text = json.dumps(document, separators=(",", ":"))
    return lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME)


def provided_by(recipe: str) -> Iterator[str]:
    """The virtual packages that the text of a recipe provides."""
    for found in _PROVIDES.finditer(recipe):
        yield from _PROVIDED.findall(found[1])


def has_all_variants(recipe: PackageRecipe, text: str) -> bool:
    """Whether every ``variant(…)`` has a name that is written out, and no other recipe adds any."""
    return not recipe.inherits and text.count("variant(") <= len(recipe.variants)
