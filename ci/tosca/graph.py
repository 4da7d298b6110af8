"""What runs, in which order: from a workflow's steps to the operations of its nodes.

A TOSCA workflow spells every state of every node out as a step; what an execution does is one
operation per node: those whose ``Runnable`` interface is called. The order comes from
``on_success`` alone, as TOSCA has it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any

from ci.errors import EntryError
from ci.located import nearest
from ci.tosca.expansion import expanded
from ci.tosca.functions import Scope
from ci.tosca.inputs import check_inputs
from ci.tosca.library import library_of
from ci.tosca.model import NodeTemplate, StepName, Topology, ToscaWorkflow
from ci.tosca.type_library import Library
from ci.tosca.values import completed

IMAGE_CREATION = "imagecreation.ansible.nodes.ImageCreation"
IMAGE_TRANSFER = "dls.ansible.nodes.DLSDAGImageTransfer"
IMAGE_REQUIREMENT = "img_transfer"


@dataclass(frozen=True, slots=True)
class Operation:
    """One node's turn. ``id`` is the node's name; ``properties`` are plain, with defaults.

    ``depends_on`` holds the ids that must have succeeded before.
    """

    id: str
    node: str
    type: str
    properties: Mapping[str, Any] = field(default_factory=dict)
    depends_on: tuple[str, ...] = ()


def execution_plan(
    topology: Topology,
    workflow_name: str = "exec_job",
    inputs: Mapping[str, Any] | None = None,
    *,
    topology_inputs: Mapping[str, Any] | None = None,
) -> list[Operation]:
    """The operations of a workflow in a stable order, each after those it depends on.

    ``inputs`` are those of the workflow (checked here), ``topology_inputs`` those of the topology
    where they differ from its defaults. Raises ``EntryError``: no such workflow, wrong inputs, a
    cycle, a step without a node, an unknown type, a value that cannot be resolved.
    """
    workflow = workflow_of(topology, workflow_name)
    library = library_of(topology)
    given = check_inputs(workflow, inputs or {}, library)
    scope = Scope(topology, given, topology_inputs or {})
    return [
        Operation(
            id=name,
            node=name,
            type=topology.nodes[name].type,
            properties=_properties(topology.nodes[name], scope, library),
            depends_on=before,
        )
        for name, before in operation_order(topology, workflow)
    ]


def workflow_of(topology: Topology, name: str) -> ToscaWorkflow:
    """A workflow by name; ``exec_job`` also finds the main workflow if it is called otherwise."""
    wanted = topology.main_workflow if name == "exec_job" else name
    if wanted not in topology.workflows:
        raise EntryError(
            f"the topology has no workflow {name!r}",
            path=topology.path,
            hint=nearest(name, topology.workflows),
        )
    return topology.workflows[wanted]


def operation_order(
    topology: Topology, workflow: ToscaWorkflow
) -> list[tuple[str, tuple[str, ...]]]:
    """Nodes that the workflow runs, in a stable order, and what each waits for directly.

    Raises ``EntryError``: a name that is not known, a cycle, an activity that cannot be run.
    """
    workflow = expanded(topology, workflow)
    _check_steps(topology, workflow)
    steps = check_acyclic(workflow)
    acting = {step.target.text for step in workflow.steps.values() if step.runs}
    nodes = [name for name in topology.nodes if name in acting]
    later = _later(workflow, steps, nodes)
    order = _sorted(workflow, later, nodes)
    waits: dict[str, list[str]] = {name: [] for name in order}
    for before in order:
        for name in later[before]:
            waits[name].append(before)
    return [(name, tuple(waits[name])) for name in order]


def check_acyclic(workflow: ToscaWorkflow, *, failures: bool = False) -> list[str]:
    """The steps, each after those that lead to it, by ``on_failure`` too if that is asked.

    Raises ``EntryError`` if steps wait for each other.
    """
    follows = {
        name: {f.text for f in (*step.on_success, *(step.on_failure if failures else ()))}
        for name, step in workflow.steps.items()
    }
    return _sorted(workflow, follows, list(workflow.steps))


def steps_of_images(topology: Topology) -> dict[str, StepName]:
    """For each node that needs an image, the step whose image it is: (workflow, step).

    The way: the node's ``img_transfer`` requirement, the transfer's requirement of an
    ImageCreation, and that one's ``workflow`` and ``step_id``. Nodes without it are left out.
    """
    scope = Scope(topology, {})
    found = {}
    for node in topology.nodes.values():
        creation = image_creation_of(topology, node)
        if creation is not None and {"workflow", "step_id"} <= creation.properties.keys():
            values = [
                scope.resolve(creation.properties[key], creation.name)
                for key in ("workflow", "step_id")
            ]
            found[node.name] = StepName(str(values[0]), str(values[1]))
    return found


def image_creation_of(topology: Topology, node: NodeTemplate) -> NodeTemplate | None:
    """The ImageCreation node behind a node's ``img_transfer`` requirement, if there is one."""
    for need in node.needed(IMAGE_REQUIREMENT):
        transfer = topology.nodes.get(need.node)
        for inner in transfer.requirements if transfer else ():
            creation = topology.nodes.get(inner.node)
            if creation is not None and creation.type == IMAGE_CREATION:
                return creation
    return None


