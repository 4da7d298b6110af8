"""Rules on the values of a topology: properties of its nodes, and what its inputs may be."""

from __future__ import annotations

from collections.abc import Iterator

from ci.findings import Finding, Severity
from ci.rules.base import TopologyOf, TopologyRule
from ci.rules.topologies import is_public, typed
from ci.tosca.constraints import Limits
from ci.tosca.functions import call_of
from ci.tosca.library import library_of
from ci.tosca.model import Definition, NodeTemplate, Topology
from ci.tosca.type_library import Library, NodeType
from ci.tosca.type_problems import definition_problems
from ci.tosca.values import Problem, problems

_TEXTS = frozenset({"string", "timestamp", "version", "integer", "float", "boolean"})
Found = tuple[NodeTemplate, NodeType, Problem]


def problems_of(topology: Topology) -> list[Found]:
    """What is wrong with the properties of all nodes, worked out once for all rules."""
    return topology.kept("problems", lambda: list(_problems_of(topology)))


def _problems_of(topology: Topology) -> Iterator[Found]:
    library, limits = library_of(topology), Limits()
    for node, kind in typed(topology):
        what = f"node {node.name}"
        for problem in problems(node.given, kind.properties, library, node.place, what, limits):
            yield node, kind, problem


class _ValueRule(TopologyRule):
    """A rule on properties; ``kind`` is that of the problems it tells."""

    kind = ""

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Compare nodes with their types."""
        for _, _, problem in problems_of(subject.topology):
            if problem.kind == self.kind:
                yield self.at(problem.place, problem.message, problem.hint)


class MissingProperty(_ValueRule):
    """Every property that a type requires, and that has no default, is given."""

    id = "topology/missing-property"
    kind = "missing"


class WrongPropertyType(_ValueRule):
    """The value of a property has the type that is declared for it.

    A size is a number and a unit (``10 MB``), a time and a frequency too (``90 s``, ``2.5 GHz``).
    """

    id = "topology/wrong-type"
    kind = "type"


class BrokenConstraint(_ValueRule):
    """A value keeps to the constraints of its property: a range, a pattern, one of some values.

    A deployment would be refused with it, after the waiting.
    """

    id = "topology/broken-constraint"
    kind = "constraint"


class UnknownProperty(TopologyRule):
    """A node has only properties that its type has: a mistyped one would be left out silently."""

    id = "topology/unknown-property"

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Compare nodes with their types."""
        for _, kind, problem in problems_of(subject.topology):
            if problem.kind == "unknown":
                level = Severity.WARNING if is_public(kind.name) else Severity.ERROR
                yield self.at(problem.place, problem.message, problem.hint, level)


class InputOfAnotherType(TopologyRule):
    """An input that ``get_input`` reads has a type that the property can take.

    A list is no text, and a mapping is no number. What can be converted (a number to text, text
    that may hold a number) is not told.
    """

    id = "topology/input-of-another-type"
    severity = Severity.WARNING

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Compare the types of inputs and properties."""
        topology = subject.topology
        library = library_of(topology)
        for _, _, problem in problems_of(topology):
            call = call_of(problem.place) if problem.kind == "call" else None
            if call is None or call[0] != "get_input" or call[1].is_list:
                continue
            given = topology.inputs.get(call[1].text)
            if given is not None and not _fits(given.type, problem.hint, library):
                message = f"{problem.message} is of type {problem.hint}"
                message += f", but input {given.name} of type {given.type}"
                yield self.at(call[1], message, f"declare the input with type: {problem.hint}")


def _fits(given: str, wanted: str, library: Library) -> bool:
    shapes = [_shape(kind, library) for kind in (given, wanted)]
    if "" in shapes or shapes[0] == shapes[1]:
        return True
    return set(shapes) <= _TEXTS and {"boolean", "integer"} != set(shapes)


def _shape(kind: str, library: Library) -> str:
    """What matters of a type: a simple type, ``mapping``, or empty if it cannot be told."""
    data = library.usable_data(kind)
    if data is not None:
        kind = data.base or "map"
    return kind if kind in _TEXTS or kind in {"list", "map"} else ""


class InvalidInput(TopologyRule):
    """An input has a type that is known, constraints that can be read, and a default that fits.

    That goes for the inputs of the topology and of each of its workflows. A default that breaks
    the input's own constraint would be refused each time that nobody gives another value.
    """

    id = "topology/invalid-input"

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Judge each definition by itself."""
        topology = subject.topology
        library, limits = library_of(topology), Limits()
        for definition in _inputs(topology):
            what = f"input {definition.name[:100]}"
            for problem in definition_problems(definition, library, what, limits):
                yield self.at(problem.place, problem.message, problem.hint)


def _inputs(topology: Topology) -> Iterator[Definition]:
    yield from topology.inputs.values()
    for workflow in topology.workflows.values():
        yield from workflow.inputs.values()


RULES = (
    MissingProperty,
    UnknownProperty,
    WrongPropertyType,
    BrokenConstraint,
    InputOfAnotherType,
    InvalidInput,
)
