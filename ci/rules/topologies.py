"""Rules on a topology by itself: types, properties, references and the order of steps."""

from __future__ import annotations

from collections.abc import Iterator

from ci.errors import EntryError
from ci.findings import Finding, Severity
from ci.located import nearest
from ci.rules.base import TopologyOf, TopologyRule
from ci.tosca.functions import references
from ci.tosca.graph import operation_order
from ci.tosca.library import library_of, shipped
from ci.tosca.model import NodeTemplate, Topology
from ci.tosca.type_library import NodeType
from ci.tosca.values import Problem, problems


class UnknownType(TopologyRule):
    """Every node has a type that is known: of a package that is imported by name, or of this file.

    A type that is not known has no meaning, so nothing could be run for its node.
    """

    id = "topology/unknown-type"

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Look every type up."""
        library = library_of(subject.topology)
        for node in subject.topology.nodes.values():
            if not library.has_node_type(node.type):
                hint = nearest(node.type, library.node_types)
                yield self.at(node.type_place, f"unknown node type {node.type!r}", hint)


class MissingProperty(TopologyRule):
    """Every property that a type requires, and that has no default, is given."""

    id = "topology/missing-property"

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Compare nodes with their types."""
        for problem in _problems(subject.topology, "missing"):
            yield self.at(problem.place, problem.message, problem.hint)


class UnknownProperty(TopologyRule):
    """A node has only properties that its type has: a mistyped one would be left out silently."""

    id = "topology/unknown-property"

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Compare nodes with their types."""
        for node, kind in _typed(subject.topology):
            # the public packages may know more than their documentation tells
            ours = kind.name.startswith("hpcwaas.") or not shipped().has_node_type(kind.name)
            level = Severity.ERROR if ours else Severity.WARNING
            for problem in _problems_of(subject.topology, node, kind):
                if problem.kind == "unknown":
                    yield self.at(problem.place, problem.message, problem.hint, level)


class WrongPropertyType(TopologyRule):
    """The value of a property has the type that is declared for it."""

    id = "topology/wrong-type"

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Compare values with their types."""
        for problem in _problems(subject.topology, "type"):
            yield self.at(problem.place, problem.message, problem.hint)


class UnknownInput(TopologyRule):
    """``get_input`` names an input of the topology."""

    id = "topology/unknown-input"

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Look every name up."""
        declared = subject.topology.inputs
        for node in subject.topology.nodes.values():
            for value in node.properties.values():
                for found in references(value):
                    if found.kind == "get_input" and found.name not in declared:
                        message = f"the topology has no input {found.name!r}"
                        yield self.at(found.place, message, nearest(found.name, declared))


class UnknownWorkflowInput(TopologyRule):
    """``${name}`` names an input of the workflow that runs, so that users can give it.

    Judged for the nodes that the main workflow runs (``exec_job``, or the only one that runs
    anything).
    """

    id = "topology/unknown-workflow-input"

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Look every name up."""
        topology = subject.topology
        workflow = topology.workflows.get(topology.main_workflow)
        if workflow is None:
            return
        running = {step.target.text for step in workflow.steps.values()}
        nodes = [node for node in topology.nodes.values() if node.name in running]
        for value in (value for node in nodes for value in node.properties.values()):
            for found in references(value):
                if found.kind == "workflow input" and found.name not in workflow.inputs:
                    message = f"workflow {workflow.name} has no input {found.name!r}"
                    yield self.at(found.place, message, nearest(found.name, workflow.inputs))


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
        for node, kind in _typed(subject.topology):
            for need in node.requirements:
                if need.name not in kind.requirements:
                    message = f"{kind.name} has no requirement {need.name!r}"
                    yield self.at(need.place, message, nearest(need.name, kind.requirements))


