"""The Software Catalogue: packages with their recipes and invocations, read when asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, TypeVar

from ci.documents import JSON_SUFFIXES
from ci.errors import EntryError
from ci.located import nearest
from ci.software.easyconfig import Easyconfig, read_easyconfig
from ci.software.invocation import Invocation, read_invocation
from ci.software.package_recipe import PackageRecipe, read_package_recipe
from ci.trees import Tree

PACKAGES = "packages"
RECIPE = "package.py"

T = TypeVar("T")


class Package:
    """A package of the catalogue."""

    def __init__(self, catalog: Catalog, name: str) -> None:
        self.catalog = catalog
        self.name = name
        self.path = f"{PACKAGES}/{name}"
        self._tree = catalog.tree
        self._read: dict[str, Any] = {}

    @cached_property
    def _names(self) -> list[str]:
        found = (name for name in self._tree.names(self.path) if not name.endswith("/"))
        return [name for name in found if self._is_file(name)]

    def _is_file(self, name: str) -> bool:
        entry = self._tree.find(f"{self.path}/{name}")
        return entry is not None and entry.is_file

    @property
    def has_recipe(self) -> bool:
        """Whether there is a ``package.py``."""
        return RECIPE in self._names

    @property
    def recipe(self) -> PackageRecipe:
        """The Spack recipe. Raises ``EntryError``."""
        return self._kept(read_package_recipe, f"{self.path}/{RECIPE}")

    @property
    def easyconfig_files(self) -> list[str]:
        """Paths of the easyconfigs."""
        return [f"{self.path}/{name}" for name in self._names if name.endswith(".eb")]

    def easyconfig(self, path: str) -> Easyconfig:
        """An easyconfig. Raises ``EntryError``."""
        return self._kept(read_easyconfig, path)

    @property
    def invocation_files(self) -> list[str]:
        """Paths of the invocations."""
        return [f"{self.path}/{name}" for name in self._names if name.endswith(JSON_SUFFIXES)]

    def invocation(self, path: str) -> Invocation:
        """An invocation. Raises ``EntryError``."""
        return self._kept(read_invocation, path)

    def _kept(self, read: Callable[[bytes, str], T], path: str) -> T:
        """What reading a file gave, be it a value or an error: many rules ask for it."""
        if path not in self._read:
            try:
                self._read[path] = read(self._tree.read(path), path)
            except EntryError as error:
                self._read[path] = error
        found: T | EntryError = self._read[path]
        if isinstance(found, EntryError):
            raise found
        return found


class Catalog:
    """A tree read as the Software Catalogue."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree

    @cached_property
    def packages(self) -> Mapping[str, Package]:
        """Packages by name; none of them is read yet."""
        names = (name[:-1] for name in self.tree.names(PACKAGES) if name.endswith("/"))
        return {name: Package(self, name) for name in names}

    @cached_property
    def provided(self) -> frozenset[str]:
        """What recipes of the catalogue stand in for, such as ``mpi``, beside their own names."""
        found: set[str] = set()
        for package in self.packages.values():
            try:
                specs = package.recipe.provides if package.has_recipe else ()
            except EntryError:
                continue  # a finding of its own
            found.update(text.split("@")[0].strip() for text in specs)
        return frozenset(found)

    def package(self, name: str) -> Package:
        """A package by name. Raises ``EntryError`` if there is none."""
        if name not in self.packages:
            hint = nearest(name, self.packages)
            raise EntryError(f"the Software Catalogue has no package {name!r}", hint=hint)
        return self.packages[name]


def is_catalog(tree: Tree) -> bool:
    """Whether a tree is a Software Catalogue: it has ``packages/``."""
    return f"{PACKAGES}/" in tree.names()
