"""Rules on the nodes of a topology: their types, and what they need of each other."""

from __future__ import annotations

from collections.abc import Iterator

from ci.findings import Finding, Severity
from ci.located import Located, nearest
from ci.rules.base import TopologyOf, TopologyRule
from ci.tosca.library import library_of, package_of
from ci.tosca.model import NodeTemplate, Requirement, Topology
from ci.tosca.type_library import CAPABILITIES, RELATIONSHIPS, NodeType

OURS = "hpcwaas"


def typed(topology: Topology) -> Iterator[tuple[NodeTemplate, NodeType]]:
    """Every node whose type is known and right, with it."""
    library = library_of(topology)
    for node in topology.nodes.values():
        kind = library.usable_node_type(node.type)
        if kind is not None:
            yield node, kind


def is_public(node_type: str) -> bool:
    """Whether a type is of a public package, which may know more than its documentation tells."""
    return package_of(node_type) not in {"", OURS}


class UnknownType(TopologyRule):
    """Every node has a type that is known: of a package or a file that is imported, or of this
    file.

    A type that is not known has no meaning, so nothing could be run for its node.
    """

    id = "topology/unknown-type"

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Look every type up, unless an import is wrong, which is another rule's finding."""
        topology = subject.topology
        library = library_of(topology)
        for node in topology.nodes.values() if topology.has_all_types else ():
            if not library.has_node_type(node.type):
                hint = nearest(node.type, library.node_types)
                yield self.at(node.type_place, f"unknown node type {node.type!r}", hint)


class UnknownNode(TopologyRule):
    """A requirement names a node of the topology."""

    id = "topology/unknown-node"

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Look every name up."""
        nodes = subject.topology.nodes
        for need in (need for node in nodes.values() for need in node.requirements):
            if need.node not in nodes:
                hint = nearest(need.node, nodes)
                yield self.at(need.place, f"there is no node {need.node!r}", hint)


class UnknownRequirement(TopologyRule):
    """A node's requirements are those that its type has."""

    id = "topology/unknown-requirement"
    severity = Severity.WARNING

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Compare nodes with their types."""
        for node, kind in typed(subject.topology):
            for need in node.requirements:
                if need.name not in kind.requirements:
                    message = f"{kind.name} has no requirement {need.name!r}"
                    yield self.at(need.place, message, nearest(need.name, kind.requirements))


class UnmetRequirement(TopologyRule):
    """A requirement that the node's type must have is given.

    A type says with ``occurrences`` how often; without it, a requirement is given once.
    """

    id = "topology/unmet-requirement"
    severity = Severity.WARNING

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Compare nodes with their types."""
        for node, kind in typed(subject.topology):
            given = {need.name for need in node.requirements} | node.unmatched
            for name, need in kind.needs.items():
                if need.at_least and name not in given:
                    message = f"node {node.name}: requirement {name!r} is missing"
                    yield self.at(node.place, message, f"{kind.name} needs it")


class UnknownCapability(TopologyRule):
    """The node that a requirement names has the capability that is wanted of it.

    ``capability:`` is the type of one of its capabilities (or a type that this derives from), or
    the name of one. Without ``capability:`` the requirement's own type says what is wanted.
    """

    id = "topology/unknown-capability"

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Compare what is wanted with the other node's type."""
        topology = subject.topology
        kinds = {node.name: kind for node, kind in typed(topology)}
        for node in topology.nodes.values():
            for need in node.requirements:
                wanted = _wanted(need, kinds.get(node.name))
                other = kinds.get(need.node)
                if wanted and other is not None and not _has(topology, other, wanted.text):
                    yield self._finding(node, need, wanted, other)

    def _finding(
        self, node: NodeTemplate, need: Requirement, wanted: Located, other: NodeType
    ) -> Finding:
        offered = {kind.text for kind in other.capabilities.values()}
        level = Severity.WARNING if is_public(other.name) else Severity.ERROR
        message = f"node {need.node} ({other.name}) has no capability {wanted.text!r}"
        if need.capability is None:
            message += f", which requirement {need.name!r} of {node.name} wants"
        place = need.capability or need.place
        return self.at(place, message, nearest(wanted.text, [*offered, *other.capabilities]), level)


def _wanted(need: Requirement, kind: NodeType | None) -> Located | None:
    if need.capability is not None:
        return need.capability
    known = kind.needs.get(need.name) if kind is not None else None
    return known.capability if known is not None and known.capability.text else None


def _has(topology: Topology, other: NodeType, wanted: str) -> bool:
    library = library_of(topology)
    return wanted in other.capabilities or any(
        library.derives(CAPABILITIES, offered.text, wanted)
        for offered in other.capabilities.values()
    )


class UnknownRelationship(TopologyRule):
    """``relationship:`` of a requirement is a type of relationship that is known.

    It may also be the name of one of the topology's own relationship templates.
    """

    id = "topology/unknown-relationship"

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Look every type up."""
        topology = subject.topology
        library = library_of(topology)
        for need in (need for node in topology.nodes.values() for need in node.requirements):
            place = need.relationship
            if place is None or place.text in topology.relationships or not topology.has_all_types:
                continue
            if library.definition(RELATIONSHIPS, place.text) is None:
                hint = nearest(place.text, [*library.names(RELATIONSHIPS), *topology.relationships])
                yield self.at(place, f"unknown relationship {place.text!r}", hint)


RULES = (
    UnknownType,
    UnknownNode,
    UnknownRequirement,
    UnmetRequirement,
    UnknownCapability,
    UnknownRelationship,
)
