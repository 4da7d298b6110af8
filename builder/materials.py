"""Which files of the Software Catalogue can influence a step's image.

Only these go into a build and into its content key, so a change anywhere else in the catalogue
builds nothing anew. What is left out is not there when the image is built: a file that is missing
here makes a build fail, and never an image stale. Recipes are read, never run; where reading does
not tell, more is taken rather than less.

Spack finds packages by name, in the catalogue before its own. Its own recipes are not looked
through, so a package of the catalogue that they can reach is always taken: one with the name of one
of Spack's, and one that may stand in for a virtual package. EasyBuild finds easyconfigs by file
name; there the same holds for those that are named as one of EasyBuild's own, once one of its own
is needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from posixpath import basename, dirname
from typing import Any

from ci.documents import load
from ci.errors import EntryError
from ci.software import own_easyconfigs
from ci.software.catalog import PACKAGES, RECIPE
from ci.software.easyconfig import UNKNOWN, Constant, Easyconfig, read_easyconfig
from ci.software.environment import SoftwareEnvironment
from ci.software.recipe_references import RecipeReferences, package_key, read_references
from ci.spack import index
from ci.spack.specs import parse_spec

REPOSITORY = "repo.yaml"
_START = f"{PACKAGES}/"
_DEPENDENCIES = (
    *("dependencies", "builddependencies", "hiddendependencies", "hidden_deps", "multi_deps"),
)
_EASYCONFIG = ".eb"
_USUAL_IMPORT = b"from spack.package import *"
_KEPT = 2000  # recipes and easyconfigs that are not read again for each step and site


def used_catalog(
    environment: SoftwareEnvironment, catalog: Mapping[str, bytes]
) -> dict[str, bytes]:
    """Return the files of the catalogue that can influence the image of an environment.

    ``catalog`` maps paths to contents. Where names cannot be read, all packages are taken.
    """
    used: set[str] = set()
    if environment.spack and REPOSITORY in catalog:  # else it is no repository of Spack
        used |= _SpackPackages(catalog).used(environment.spack)
    if environment.easybuild:
        used |= _Easyconfigs(catalog).used(environment.easybuild)
    return {path: catalog[path] for path in sorted(used)}


class _Paths:
    """The files of the catalogue by the folder that they lie in, however deep."""

    def __init__(self, catalog: Mapping[str, bytes]) -> None:
        self._inside: dict[str, list[str]] = {}  # packages/<name> to paths
        self.beside = []  # right in packages/: these belong to nobody and are found by all
        for path in catalog:
            parts = path.split("/")
            if parts[0] == PACKAGES and len(parts) > 2:
                self._inside.setdefault(f"{_START}{parts[1]}", []).append(path)
            elif parts[0] == PACKAGES and not path.endswith(_EASYCONFIG):
                self.beside.append(path)

    def below(self, folder: str) -> Iterator[str]:
        """Everything in a folder of ``packages/``."""
        inside = self._inside.get("/".join(folder.split("/")[:2]), ())
        return (path for path in inside if path.startswith(f"{folder}/"))


class _SpackPackages:
    """The catalogue as a repository of Spack: folders with a ``package.py``."""

    def __init__(self, catalog: Mapping[str, bytes]) -> None:
        self._catalog = catalog
        self._paths = _Paths(catalog)
        self._folders: dict[str, list[str]] = {}  # key of a package to its folders
        for path in sorted(catalog):
            folder, name = dirname(path), basename(path)
            if name == RECIPE and dirname(folder) == PACKAGES:
                self._folders.setdefault(package_key(basename(folder)), []).append(folder)

    def used(self, specs: Iterable[str]) -> set[str]:
        """Paths of what the specs may need."""
        try:
            if not _is_plain(self._catalog[REPOSITORY]):
                return set(self._catalog)
            names = set(_named(specs))
        except EntryError:
            return set(self._catalog)
        waiting = [*names, *(key for key in self._folders if self._is_within_reach(key))]
        found: set[str] = set()
        while waiting:
            key = waiting.pop()
            if key in found or key not in self._folders:
                continue
            found.add(key)
            for references in self._references(key):
                if references is None or references.is_open:
                    return self._files_of(self._folders)
                waiting += references.names
        return self._files_of(found)

    def _is_within_reach(self, key: str) -> bool:
        """Whether recipes of Spack itself may come to the package."""
        recipes = (self._catalog[f"{folder}/{RECIPE}"] for folder in self._folders[key])
        if index.known(key):
            return True
        if not any(_may_stand_in(recipe) for recipe in recipes):
            return False
        return any(found is None or found.may_provide for found in self._references(key))

    def _references(self, key: str) -> list[RecipeReferences | None]:
        """What the package's recipes refer to; None for one that cannot be read."""
        paths = [f"{folder}/{RECIPE}" for folder in self._folders[key]]
        return [_recipe(self._catalog[path], path) for path in paths]

    def _files_of(self, keys: Iterable[str]) -> set[str]:
        folders = (folder for key in keys for folder in self._folders[key])
        inside = {path for folder in folders for path in self._files(folder)}
        return inside | {REPOSITORY, *self._paths.beside}

    def _files(self, folder: str) -> Iterator[str]:
        recipe = self._catalog[f"{folder}/{RECIPE}"]
        for path in self._paths.below(folder):
            if not path.endswith(_EASYCONFIG) and not _is_unnamed_invocation(path, recipe):
                yield path


def _may_stand_in(recipe: bytes) -> bool:
    """A quick look: without these words it neither provides nor inherits from another recipe."""
    return b"provides" in recipe or recipe.count(b"import") != recipe.count(_USUAL_IMPORT)


