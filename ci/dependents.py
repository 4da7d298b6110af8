"""Who depends on what changed: inside a registry, inside the catalogue, and across the two.

Names are looked for in the bytes first, so that of a thousand workflows only those are parsed that
can be meant.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress

from ci.errors import EntryError
from ci.registry import NO_WORKFLOWS, Registry, Step, Workflow
from ci.software.catalog import Catalog, Package
from ci.spack.specs import parse_spec
from ci.trees import Tree

TYPES = "types"


def folders_of(paths: Collection[str], under: str = "") -> set[str]:
    """The names of the folders (right below ``under``) that hold one of the paths."""
    start = f"{under}/" if under else ""
    inside = (path[len(start) :] for path in paths if path.startswith(start))
    return {path.split("/")[0] for path in inside if "/" in path}


def dependent_workflows(registry: Registry, changed: Collection[str]) -> set[str]:
    """Workflows that a change touches or may break.

    Those it lies in; if files are gone, those whose topologies name the workflow that they were of
    (an image of another's step); all that have topologies if types of the registry changed.
    """
    touched = folders_of(changed) - NO_WORKFLOWS
    found = {name for name in touched if name in registry.workflows}
    if any(path.startswith(f"{TYPES}/") for path in changed):
        return set(registry.workflows)
    gone = folders_of([path for path in changed if registry.tree.find(path) is None])
    words = [name.encode() for name in gone - NO_WORKFLOWS]
    for name, workflow in registry.workflows.items() if words else ():
        if name not in found and mentions(registry.tree, workflow.topology_files, words):
            found.add(name)
    return found


def dependent_packages(catalog: Catalog, names: Collection[str]) -> set[str]:
    """The packages of these names and all whose recipes depend on them, however indirectly."""
    recipes = {
        name: catalog.tree.read(f"{package.path}/package.py")
        for name, package in catalog.packages.items()
        if package.has_recipe
    }
    found, new = set(names), set(names)
    while new:
        new = {
            name
            for name, recipe in recipes.items()
            if name not in found
            and any(other.encode() in recipe for other in new)
            and new & _dependencies(catalog.packages[name])
        }
        found |= new
    return found


def provided_by(catalog: Catalog, names: Collection[str]) -> set[str]:
    """What the packages of these names stand in for, such as ``mpi``."""
    found: set[str] = set()
    for package in (catalog.packages[name] for name in names if name in catalog.packages):
        with suppress(EntryError):  # a rule says what is wrong
            specs = package.recipe.provides if package.has_recipe else ()
            found.update(text.partition("@")[0].strip() for text in specs)
    return found - {""}


def users_of(registry: Registry, packages: Collection[str]) -> Iterator[Workflow]:
    """The workflows with a step that names one of the packages, in an environment or in code.

    The name as a word is enough; code counts if it may use ``@software``.
    """
    names = b"|".join(re.escape(name.encode()) for name in sorted(packages))
    word = re.compile(rb"(?<![\w-])(?:%b)(?!\w|-[A-Za-z])" % names)
    for workflow in registry.workflows.values() if packages else ():
        if any(_uses(registry.tree, step, word) for step in workflow.steps.values()):
            yield workflow


def _uses(tree: Tree, step: Step, word: re.Pattern[bytes]) -> bool:
    code = [name for name in sorted(step.names) if name.endswith(".py")]
    for name in (*step.environment_files, *code):
        try:
            data = tree.read(f"{step.path}/{name}")
            if name in code and b"software" not in data:
                continue
            hidden = name not in code and b"\\" in data  # an escape may spell it
            if hidden or word.search(data):
                return True
        except EntryError:
            continue  # a rule says what is wrong
    return False


def mentions(tree: Tree, paths: Collection[str], words: Collection[bytes]) -> bool:
    """Whether one of the words is in one of the files."""
    for path in paths:
        try:
            data = tree.read(path)
        except EntryError:
            continue  # a rule says what is wrong
        if b"\\" in data or any(word in data for word in words):  # an escape may spell it
            return True
    return False


def _dependencies(package: Package) -> set[str]:
    """The names of what a recipe depends on, or takes its class from."""
    found: set[str] = set()
    with suppress(EntryError):  # a rule says what is wrong
        found.update(_packages_in(package.recipe.imports))
        for spec in package.recipe.dependencies:
            with suppress(EntryError):
                found.add(parse_spec(spec.text.strip()).name)
    return found


def _packages_in(imports: Mapping[str, str]) -> Iterator[str]:
    """The packages whose recipes are imported: ``spack.pkg.<namespace>.<package>.<class>``."""
    for full in imports.values():
        parts = full.removeprefix("*").split(".")
        if parts[:2] == ["spack", "pkg"] and len(parts) > 3:
            yield parts[3].replace("_", "-")
        elif parts[0] == "spack_repo" and "packages" in parts[:-1]:
            yield parts[parts.index("packages") + 1].replace("_", "-")
