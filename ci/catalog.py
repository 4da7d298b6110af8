"""The Software Catalogue: packages with their recipes and invocations, read when asked for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from ci.documents import JSON_SUFFIXES, load
from ci.easyconfig import Easyconfig, read_easyconfig
from ci.errors import EntryError
from ci.located import Located, nearest
from ci.package_recipe import PackageRecipe, read_package_recipe
from ci.trees import Entry, Tree

PACKAGES = "packages"
RECIPE = "package.py"


class Package:
    """A package of the catalogue."""

    def __init__(self, tree: Tree, name: str, entries: list[Entry]) -> None:
        self.name = name
        self.path = f"{PACKAGES}/{name}"
        self.entries = tuple(entries)
        self._tree = tree

    @cached_property
    def _names(self) -> list[str]:
        start = len(self.path) + 1
        names = (entry.path[start:] for entry in self.entries if entry.is_file)
        return sorted(name for name in names if "/" not in name)

    @property
    def has_recipe(self) -> bool:
        """Whether there is a ``package.py``."""
        return RECIPE in self._names

    @cached_property
    def recipe(self) -> PackageRecipe:
        """The Spack recipe. Raises ``EntryError``."""
        path = f"{self.path}/{RECIPE}"
        return read_package_recipe(self._tree.read(path), path)

    @property
    def easyconfig_files(self) -> list[str]:
        """Paths of the easyconfigs."""
        return [f"{self.path}/{name}" for name in self._names if name.endswith(".eb")]

    def easyconfig(self, path: str) -> Easyconfig:
        """An easyconfig. Raises ``EntryError``."""
        return read_easyconfig(self._tree.read(path), path)

    @property
    def invocation_files(self) -> list[str]:
        """Paths of the invocations."""
        return [f"{self.path}/{name}" for name in self._names if name.endswith(JSON_SUFFIXES)]

    def invocation(self, path: str) -> Located:
        """An invocation. Raises ``EntryError``."""
        return load(self._tree.read(path), path)


class Catalog:
    """A tree read as the Software Catalogue."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree

    @cached_property
    def packages(self) -> Mapping[str, Package]:
        """Packages by name; none of them is read yet."""
        grouped: dict[str, list[Entry]] = {}
        for entry in self.tree.entries():
            parts = entry.path.split("/")
            if parts[0] == PACKAGES and len(parts) > 2:
                grouped.setdefault(parts[1], []).append(entry)
        return {name: Package(self.tree, name, entries) for name, entries in grouped.items()}

    def package(self, name: str) -> Package:
        """A package by name. Raises ``EntryError`` if there is none."""
        if name not in self.packages:
            hint = nearest(name, self.packages)
            raise EntryError(f"the Software Catalogue has no package {name!r}", hint=hint)
        return self.packages[name]


def is_catalog(tree: Tree) -> bool:
    """Whether a tree is a Software Catalogue: it has ``packages/``."""
    return any(entry.path.startswith(f"{PACKAGES}/") for entry in tree.entries())
