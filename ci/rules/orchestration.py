"""Rules on the workflows of a topology: their steps, and what these do."""

from __future__ import annotations

from collections.abc import Iterator

from ci.findings import Finding, Severity
from ci.located import nearest
from ci.rules.base import TopologyOf, TopologyRule
from ci.rules.topologies import typed
from ci.tosca.model import Activity, Topology, WorkflowStep

# workflows of a node or topology that orchestrators have without being told
_LIFECYCLE = frozenset(
    {"install", "uninstall", "start", "stop", "restart", "run", "cancel", "deploy", "undeploy"}
    | {"create", "configure", "delete", "update", "post_update", "pre_update", "scale", "heal"}
)
_ON_RELATIONSHIP = "tosca.interfaces.relationship."


def _activities(topology: Topology, kind: str) -> Iterator[tuple[WorkflowStep, Activity]]:
    for _, step in topology.steps():
        for activity in step.activities:
            if activity.kind == kind:
                yield step, activity


class UnknownTarget(TopologyRule):
    """A workflow's step acts on a node of the topology."""

    id = "topology/unknown-target"

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Look every target up; a step that only inlines a workflow needs none."""
        nodes = subject.topology.nodes
        for _, step in subject.topology.steps():
            if step.target.text not in nodes and (step.needs_target or step.target.text):
                message = f"step {step.name}: there is no node {step.target.text!r}"
                yield self.at(step.target, message, nearest(step.target.text, nodes))


class UnknownStep(TopologyRule):
    """``on_success`` and ``on_failure`` name steps of the same workflow."""

    id = "topology/unknown-step"

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Look every name up."""
        for workflow, step in subject.topology.steps():
            for follower in (*step.on_success, *step.on_failure):
                if follower.text not in workflow.steps:
                    message = f"workflow {workflow.name} has no step {follower.text!r}"
                    yield self.at(follower, message, nearest(follower.text, workflow.steps))


class UnknownOperation(TopologyRule):
    """``call_operation`` names an operation that the type of the step's node has."""

    id = "topology/unknown-operation"

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Look every operation up; those of relationships are not judged."""
        kinds = {node.name: kind for node, kind in typed(subject.topology)}
        for step, activity in _activities(subject.topology, "call_operation"):
            kind = kinds.get(step.target.text)
            if kind is None or step.on_relationship or activity.value.startswith(_ON_RELATIONSHIP):
                continue
            if activity.value not in kind.operations:
                message = f"{kind.name} has no operation {activity.value!r}"
                yield self.at(activity.place, message, nearest(activity.value, kind.operations))


class UnknownWorkflow(TopologyRule):
    """``inline`` names a workflow of the topology; ``delegate`` one, or one that is always there
    (``install``, ``start``, …).
    """

    id = "topology/unknown-workflow"

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Look every name up."""
        workflows = subject.topology.workflows
        for kind, known in (("inline", {*workflows}), ("delegate", {*workflows, *_LIFECYCLE})):
            for _, activity in _activities(subject.topology, kind):
                if activity.value not in known:
                    level = Severity.ERROR if kind == "inline" else Severity.WARNING
                    message = f"there is no workflow {activity.value!r}"
                    yield self.at(activity.place, message, nearest(activity.value, known), level)


class DelegatedStep(TopologyRule):
    """The main workflow says itself what runs: it does not ``delegate`` to another.

    When a workflow is executed here, everything is deployed already, and only the jobs run: what
    ``install`` or ``start`` of a node would do is not known. ``inline`` of another workflow of the
    topology works.
    """

    id = "topology/delegated-step"
    severity = Severity.WARNING

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Look at the activities of the main workflow."""
        workflow = subject.topology.workflows.get(subject.topology.main_workflow)
        for step in workflow.steps.values() if workflow is not None else ():
            for activity in step.activities:
                if activity.kind == "delegate":
                    message = f"step {step.name}: an execution cannot delegate"
                    yield self.at(activity.place, message, "write the steps out, or inline them")


class EmptyStep(TopologyRule):
    """A step of a workflow does something: it has activities."""

    id = "topology/empty-step"
    severity = Severity.WARNING

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Look at each step."""
        for _, step in subject.topology.steps():
            if not step.activities:
                hint = "activities: [{set_state: …}] or [{call_operation: …}]"
                yield self.at(step.place, f"step {step.name} does nothing", hint)


RULES = (
    UnknownTarget,
    UnknownStep,
    UnknownOperation,
    UnknownWorkflow,
    DelegatedStep,
    EmptyStep,
)
