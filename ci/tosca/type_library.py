"""Types of nodes, data, capabilities, relationships and artifacts, by name.

A type knows what it inherits. Reading one raises ``EntryError`` with the place of what is wrong
with it, or with one that it derives from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ci.errors import EntryError
from ci.located import Located, nearest
from ci.tosca.model import INTERFACES, RUNNABLE, Definition
from ci.tosca.reader import read_definitions
from ci.tosca.scalars import SIMPLE

NODES = "node_types"
DATA = "data_types"
CAPABILITIES = "capability_types"
RELATIONSHIPS = "relationship_types"
ARTIFACTS = "artifact_types"
SECTIONS = (NODES, DATA, CAPABILITIES, RELATIONSHIPS, ARTIFACTS)
_DEEPEST = 20  # types that derive from each other
_NO_OPERATIONS = frozenset({"inputs", "type", "description", "operations", "notifications"})


@dataclass(frozen=True, slots=True)
class Needed:
    """A requirement of a node type; ``at_least`` is how often it must be given."""

    name: str
    capability: Located
    relationship: Located
    at_least: int = 1


@dataclass(frozen=True, slots=True)
class NodeType:
    """A node type with all that it inherits. ``ancestors`` begins with the type itself."""

    name: str
    ancestors: tuple[str, ...]
    properties: Mapping[str, Definition]
    needs: Mapping[str, Needed]
    operations: frozenset[str]  # "<interface>.<operation>"
    capabilities: Mapping[str, Located]  # name to type
    attributes: frozenset[str]
    path: str = ""  # of the document that it is from

    @property
    def runnable(self) -> bool:
        """Whether a workflow can run it."""
        return f"{RUNNABLE}.run" in self.operations

    @property
    def requirements(self) -> frozenset[str]:
        """The names of its requirements."""
        return frozenset(self.needs)


@dataclass(frozen=True, slots=True)
class DataType:
    """A data type: fields, or (``base``) a simple type with constraints; with what it inherits."""

    name: str
    base: str
    fields: Mapping[str, Definition]
    constraints: tuple[Located, ...] = ()


@dataclass(slots=True)
class Library:
    """Types by section and name."""

    _types: Mapping[str, Mapping[str, Located]] = field(default_factory=dict)
    _nodes: dict[str, NodeType] = field(default_factory=dict)
    _data: dict[str, DataType] = field(default_factory=dict)

    def extended(self, documents: Iterable[Located]) -> Library:
        """This library with the types of more documents (``node_types``, …).

        What is no mapping is left out: it is told where the document is judged.
        """
        types = {section: dict(self._types.get(section, {})) for section in SECTIONS}
        for document in documents:
            items = document.value if document.is_mapping else {}
            for section in SECTIONS:
                holder = items.get(section, Located(None))
                types[section] |= holder.value if holder.is_mapping else {}
        return Library(types)

    def names(self, section: str) -> list[str]:
        """The names of all types of a section."""
        return sorted(self._types.get(section, ()))

    def definition(self, section: str, name: str) -> Located | None:
        """A type as its document has it."""
        return self._types.get(section, {}).get(name)

    @property
    def node_types(self) -> list[str]:
        """The names of all node types."""
        return self.names(NODES)

    def has_node_type(self, name: str) -> bool:
        """Whether a node type is known."""
        return name in self._types.get(NODES, {})

    def node_type(self, name: str) -> NodeType:
        """A node type by name. Raises ``EntryError``, without a place when it is not known."""
        if name not in self._nodes:
            if not self.has_node_type(name):
                hint = nearest(name, self.node_types)
                raise EntryError(f"unknown node type {name!r}", hint=hint)
            self._nodes[name] = self._node_type(name)
        return self._nodes[name]

    def usable_node_type(self, name: str) -> NodeType | None:
        """A node type that is known and right, else None: others say what is wrong with it."""
        if not self.has_node_type(name):
            return None
        try:
            return self.node_type(name)
        except EntryError:
            return None

    def data_type(self, name: str) -> Mapping[str, Definition] | None:
        """The fields of a data type with those it inherits; None if it has none or is not known."""
        kind = self.data(name)
        return None if kind is None or kind.base else kind.fields

    def data(self, name: str) -> DataType | None:
        """A data type by name; None if it is not known. Raises ``EntryError``."""
        types = self._types.get(DATA, {})
        if name not in types:
            return None
        if name not in self._data:
            ancestors = self.ancestors(DATA, name)
            base = ancestors[-1] if ancestors[-1] in SIMPLE else ""
            own = [one for one in ancestors if one in types]
            fields: dict[str, Definition] = {}
            for ancestor in reversed(own):
                fields |= _properties(ancestor, types[ancestor])
            limits = (_part(types[one], one, "constraints") for one in own)
            kept = tuple(limit for limit in limits if limit.value is not None)
            self._data[name] = DataType(name, base, fields, kept)
        return self._data[name]

    def usable_data(self, name: str) -> DataType | None:
        """A data type that is known and right, else None."""
        try:
            return self.data(name)
        except EntryError:
            return None

    def has_data_type(self, name: str) -> bool:
        """Whether values can be of this type."""
        return name in SIMPLE or name in self._types.get(DATA, {})

    def ancestors(self, section: str, name: str) -> tuple[str, ...]:
        """A type and those it derives from, nearest first; a data type may end in a simple one.

        Raises ``EntryError``: one is not known, or derives from itself.
        """
        types = self._types.get(section, {})
        line = [name]
        while line[-1] in types:
            place = _part(types[line[-1]], line[-1], "derived_from")
            parent = place.text
            if not parent or (section == DATA and parent in SIMPLE and parent not in types):
                return tuple([*line, parent] if parent else line)
            if parent not in types:
                hint = nearest(parent, types)
                message = f"type {line[-1]} derives from {parent!r}, which is not known"
                raise place.error(message, hint=hint)
            if len(line) > _DEEPEST:
                raise place.error(f"more than {_DEEPEST} types derive from each other")
            if parent in line:
                raise place.error(f"type {line[-1]} derives from {parent!r} in a circle")
            line.append(parent)
        return tuple(line)

    def derives(self, section: str, name: str, wanted: str) -> bool:
        """Whether a type is another, or derives from it; true where that cannot be told."""
        try:
            return name == wanted or wanted in self.ancestors(section, name)
        except EntryError:
            return True

    def _node_type(self, name: str) -> NodeType:
        types = self._types[NODES]
        ancestors = self.ancestors(NODES, name)
        properties: dict[str, Definition] = {}
        needs: dict[str, Needed] = {}
        operations: set[str] = set()
        capabilities: dict[str, Located] = {}
        attributes: set[str] = set()
        for ancestor in reversed(ancestors):
            definition = types[ancestor]
            properties |= _properties(ancestor, definition)
            needs |= {need.name: need for need in _needs(ancestor, definition)}
            operations |= _operations(ancestor, definition)
            capabilities |= _capabilities(ancestor, definition)
            attributes |= _part(definition, ancestor, "attributes").mapping("attributes").keys()
        return NodeType(
            name,
            ancestors,
            properties,
            needs,
            frozenset(operations),
            capabilities,
            frozenset(attributes),
            types[name].path,
        )


def _part(definition: Located, name: str, key: str) -> Located:
    return definition.mapping(f"type {name}").get(key, Located(None))


def _properties(name: str, definition: Located) -> dict[str, Definition]:
    return read_definitions(_part(definition, name, "properties"), f"properties of {name}")


def _needs(name: str, definition: Located) -> Iterator[Needed]:
    """Requirements: ``- name: {capability: …}`` or ``- name: capability``."""
    listed = _part(definition, name, "requirements").sequence(f"requirements of {name}")
    for item in listed:
        for key, value in item.mapping(f"a requirement of {name}").items():
            what = f"requirement {key} of {name}"
            items = {"capability": value} if value.is_text else value.mapping(what)
            capability = items.get("capability", Located("", value.path, value.line, value.column))
            relation = items.get("relationship", Located(""))
            if relation.is_mapping:
                relation = relation.value.get("type", Located(""))
            capability.string(f"{what}: capability")
            relation.string(f"{what}: relationship")
            yield Needed(key, capability, relation, _at_least(items.get("occurrences"), what))


def _at_least(occurrences: Located | None, what: str) -> int:
    """The first of two numbers; TOSCA's default is exactly one."""
    if occurrences is None:
        return 1
    ends = occurrences.sequence(f"{what}: occurrences")
    if len(ends) != 2:
        raise occurrences.error(f"{what}: occurrences are two values", hint="[0, UNBOUNDED]")
    return ends[0].integer(f"{what}: occurrences", at_least=0, at_most=10**6)


def _operations(name: str, definition: Located) -> set[str]:
    interfaces = _part(definition, name, "interfaces").mapping(f"interfaces of {name}")
    found = set()
    for interface, value in interfaces.items():
        items = value.mapping(f"interface {interface}")
        listed = items.get("operations", Located(None)).mapping(f"operations of {interface}")
        for operation in {*items, *listed} - _NO_OPERATIONS:
            found.add(f"{INTERFACES.get(interface, interface)}.{operation}")
    return found


def _capabilities(name: str, definition: Located) -> dict[str, Located]:
    """Capabilities: ``name: {type: …}`` or ``name: type``."""
    found = {}
    listed = _part(definition, name, "capabilities").mapping(f"capabilities of {name}")
    for key, value in listed.items():
        what = f"capability {key} of {name}"
        kind = value if value.is_text else value.mapping(what).get("type", Located(""))
        kind.string(f"{what}: type")
        found[key] = kind
    return found