@lru_cache(maxsize=_KEPT)
def _recipe(data: bytes, path: str) -> RecipeReferences | None:
    try:
        return read_references(data, path)
    except EntryError:
        return None


def _named(specs: Iterable[str]) -> Iterator[str]:
    for text in specs:
        for node in parse_spec(text).nodes:
            yield from (package_key(each.name) for each in (node, *node.compilers))


def _is_plain(data: bytes) -> bool:
    """Whether packages are in ``packages/``, where they are looked for. Raises ``EntryError``."""
    repository = load(data, REPOSITORY).mapping(REPOSITORY).get("repo")
    items = repository.mapping("repo") if repository else {}
    return "subdirectory" not in items or items["subdirectory"].value == PACKAGES


class _Easyconfigs:
    """The easyconfigs of the catalogue, by file name."""

    def __init__(self, catalog: Mapping[str, bytes]) -> None:
        self._catalog = catalog
        self._around = _Paths(catalog)
        self._paths: dict[str, list[str]] = {}
        for path in sorted(catalog):
            if path.startswith(_START) and path.endswith(_EASYCONFIG):
                self._paths.setdefault(basename(path), []).append(path)

    def used(self, wanted: Iterable[str]) -> set[str]:
        """Paths of what these easyconfigs may need."""
        waiting, seen = list(wanted), set[str]()
        is_own_needed = False
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            if name not in self._paths and not is_own_needed:
                is_own_needed = True
                waiting += own_easyconfigs.names() & self._paths.keys()
            for path in self._paths.get(name, ()):
                waiting += self._dependencies(path)
        found = seen & self._paths.keys()
        paths = {path for name in found for path in self._paths[name]}
        beside = self._around.beside if paths else ()
        return paths | {file for path in paths for file in self._files(path)} | set(beside)

    def _dependencies(self, path: str) -> Iterator[str]:
        """File names of what an easyconfig needs; all if that cannot be read."""
        easyconfig = _easyconfig(self._catalog[path], path)
        for name, version in _needed(easyconfig) if easyconfig else [("", "")]:
            start = f"{name}-{version}" if version else f"{name}-"
            whole = f"{start}{_EASYCONFIG}"
            begins = (start if not version else f"{start}-") if name else ""
            matching = [file for file in self._paths if file == whole or file.startswith(begins)]
            yield from matching or [whole]

    def _files(self, path: str) -> Iterator[str]:
        """Sources and patches: beside an easyconfig, and where EasyBuild looks by its name."""
        data = self._catalog[path]
        easyconfig = _easyconfig(data, path)
        name = easyconfig.name if easyconfig else basename(path).partition("-")[0]
        named = [f"{_START}{name}", f"{_START}{name[:1].lower()}/{name}"]
        for file in (p for folder in (dirname(path), *named) for p in self._around.below(folder)):
            is_code = file.endswith(_EASYCONFIG) or basename(file) == RECIPE
            if not is_code and not _is_unnamed_invocation(file, data):
                yield file


@lru_cache(maxsize=_KEPT)
def _easyconfig(data: bytes, path: str) -> Easyconfig | None:
    try:
        return read_easyconfig(data, path)
    except EntryError:
        return None


def _needed(easyconfig: Easyconfig) -> Iterator[tuple[str, str]]:
    """Names and versions of the dependencies and toolchains; empty where it is not known."""
    toolchain = easyconfig.parameters.get("toolchain")
    yield from _toolchain(toolchain.value if toolchain else None)
    for parameter in (name for name in _DEPENDENCIES if name in easyconfig.parameters):
        value = easyconfig.parameters[parameter].value
        if isinstance(value, list | tuple):
            for item in value:
                yield from _dependency(item)
        elif isinstance(value, dict):
            yield from ((name, "") for name in value if isinstance(name, str))
        else:
            yield "", ""


def _dependency(item: Any) -> Iterator[tuple[str, str]]:
    """One of ``(name, version[, suffix[, toolchain]])``, or a dictionary of the same."""
    if isinstance(item, dict):
        item = (item.get("name", UNKNOWN), item.get("version", UNKNOWN))
    if isinstance(item, list) and all(isinstance(inner, list | tuple) for inner in item):
        for inner in item:  # a list for each run of a build that is repeated
            yield from _dependency(inner)
    elif isinstance(item, list | tuple) and item and _is_certain(item[0]):
        certain = len(item) > 1 and _is_certain(item[1])
        yield item[0], item[1] if certain else ""
        yield from _toolchain(item[3]) if len(item) > 3 else ()
    else:
        yield "", ""


def _toolchain(value: Any) -> Iterator[tuple[str, str]]:
    """A toolchain is an easyconfig too; ``SYSTEM`` is none, and True stands for it."""
    if isinstance(value, dict):
        value = (value.get("name", UNKNOWN), value.get("version", UNKNOWN))
    if value is None or value is True or (isinstance(value, Constant) and value == "SYSTEM"):
        return
    if isinstance(value, list | tuple) and value and _is_certain(value[0]):
        if value[0] != "system":
            yield value[0], value[1] if len(value) > 1 and _is_certain(value[1]) else ""
    else:
        yield "", ""


def _is_certain(value: Any) -> bool:
    """Whether it is text that is written out: no name of EasyBuild's, no template."""
    return isinstance(value, str) and not isinstance(value, Constant) and "%" not in value


def _is_unnamed_invocation(path: str, code: bytes) -> bool:
    """Whether it is JSON that a recipe does not mention: how a package is called, not built."""
    mentioned = basename(path).encode() in code or b"package_dir" in code or b"__file__" in code
    return path.endswith(".json") and not mentioned
