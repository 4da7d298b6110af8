"""Imports: which documents of the registry a topology, or a document of types, takes types from.

A package of the registry is a document in its folder ``types``, imported as ``<name>:<version>``
with the name and version of its metadata (or of its file), or by its path, as any other document
of types, relative to the document that imports it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from ci.errors import EntryError
from ci.located import Located, nearest
from ci.tosca.library import file_import, package_import, packages
from ci.tosca.model import Import, Topology
from ci.tosca.reader import read_imports

FOLDER = "types"
_MOST = 100  # documents that one imports, however indirectly


class TypeSource(Protocol):
    """Where documents of types are found: the registry."""

    @property
    def types(self) -> Mapping[str, Sequence[tuple[str, str]]]:
        """Versions and paths of the packages of the registry, by name."""

    def document(self, path: str) -> Located:
        """A document. Raises ``EntryError``."""

    def has_file(self, path: str) -> bool:
        """Whether there is a file."""


@dataclass(slots=True)
class Found:
    """Documents that are imported, imports that name nothing, and whether one is unreadable."""

    documents: list[Located] = field(default_factory=list)
    missing: list[Import] = field(default_factory=list)
    unreadable: bool = False


def identity(document: Located) -> tuple[str, str]:
    """Name and version that a document of types is imported by. Raises ``EntryError``."""
    items = document.mapping("a document of types")
    metadata = items.get("metadata", Located(None)).mapping("metadata")
    stem = document.path.rpartition("/")[2].rpartition(".")[0]
    name = metadata["template_name"].string("template_name") if "template_name" in metadata else ""
    version = metadata.get("template_version", Located(None)).text
    return name or stem, version


def with_types(topology: Topology, source: TypeSource) -> Topology:
    """The topology with the documents of types that it imports from the registry."""
    if all(_is_shipped(given) for given in topology.imports):
        return topology
    found = imported(topology.imports, topology.path, source)
    return replace(
        topology,
        types=tuple(reversed(found.documents)),  # what is nearer goes before what is farther
        missing=tuple(found.missing),
        has_all_types=not found.unreadable and not found.missing,
    )


def imported(imports: Sequence[Import], path: str, source: TypeSource) -> Found:
    """What the imports of the document at ``path`` bring, with what that imports in turn.

    ``missing`` holds only imports of the document itself: those of others are told there.
    """
    found = Found()
    todo = deque((given, path) for given in imports)
    seen = {path}
    while todo:
        given, importer = todo.popleft()
        if _is_shipped(given):
            continue
        where = _path_of(given, importer, source)
        if not where:
            if importer == path:
                found.missing.append(given)
            continue
        if where in seen or len(seen) > _MOST:
            continue
        seen.add(where)
        try:
            document = source.document(where)
            document.mapping("a document of types")
            todo.extend((inner, where) for inner in imports_of(document))
        except EntryError:
            found.unreadable = True  # told where it stands
            continue
        found.documents.append(document)
    return found


def imports_of(document: Located) -> tuple[Import, ...]:
    """What a document imports. Raises ``EntryError``."""
    return read_imports(document.mapping("a document").get("imports", Located(None)))


def problem_of(given: Import, path: str, source: TypeSource) -> tuple[str, str]:
    """What is wrong with an import that names nothing, and what to do about it."""
    package = package_import(given.text)
    names = [*packages(), *source.types]
    if package is not None:
        return f"there is no package {package[0]!r}", nearest(package[0], names)
    if given.alias in names:
        hint = f"write {given.alias}:{given.text}, without a blank"
        return f"{given.text!r} is no file of the registry", hint
    if given.text in names:
        return f"the import of {given.text} has no version", f"{given.text}:<version>"
    hint = "import <package>:<version>, or a file by its path from here; nothing is fetched"
    return f"there is no file {file_import(given, path) or given.text!r}", hint


def _is_shipped(given: Import) -> bool:
    package = package_import(given.text)
    return package is not None and package[0] in packages()


def _path_of(given: Import, importer: str, source: TypeSource) -> str:
    package = package_import(given.text)
    if package is None:
        path = file_import(given, importer)
        return path if path and source.has_file(path) else ""
    versions = source.types.get(package[0], ())
    exact = [path for version, path in versions if version == package[1]]
    return (exact or [path for _, path in versions] or [""])[-1]


def index_of(
    paths: Sequence[str], document: Callable[[str], Located]
) -> dict[str, list[tuple[str, str]]]:
    """Versions and paths of the packages in documents, by name; unreadable ones are left out."""
    found: dict[str, list[tuple[str, str]]] = {}
    for path, (name, version) in _identities(paths, document):
        found.setdefault(name, []).append((version, path))
    return found


def _identities(
    paths: Sequence[str], document: Callable[[str], Located]
) -> Iterator[tuple[str, tuple[str, str]]]:
    for path in paths:
        try:
            yield path, identity(document(path))
        except EntryError:
            continue
