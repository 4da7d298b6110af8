"""What is known of a package, be it of the Software Catalogue or one of Spack's own."""

from __future__ import annotations

import re
import string
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher, get_close_matches
from functools import cached_property, lru_cache

from ci.errors import EntryError
from ci.located import nearest
from ci.software.catalog import Catalog, Package
from ci.spack import index

_LETTERS = string.ascii_lowercase + string.digits + "-"
_LONGEST = 60  # characters of a name that is worth a guess; Spack's longest has 45
_FEW = 100  # names that a misspelt one is compared with letter by letter

# Compilers that Spack 0.21 to 0.23 know by a name that is not their package's.
_COMPILERS = frozenset(
    [
        *("aocc", "apple-clang", "arm", "cce", "clang", "dpcpp", "fj", "gcc", "intel", "msvc"),
        *("nag", "nvhpc", "oneapi", "pgi", "rocmcc", "xl", "xl_r"),
    ]
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a package has; None: that cannot be told. ``ours``: it is of the Software Catalogue."""

    ours: bool
    versions: tuple[str, ...] | None
    variants: frozenset[str] | None


_MOST = 2000  # packages of a catalogue that a misspelt name is compared with
_ALIKE = 0.85  # of 1: one letter of seven is another
_NOTHING = Facts(True, None, None)


class Lookup:
    """Looks packages up in the catalogue, if it is known, and then in Spack's index."""

    def __init__(self, catalog: Catalog | None) -> None:
        self.catalog = catalog
        self._facts: dict[str, Facts] = {}

    def is_missing(self, name: str) -> bool:
        """Whether neither has it. Without a catalogue that is never certain."""
        catalog = self.catalog
        if catalog is None or name in catalog.packages or index.known(name):
            return False
        return name not in self._virtual

    def is_compiler(self, name: str) -> bool:
        """Whether something of this name may stand after ``%``."""
        return name in _COMPILERS or self.catalog is None or not self.is_missing(name)

    def near(self, name: str) -> tuple[str, bool]:
        """For a name that neither has: the hint, and whether it is plainly another one misspelt.

        That is one of the catalogue but for a letter, or one of Spack's but for ``py-`` or dashes;
        of Spack's, others may be right in an older or newer Spack than the one known here.
        """
        ours = list(self.catalog.packages) if self.catalog is not None else []
        near = get_close_matches(name[:80], ours[:_MOST], n=1) or [_guess(name)]
        if not near[0]:
            return "add it to the Software Catalogue", False
        alike = near[0] in ours and SequenceMatcher(None, name[:80], near[0]).ratio() >= _ALIKE
        return f"did you mean {near[0]!r}?", alike or _bare(name) == _bare(near[0])

    def near_compiler(self, name: str) -> str:
        """The hint for a compiler that nobody knows."""
        return nearest(name, _COMPILERS)

    def facts(self, name: str, namespace: str = "") -> Facts | None:
        """What a package has; None if it is not known, or virtual."""
        package = self.catalog.packages.get(name) if self.catalog is not None else None
        if package is not None and namespace != "builtin":
            if name not in self._facts:
                self._facts[name] = _facts(package)
            return self._facts[name]
        listing = index.listing(name)
        return Facts(False, listing.versions, listing.variants) if listing else None

    @cached_property
    def _virtual(self) -> frozenset[str]:
        """What recipes of the catalogue provide."""
        packages = self.catalog.packages.values() if self.catalog is not None else ()
        return frozenset(name for package in packages for name in index.provided_by(_text(package)))


def _bare(name: str) -> str:
    """A name without what is often left out of it: ``py-``, dashes, underscores, dots."""
    return re.sub(r"[-_.]", "", name.removeprefix("py-"))


def _facts(package: Package) -> Facts:
    """Nothing can be told without a recipe, and little of one that computes things."""
    if not package.has_recipe:
        return _NOTHING
    try:
        recipe = package.recipe
    except EntryError:
        return _NOTHING  # another rule's finding
    versions = tuple(version.name for version in recipe.versions)
    open_ended = recipe.computed or recipe.inherits or "url_for_version" in recipe.set
    listed = index.has_all_variants(recipe, _text(package))
    return Facts(
        ours=True,
        versions=versions if versions and not open_ended else None,
        variants=frozenset(recipe.variants) | index.INHERITED if listed else None,
    )


def _text(package: Package) -> str:
    if not package.has_recipe:
        return ""
    try:
        data = package.catalog.tree.read(f"{package.path}/package.py")
    except EntryError:
        return ""  # another rule's finding
    return data.decode("utf-8", "replace")


@lru_cache(maxsize=4096)
def _guess(name: str) -> str:
    """One of Spack's own packages that a name was probably meant to be, or nothing."""
    name = name.lower().replace("_", "-")[:_LONGEST]
    if len(name) < 3:
        return ""
    known = index.names()
    others = (name, f"py-{name}", f"r-{name}", f"perl-{name}", f"{name}-c", f"lib{name}")
    found = next((other for other in others if other in known), "")
    found = found or next((other for other in sorted(_one_off(name)) if other in known), "")
    if found:
        return found
    hint = nearest(name, _beginning_like(name))
    return hint.split("'")[1] if hint.startswith("did") else ""


def _one_off(name: str) -> Iterator[str]:
    """All texts that are one slip away: a letter left out, doubled, wrong, or two swapped."""
    for at in range(len(name) + 1):
        head, tail = name[:at], name[at:]
        yield from (head + letter + tail for letter in _LETTERS)
        if tail:
            yield head + tail[1:]
            yield from (head + letter + tail[1:] for letter in _LETTERS)
        if len(tail) > 1:
            yield head + tail[1] + tail[0] + tail[2:]


@lru_cache(maxsize=1)
def _sorted_names() -> list[str]:
    return sorted(index.names())


def _beginning_like(name: str) -> list[str]:
    """The packages of about this length whose first letters are the same, as many as are few."""
    every = _sorted_names()
    for letters in range(3, len(name)):
        start = name[:letters]
        found = every[bisect_left(every, start) : bisect_left(every, start + "~")]
        likely = [other for other in found if abs(len(other) - len(name)) <= 2]
        if len(likely) <= _FEW:
            return likely
    return []