def _properties(node: NodeTemplate, scope: Scope, library: Library) -> dict[str, Any]:
    values = {name: scope.resolve(value, node.name) for name, value in node.properties.items()}
    try:
        kind = library.node_type(node.type)
        return completed(values, kind.properties, library, f"node {node.name}")
    except EntryError as error:
        raise (
            error if error.path else node.type_place.error(error.message, hint=error.hint)
        ) from None


def _check_steps(topology: Topology, workflow: ToscaWorkflow) -> None:
    for step in workflow.steps.values():
        if step.target.text not in topology.nodes and (step.target.text or step.activities):
            hint = nearest(step.target.text, topology.nodes)
            message = f"step {step.name}: there is no node {step.target.text!r}"
            raise step.target.error(message, hint=hint)
        for follower in (*step.on_success, *step.on_failure):
            if follower.text not in workflow.steps:
                hint = nearest(follower.text, workflow.steps)
                raise follower.error(f"there is no step {follower.text!r}", hint=hint)
        for activity in step.activities:
            if activity.kind == "delegate":
                raise activity.place.error(
                    f"step {step.name}: delegate is not supported in {workflow.name}",
                    hint="write the steps out, or inline a workflow",
                )


def _later(
    workflow: ToscaWorkflow, steps: Sequence[str], nodes: Sequence[str]
) -> dict[str, set[str]]:
    """For each acting node, those whose steps come next after its own; ``steps`` are in order.

    Nodes are bits of whole numbers, and each step is looked at once: however many ways lead
    through the steps between two nodes, this takes little time.
    """
    bits = {name: 1 << number for number, name in enumerate(nodes)}
    reached: dict[str, int] = {}  # by the step
    found = dict.fromkeys(nodes, 0)  # by the node
    for name in reversed(steps):
        step = workflow.steps[name]
        reached[name] = 0
        for follower in step.on_success:
            target = workflow.steps[follower.text].target.text
            reached[name] |= bits.get(target) or reached[follower.text]
        if step.target.text in bits:
            found[step.target.text] |= reached[name]
    return {name: set(_names(mask & ~bits[name], nodes)) for name, mask in found.items()}


def _names(mask: int, nodes: Sequence[str]) -> Iterator[str]:
    while mask:
        lowest = mask & -mask
        yield nodes[lowest.bit_length() - 1]
        mask ^= lowest


def _sorted(
    workflow: ToscaWorkflow, later: Mapping[str, set[str]], names: Sequence[str]
) -> list[str]:
    """Sort so that each comes before those in its ``later``; otherwise as ``names`` has them."""
    position = {name: number for number, name in enumerate(names)}
    waits = Counter(follower for followers in later.values() for follower in followers)
    ready = [position[name] for name in names if not waits[name]]
    order: list[str] = []
    while ready:
        name = names[heappop(ready)]
        order.append(name)
        for follower in later[name]:
            waits[follower] -= 1
            if not waits[follower]:
                heappush(ready, position[follower])
    if len(order) < len(names):
        left = [name for name in names if name not in set(order)]
        place = workflow.steps[left[0]].place if left[0] in workflow.steps else workflow.place
        raise place.error(
            f"workflow {workflow.name}: these wait for each other: {', '.join(left[:5])}",
            hint="on_success must not lead back to where it came from",
        )
    return order
