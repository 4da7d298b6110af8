"""Rules on the imports of a topology, and on documents of types."""

from __future__ import annotations

from collections.abc import Iterator

from ci.documents import YAML_SUFFIXES
from ci.errors import EntryError
from ci.findings import Finding, Severity
from ci.located import Located
from ci.registry import TOPOLOGY_FOLDERS
from ci.rules.base import ContentRule, SourceFile, TopologyOf, TopologyRule
from ci.tosca.imports import FOLDER, identity, imported, imports_of, problem_of
from ci.tosca.library import (
    documents,
    has_own_types,
    library_of,
    package_import,
    package_of,
    packages,
    shipped,
    with_imports,
)
from ci.tosca.model import Topology
from ci.tosca.reader import is_topology
from ci.tosca.type_library import NODES, SECTIONS, Library
from ci.tosca.type_problems import type_problems

_IMPLIED = frozenset({"tosca-normative-types", "alien-base-types", "yorc-types"})


class UnknownImport(TopologyRule):
    """An import names a package that is known, with a version, or a file of the registry.

    Packages are those that come with this service and those in the registry's folder ``types``.
    Which version of a package is named makes no difference. Nothing is fetched from elsewhere.
    """

    id = "topology/unknown-import"

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Look every import up."""
        topology = subject.topology
        for given in topology.missing:
            message, hint = problem_of(given, topology.path, self.context.registry)
            yield self.at(given.place, message, hint)


class MissingImport(TopologyRule):
    """The package of each node's type is imported.

    Alien4Cloud and Yorc know only what a topology imports, and what these packages import in turn:
    without it, the topology works here and nowhere else.
    """

    id = "topology/missing-import"
    severity = Severity.WARNING

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Compare the packages of the types with the imports; each is told once."""
        topology = subject.topology
        said = {name for given in topology.imports for name in _brought(given.text)} | _IMPLIED
        for node in topology.nodes.values() if topology.has_all_types else ():
            package = package_of(node.type)
            if package and package not in said and not _is_own(topology, node.type):
                said.add(package)
                version = shipped_version(package)
                message = f"{package}, which {node.type} is of, is not imported"
                yield self.at(node.type_place, message, f"imports: [{package}:{version}]")


def _brought(text: str) -> frozenset[str]:
    package = package_import(text)
    return with_imports(package[0]) if package is not None else frozenset()


def _is_own(topology: Topology, node_type: str) -> bool:
    definition = library_of(topology).definition(NODES, node_type)
    return definition is not shipped().definition(NODES, node_type)


def shipped_version(package: str) -> str:
    """The version that the documentation of a package that we ship is of."""
    return identity(documents()[package])[1]


class RepeatedImport(TopologyRule):
    """Nothing is imported twice: it is one too many, or another was meant.

    Two versions of one package make it chance which of them counts.
    """

    id = "topology/repeated-import"
    severity = Severity.WARNING

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Compare the names of what is imported."""
        first: dict[str, Located] = {}
        for given in subject.topology.imports:
            package = package_import(given.text)
            name = package[0] if package is not None else given.text
            if name in first:
                message = f"{name} is imported before, at line {first[name].line}"
                yield self.at(given.place, message)
            first.setdefault(name, given.place)


class InvalidTypes(ContentRule):
    """Types are defined as TOSCA has it: they derive from types that are known, and not from
    themselves; their properties have known types, constraints that can be read and defaults that
    fit; their capabilities and requirements name known types.

    Judged are the documents in the folder ``types`` of the registry, whether a topology imports
    them or not, and those in a workflow's ``tosca``. One broken type breaks every topology that
    uses it.
    """

    id = "types/invalid"

    def check(self, subject: SourceFile) -> Iterator[Finding]:
        """Judge each type that the document defines."""
        if not _may_have_types(subject):
            return
        registry = self.context.registry
        try:
            document = registry.document(subject.path)
        except EntryError:
            return  # a rule on all YAML tells it
        if not has_own_types(document):
            return
        try:
            library, is_whole = self._library(document)
        except EntryError as error:
            yield Finding.of(error, self.id, self.severity)
            return
        for problem in type_problems(document, library) if is_whole else ():
            yield self.at(problem.place, problem.message, problem.hint)
        if not is_topology(document):
            yield from self._imports(document)

    def _library(self, document: Located) -> tuple[Library, bool]:
        """The types that the document can use, and whether these are all that it imports."""
        found = imported(imports_of(document), document.path, self.context.registry)
        library = shipped().extended([*reversed(found.documents), document])
        return library, not found.missing and not found.unreadable

    def _imports(self, document: Located) -> Iterator[Finding]:
        registry = self.context.registry
        for given in imported(imports_of(document), document.path, registry).missing:
            message, hint = problem_of(given, document.path, registry)
            yield self.at(given.place, message, hint)


class RepeatedType(ContentRule):
    """A package in the folder ``types`` has a name and version of its own, and so have its types.

    Those that come with this service keep theirs: a topology that imports them means these, and
    which of two definitions counts would depend on the order of imports.
    """

    id = "types/repeated"
    severity = Severity.WARNING

    def check(self, subject: SourceFile) -> Iterator[Finding]:
        """Compare names with those of documents that come before, and with what is shipped."""
        if not subject.path.startswith(f"{FOLDER}/") or not _may_have_types(subject):
            return
        registry = self.context.registry
        try:
            document = registry.document(subject.path)
            name, version = identity(document)
        except EntryError:
            return  # another finding
        if name in packages():
            message = f"{name} is the name of a package that comes with this service"
            yield self.at(document, message, "call it otherwise: the other one is imported")
            return
        if version in {v for v, path in registry.types.get(name, ()) if path < subject.path}:
            yield self.at(document, f"there are two packages {name}:{version} in {FOLDER}/")
            return
        for section in SECTIONS:
            holder = document.value.get(section, Located(None))
            for kind in holder.value if holder.is_mapping else ():
                if shipped().definition(section, kind) is not None:
                    message = f"type {kind} comes with this service"
                    yield self.at(holder.key(kind), message, "call it otherwise")


def _may_have_types(subject: SourceFile) -> bool:
    """A cheap look: whether a document of types may be in a file."""
    folder, *rest = subject.path.split("/")
    is_topology_file = len(rest) == 1 and rest[0].startswith("topology.")
    inside = folder == FOLDER or is_topology_file or (rest and rest[0] in TOPOLOGY_FOLDERS)
    return bool(inside) and subject.path.endswith(YAML_SUFFIXES) and b"_types" in subject.data


RULES = (UnknownImport, MissingImport, RepeatedImport)
TYPE_RULES: tuple[type[ContentRule], ...] = (InvalidTypes, RepeatedType)
