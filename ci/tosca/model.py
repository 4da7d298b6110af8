"""What a topology says, as values. Places stay with every name, for messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar, cast

from ci.located import Located

T = TypeVar("T")

RUNNABLE = "tosca.interfaces.node.lifecycle.Runnable"
# short names of interfaces (Simple Profile 1.3, 5.8)
INTERFACES = {
    "Standard": "tosca.interfaces.node.lifecycle.Standard",
    "Runnable": RUNNABLE,
    "Configure": "tosca.interfaces.relationship.Configure",
}


class StepName(NamedTuple):
    """A step of the registry: the workflow's folder, and the step's in it."""

    workflow: str
    step: str


@dataclass(frozen=True, slots=True)
class Definition:
    """An input or a property: its type, whether it must be given, and its default.

    ``entry`` defines the items of a list or map; ``constraints`` are as the document has them.
    """

    name: str
    type: str
    required: bool
    place: Located
    default: Located | None = None
    entry: Definition | None = None
    description: str = ""
    constraints: Located | None = None
    type_place: Located | None = None


@dataclass(frozen=True, slots=True)
class Requirement:
    """A node's need of another node. ``name`` is the requirement of the node's type.

    ``capability`` is the type or the name of what the other node must have.
    """

    name: str
    node: str
    place: Located
    capability: Located | None = None
    relationship: Located | None = None


@dataclass(frozen=True, slots=True)
class Import:
    """What is imported: ``<name>:<version>`` or a file; ``alias`` is its name in the list."""

    place: Located
    alias: str = ""

    @property
    def text(self) -> str:
        """What is imported, as it is written."""
        return self.place.text


@dataclass(frozen=True, slots=True)
class NodeTemplate:
    """A node; ``place`` is its name, ``type_place`` its type, ``given`` its properties."""

    name: str
    type: str
    place: Located
    type_place: Located
    given: Located = field(default_factory=lambda: Located({}))
    requirements: tuple[Requirement, ...] = ()
    unmatched: frozenset[str] = frozenset()  # requirements that name no node

    @property
    def properties(self) -> Mapping[str, Located]:
        """The properties by name."""
        return self.given.mapping("properties")

    def needed(self, requirement: str) -> list[Requirement]:
        """The requirements of this name."""
        return [r for r in self.requirements if r.name == requirement]


@dataclass(frozen=True, slots=True)
class Activity:
    """What a workflow's step does: ``kind`` is set_state, call_operation, delegate or inline."""

    kind: str
    value: str
    place: Located


@dataclass(frozen=True, slots=True)
class WorkflowStep:
    """A step of a TOSCA workflow (not a step of the registry). ``place`` is its name."""

    name: str
    target: Located
    place: Located
    activities: tuple[Activity, ...] = ()
    on_success: tuple[Located, ...] = ()
    on_failure: tuple[Located, ...] = ()
    on_relationship: bool = False  # acts on a relationship of its target

    @property
    def needs_target(self) -> bool:
        """Whether it acts on a node; to inline a workflow needs none."""
        return not self.activities or any(a.kind != "inline" for a in self.activities)

    @property
    def runs(self) -> bool:
        """Whether it runs or submits its target."""
        operations = {f"{RUNNABLE}.run", f"{RUNNABLE}.submit"}
        return any(a.kind == "call_operation" and a.value in operations for a in self.activities)


@dataclass(frozen=True, slots=True)
class ToscaWorkflow:
    """A workflow of a topology: inputs by name, and steps."""

    name: str
    place: Located
    inputs: Mapping[str, Definition] = field(default_factory=dict)
    steps: Mapping[str, WorkflowStep] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Topology:
    """One service template with a ``topology_template``.

    ``types`` are the documents of types that it imports from files of the registry; ``memo`` keeps
    what was worked out from all this once.
    """

    path: str
    dialect: str
    document: Located
    name: str = ""
    version: str = ""
    description: str = ""
    imports: tuple[Import, ...] = ()
    inputs: Mapping[str, Definition] = field(default_factory=dict)
    nodes: Mapping[str, NodeTemplate] = field(default_factory=dict)
    workflows: Mapping[str, ToscaWorkflow] = field(default_factory=dict)
    outputs: Mapping[str, Located] = field(default_factory=dict)  # name to value
    relationships: frozenset[str] = frozenset()  # names of relationship templates
    types: tuple[Located, ...] = ()
    missing: tuple[Import, ...] = ()  # imports that name nothing there is
    has_all_types: bool = True  # what it imports is there and could be read
    memo: dict[str, object] = field(default_factory=dict, init=False, compare=False, repr=False)

    def kept(self, key: str, work_out: Callable[[], T]) -> T:
        """What ``work_out`` gave the first time."""
        if key not in self.memo:
            self.memo[key] = work_out()
        return cast("T", self.memo[key])  # a key belongs to one function

    def steps(self) -> Iterator[tuple[ToscaWorkflow, WorkflowStep]]:
        """Every step of every workflow."""
        for workflow in self.workflows.values():
            for step in workflow.steps.values():
                yield workflow, step

    @property
    def main_workflow(self) -> str:
        """The workflow that an execution runs: ``exec_job``, else the only one that runs a node.

        Empty if there is none, or no telling which.
        """
        return self.kept("main workflow", self._main_workflow)

    def _main_workflow(self) -> str:
        if "exec_job" in self.workflows:
            return "exec_job"
        running = [w.name for w in self.workflows.values() if any(s.runs for s in w.steps.values())]
        return running[0] if len(running) == 1 else ""
