"""The types that topologies use: those of the packages they import, and those they define.

The packages of ``ci/tosca/types`` are written from the documented properties of the public ones;
a topology imports them as ``<package>:<version>``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from ci.documents import load
from ci.errors import EntryError
from ci.located import Located, nearest
from ci.tosca.model import RUNNABLE, Definition, Topology
from ci.tosca.reader import read_definitions

_SUFFIX = ".yaml"
_DEEPEST = 20  # types that derive from each other


@dataclass(frozen=True, slots=True)
class NodeType:
    """A node type with all that it inherits. ``ancestors`` begins with the type itself."""

    name: str
    ancestors: tuple[str, ...]
    properties: Mapping[str, Definition]
    requirements: frozenset[str]
    operations: frozenset[str]  # "<interface>.<operation>"

    @property
    def runnable(self) -> bool:
        """Whether a workflow can run it."""
        return f"{RUNNABLE}.run" in self.operations


@dataclass(slots=True)
class Library:
    """Node types and data types by name."""

    _nodes: dict[str, Located] = field(default_factory=dict)
    _data: dict[str, Located] = field(default_factory=dict)
    _read_nodes: dict[str, NodeType] = field(default_factory=dict)
    _read_data: dict[str, Mapping[str, Definition]] = field(default_factory=dict)

    def extended(self, documents: Iterable[Located]) -> Library:
        """This library with the types of more documents (``node_types``, ``data_types``)."""
        nodes, data = dict(self._nodes), dict(self._data)
        for document in documents:
            items = document.mapping("a document of types")
            nodes |= items.get("node_types", Located(None)).mapping("node_types")
            data |= items.get("data_types", Located(None)).mapping("data_types")
        return Library(nodes, data)

    @property
    def node_types(self) -> list[str]:
        """The names of all node types."""
        return sorted(self._nodes)

    def has_node_type(self, name: str) -> bool:
        """Whether a node type is known."""
        return name in self._nodes

    def node_type(self, name: str) -> NodeType:
        """A node type by name. Raises ``EntryError`` without a place when it is not known."""
        if name not in self._read_nodes:
            self._read_nodes[name] = self._node_type(name)
        return self._read_nodes[name]

    def data_type(self, name: str) -> Mapping[str, Definition] | None:
        """The properties of a data type with those it inherits; None if it is not known."""
        if name not in self._data:
            return None
        if name not in self._read_data:
            merged: dict[str, Definition] = {}
            for ancestor in reversed(self._ancestors(name, self._data)):
                merged |= _properties(ancestor, self._data[ancestor])
            self._read_data[name] = merged
        return self._read_data[name]

    def _node_type(self, name: str) -> NodeType:
        if name not in self._nodes:
            hint = nearest(name, self._nodes)
            raise EntryError(f"unknown node type {name!r}", hint=hint)
        ancestors = self._ancestors(name, self._nodes)
        properties: dict[str, Definition] = {}
        requirements: set[str] = set()
        operations: set[str] = set()
        for ancestor in reversed(ancestors):
            definition = self._nodes[ancestor]
            properties |= _properties(ancestor, definition)
            requirements |= _requirements(ancestor, definition)
            operations |= _operations(ancestor, definition)
        return NodeType(name, ancestors, properties, frozenset(requirements), frozenset(operations))

    @staticmethod
    def _ancestors(name: str, types: Mapping[str, Located]) -> tuple[str, ...]:
        line = [name]
        while parent := _part(types[line[-1]], line[-1], "derived_from").text:
            if parent not in types or parent in line or len(line) > _DEEPEST:
                place = _part(types[line[-1]], line[-1], "derived_from")
                raise place.error(f"type {line[-1]} derives from {parent!r}, which does not work")
            line.append(parent)
        return tuple(line)


def _part(definition: Located, name: str, key: str) -> Located:
    return definition.mapping(f"type {name}").get(key, Located(None))


def _properties(name: str, definition: Located) -> dict[str, Definition]:
    return read_definitions(_part(definition, name, "properties"), f"properties of {name}")


def _requirements(name: str, definition: Located) -> set[str]:
    listed = _part(definition, name, "requirements").sequence(f"requirements of {name}")
    return {key for item in listed for key in item.mapping(f"a requirement of {name}")}


def _operations(name: str, definition: Located) -> set[str]:
    interfaces = _part(definition, name, "interfaces").mapping(f"interfaces of {name}")
    return {
        f"{interface}.{operation}"
        for interface, value in interfaces.items()
        for operation in value.mapping(f"interface {interface}")
    }


@cache
def shipped() -> Library:
    """The library of the packages that we ship."""
    folder = files("ci.tosca") / "types"
    return Library().extended(
        load(file.read_bytes(), f"types/{file.name}")
        for file in sorted(folder.iterdir(), key=lambda file: file.name)
        if file.name.endswith(_SUFFIX)
    )


@cache
def packages() -> frozenset[str]:
    """The names of the packages that we ship."""
    names = (file.name for file in (files("ci.tosca") / "types").iterdir())
    return frozenset(name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX))


def library_of(topology: Topology) -> Library:
    """The types that a topology may use: what we ship, and what its own file defines."""
    own = topology.document.mapping("a topology")
    if "node_types" in own or "data_types" in own:
        return shipped().extended([topology.document])
    return shipped()
