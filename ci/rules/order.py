"""Rules on what a topology runs, and in which order."""

from __future__ import annotations

from collections.abc import Iterator

from ci.errors import EntryError
from ci.findings import Finding, Severity
from ci.rules.base import TopologyOf, TopologyRule
from ci.rules.topologies import typed
from ci.tosca.expansion import expanded
from ci.tosca.graph import check_acyclic, operation_order
from ci.tosca.model import NodeTemplate, Topology, ToscaWorkflow
from ci.tosca.type_library import NodeType

_MOST_EXPANDED = 20  # workflows that are judged with those they inline; each may be large
_STANDARD_MODE = "run_in_standard_mode"


class NoOrder(TopologyRule):
    """The steps of a workflow have an order: nothing waits for itself, or runs itself.

    Steps of one node may follow each other as they like, but in the main workflow two nodes must
    not take turns. A step that ``on_failure`` leads back to is only a warning: it would try again
    without end.
    """

    id = "topology/cycle"

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Sort the steps as an execution would; what other rules find is left to them."""
        topology = subject.topology
        if _has_unknown_names(topology):
            return
        for number, workflow in enumerate(topology.workflows.values()):
            try:
                check_acyclic(workflow)
                if number < _MOST_EXPANDED or workflow.name == topology.main_workflow:
                    self._sort(topology, workflow)
            except EntryError as error:
                yield Finding.of(error, self.id, self.severity)
                return  # a workflow that inlines this one has the same
            try:
                check_acyclic(workflow, failures=True)
            except EntryError as error:
                yield Finding.of(error, self.id, Severity.WARNING)

    @staticmethod
    def _sort(topology: Topology, workflow: ToscaWorkflow) -> None:
        whole = expanded(topology, workflow)
        check_acyclic(whole)
        delegates = any(a.kind == "delegate" for s in whole.steps.values() for a in s.activities)
        if workflow.name == topology.main_workflow and not delegates:
            _order(topology, workflow)


class NothingRuns(TopologyRule):
    """A topology has a workflow that runs its nodes: ``exec_job``, or the only one that does."""

    id = "topology/nothing-runs"
    severity = Severity.WARNING

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Look for the main workflow."""
        topology = subject.topology
        workflow = topology.workflows.get(topology.main_workflow)
        if workflow is None or not _runs_something(topology, workflow):
            hint = "add a workflow exec_job whose steps call Runnable.submit and Runnable.run"
            yield self.on(topology.path, "no workflow says what an execution runs", hint)


class NeverRuns(TopologyRule):
    """A job is run by a workflow, where others are: it would be left out silently.

    Nodes that work when the topology is deployed (``run_in_standard_mode: true``, as image
    creations and transfers have it) need no workflow.
    """

    id = "topology/never-runs"
    severity = Severity.WARNING

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Compare the jobs with the targets of the steps that run something."""
        topology = subject.topology
        if _has_unknown_names(topology):
            return  # it may be meant there
        run = {step.target.text for _, step in topology.steps() if step.runs}
        for node, kind in typed(topology) if run else ():
            if kind.runnable and node.name not in run and not _works_at_deployment(node, kind):
                message = f"no workflow runs node {node.name}"
                hint = "add a step that calls Runnable.submit, and one that calls Runnable.run"
                yield self.at(node.place, message, hint)


def _works_at_deployment(node: NodeTemplate, kind: NodeType) -> bool:
    """Whether a node may work without a workflow, as far as can be told."""
    definition = kind.properties.get(_STANDARD_MODE)
    if definition is None:
        return False
    value = node.properties.get(_STANDARD_MODE, definition.default)
    return value is None or value.value is not False


class OrderAgainstRequirement(TopologyRule):
    """A node that requires another runs after it, where the main workflow runs both.

    The order of an execution comes from ``on_success`` alone: a requirement does not make a job
    wait, and one that starts before its data is there fails, or computes with old data.
    """

    id = "topology/order-against-requirement"
    severity = Severity.WARNING

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Compare requirements with the order that an execution has."""
        topology = subject.topology
        workflow = topology.workflows.get(topology.main_workflow)
        if workflow is None:
            return
        try:
            earlier = _Earlier(_order(topology, workflow))
        except EntryError:
            return  # another rule's finding
        for node in (node for node in topology.nodes.values() if node.name in earlier):
            for need in node.requirements:
                if need.node not in earlier or need.node == node.name:
                    continue
                if not earlier.runs_before(need.node, node.name):
                    message = f"{node.name} requires {need.node}"
                    message += f", but workflow {workflow.name} does not run it before"
                    hint = f"lead with on_success from the last step of {need.node} on"
                    yield self.at(need.place, message, hint)


Order = list[tuple[str, tuple[str, ...]]]


def _order(topology: Topology, workflow: ToscaWorkflow) -> Order:
    """The order of the main workflow, worked out once. Raises ``EntryError`` each time."""
    return topology.kept("order", lambda: operation_order(topology, workflow))


class _Earlier:
    """Which nodes have run before which, as bits of whole numbers: there may be thousands."""

    def __init__(self, order: Order) -> None:
        self._bits = {name: 1 << number for number, (name, _) in enumerate(order)}
        self._before: dict[str, int] = {}
        for name, direct in order:
            self._before[name] = 0
            for other in direct:
                self._before[name] |= self._bits[other] | self._before[other]

    def __contains__(self, name: str) -> bool:
        return name in self._bits

    def runs_before(self, name: str, other: str) -> bool:
        """Whether one node has run when another begins."""
        return bool(self._before[other] & self._bits[name])


def _runs_something(topology: Topology, workflow: ToscaWorkflow) -> bool:
    try:
        workflow = expanded(topology, workflow)
    except EntryError:
        return True  # another rule's finding
    return any(step.runs for step in workflow.steps.values())


def _has_unknown_names(topology: Topology) -> bool:
    return any(
        (step.target.text not in topology.nodes and (step.needs_target or step.target.text))
        or any(f.text not in workflow.steps for f in (*step.on_success, *step.on_failure))
        or any(a.kind == "inline" and a.value not in topology.workflows for a in step.activities)
        for workflow, step in topology.steps()
    )


RULES = (
    NoOrder,
    NothingRuns,
    NeverRuns,
    OrderAgainstRequirement,
)