class UnknownTarget(TopologyRule):
    """A workflow's step acts on a node of the topology."""

    id = "topology/unknown-target"

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Look every target up."""
        nodes = subject.topology.nodes
        for workflow in subject.topology.workflows.values():
            for step in workflow.steps.values():
                if step.target.text not in nodes:
                    message = f"step {step.name}: there is no node {step.target.text!r}"
                    yield self.at(step.target, message, nearest(step.target.text, nodes))


class UnknownStep(TopologyRule):
    """``on_success`` and ``on_failure`` name steps of the same workflow."""

    id = "topology/unknown-step"

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Look every name up."""
        for workflow in subject.topology.workflows.values():
            for step in workflow.steps.values():
                for follower in (*step.on_success, *step.on_failure):
                    if follower.text not in workflow.steps:
                        message = f"workflow {workflow.name} has no step {follower.text!r}"
                        yield self.at(follower, message, nearest(follower.text, workflow.steps))


class UnknownOperation(TopologyRule):
    """``call_operation`` names an operation that the type of the step's node has."""

    id = "topology/unknown-operation"

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Look every operation up."""
        kinds = {node.name: kind for node, kind in _typed(subject.topology)}
        for workflow in subject.topology.workflows.values():
            for step in (s for s in workflow.steps.values() if s.target.text in kinds):
                kind = kinds[step.target.text]
                for activity in (a for a in step.activities if a.kind == "call_operation"):
                    if activity.value not in kind.operations:
                        message = f"{kind.name} has no operation {activity.value!r}"
                        hint = nearest(activity.value, kind.operations)
                        yield self.at(activity.place, message, hint)


class NoOrder(TopologyRule):
    """The steps of the main workflow have an order: nothing waits for itself.

    Steps of one node may follow each other as they like, but two nodes must not take turns.
    """

    id = "topology/cycle"

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Sort the steps as an execution would; what other rules find is left to them."""
        topology = subject.topology
        workflow = topology.workflows.get(topology.main_workflow)
        if workflow is None or _has_unknown_names(topology):
            return
        try:
            operation_order(topology, workflow)
        except EntryError as error:
            yield Finding.of(error, self.id, self.severity)


class NothingRuns(TopologyRule):
    """A topology has a workflow that runs its nodes: ``exec_job``, or the only one that does."""

    id = "topology/nothing-runs"
    severity = Severity.WARNING

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Look for the main workflow."""
        topology = subject.topology
        workflow = topology.workflows.get(topology.main_workflow)
        if workflow is None or not any(step.runs for step in workflow.steps.values()):
            hint = "add a workflow exec_job whose steps call Runnable.submit and Runnable.run"
            yield self.on(topology.path, "no workflow says what an execution runs", hint)


def _has_unknown_names(topology: Topology) -> bool:
    return any(
        step.target.text not in topology.nodes
        or any(f.text not in workflow.steps for f in (*step.on_success, *step.on_failure))
        for workflow in topology.workflows.values()
        for step in workflow.steps.values()
    )


def _typed(topology: Topology) -> Iterator[tuple[NodeTemplate, NodeType]]:
    library = library_of(topology)
    for node in topology.nodes.values():
        if library.has_node_type(node.type):
            yield node, library.node_type(node.type)


def _problems(topology: Topology, kind: str) -> Iterator[Problem]:
    for node, known in _typed(topology):
        for problem in _problems_of(topology, node, known):
            if problem.kind == kind:
                yield problem


def _problems_of(topology: Topology, node: NodeTemplate, kind: NodeType) -> Iterator[Problem]:
    what = f"node {node.name}"
    library = library_of(topology)
    return problems(node.given, kind.properties, library, node.place, what)


RULES = (
    UnknownType,
    MissingProperty,
    UnknownProperty,
    WrongPropertyType,
    UnknownInput,
    UnknownWorkflowInput,
    UnknownNode,
    UnknownRequirement,
    UnknownTarget,
    UnknownStep,
    UnknownOperation,
    NoOrder,
    NothingRuns,
)
