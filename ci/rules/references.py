"""Rules on what the values of a topology refer to: inputs, nodes, properties."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from ci.findings import Finding, Severity
from ci.located import Located, nearest
from ci.rules.base import TopologyOf, TopologyRule
from ci.rules.topologies import is_public, typed
from ci.tosca.calls import malformed, unknown, values_of
from ci.tosca.functions import has_references, is_call, references
from ci.tosca.model import NodeTemplate, Topology, ToscaWorkflow
from ci.tosca.type_library import NodeType

_NAMED = "input_name_for_"
_VARIABLE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)", re.ASCII)
# inputs that the public types read without saying so
_LOGIN = frozenset({"user_id", "vault_id"})
_IMPLICIT = {
    "dls.ansible.": _LOGIN | {"image_id", "image_target_path"},
    "pycomps.ansible.": _LOGIN
    | {"num_nodes", "target_path", "source_path", "compss_module_version"},
}
# its jobs have every input of the workflow in their environment
_READS_ALL = "org.eflows4hpc.pycompss.plugin."


class UnknownInput(TopologyRule):
    """``get_input`` names an input of the topology."""

    id = "topology/unknown-input"

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Look every name up."""
        declared = subject.topology.inputs
        for _, value in values_of(subject.topology):
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
        workflow = _main(subject.topology)
        if workflow is None:
            return
        for node in _running(subject.topology, workflow):
            for found in (f for value in node.properties.values() for f in references(value)):
                if found.kind == "workflow input" and found.name not in workflow.inputs:
                    message = f"workflow {workflow.name} has no input {found.name!r}"
                    yield self.at(found.place, message, nearest(found.name, workflow.inputs))


class UndeclaredInput(TopologyRule):
    """An input that a node is told to read by name (``input_name_for_…``) is declared.

    The types of the Data Logistics Service take a path or an identifier from the input of the
    workflow with the name that ``input_name_for_…`` gives, and else from the property itself.
    Where there is neither, the transfer has nothing to do its work with.
    """

    id = "topology/undeclared-input"
    severity = Severity.WARNING

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Look the names up that a node gives itself, for the nodes that the main workflow runs."""
        workflow = _main(subject.topology)
        if workflow is None:
            return
        for node in _running(subject.topology, workflow):
            for key, value in node.properties.items():
                if not key.startswith(_NAMED) or is_call(value) or has_references(value):
                    continue
                plain = key.removeprefix(_NAMED)
                if value.text and value.text not in workflow.inputs and _is_unset(node, plain):
                    message = f"workflow {workflow.name} has no input {value.text!r}"
                    message += f", and node {node.name} sets no {plain}"
                    meant = nearest(value.text, workflow.inputs)
                    hint = meant if meant.startswith("did") else "declare it, or set the property"
                    yield self.at(value, message, hint)


def _is_unset(node: NodeTemplate, key: str) -> bool:
    """Whether a node leaves a property out; who logs in is known from elsewhere too."""
    aliases = {"login": "user_id"}
    value = node.properties.get(aliases.get(key, key))
    return key not in {"login", "vault_id"} and (value is None or value.value in (None, ""))


class UnusedInput(TopologyRule):
    """An input of the main workflow is used by a node that it runs.

    Users would be asked for a value that changes nothing: most likely its name is misspelt where
    it is used. Used is what appears as ``${name}``, in ``get_input``, as the value of an
    ``input_name_for_…``, or is read by a public type without saying so (``user_id``, …). Where a
    job of ``org.eflows4hpc.pycompss.plugin`` runs nothing is said, for it has every input in its
    environment.
    """

    id = "topology/unused-input"
    severity = Severity.WARNING

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Collect the names that are used."""
        topology = subject.topology
        workflow = _main(topology)
        if workflow is None or not workflow.inputs or not topology.has_all_types:
            return
        nodes = _running(topology, workflow)
        kinds = {node.name: kind for node, kind in typed(topology)}
        if any(node.name not in kinds or node.type.startswith(_READS_ALL) for node in nodes):
            return
        used = {name for node in nodes for name in _used(node, kinds[node.name])} | _LOGIN
        if any(name not in workflow.inputs for node in nodes for name in _asked(node)):
            return  # the name is misspelt there: another rule's finding
        for name, definition in workflow.inputs.items():
            if name not in used and "_PyCOMPSs_" not in f"_{name}":
                message = f"input {name!r} of workflow {workflow.name} is used by nothing"
                yield self.at(definition.place, message, f"write ${{{name}}} where it is needed")


def _asked(node: NodeTemplate) -> set[str]:
    found = (f for value in node.properties.values() for f in references(value))
    return {reference.name for reference in found if reference.kind == "workflow input"}


def _used(node: NodeTemplate, kind: NodeType) -> Iterator[str]:
    for prefix, names in _IMPLICIT.items():
        if any(ancestor.startswith(prefix) for ancestor in kind.ancestors):
            yield from names
    for key, definition in kind.properties.items():
        given = node.properties.get(key, definition.default)
        if key.startswith(_NAMED) and given is not None:
            yield given.text
    for value in node.properties.values():
        yield from (found.name for found in references(value))
        for item in value.walk():
            if item.is_text:
                yield from _variables(item.value)


@lru_cache(maxsize=64)
def _variables(text: str) -> frozenset[str]:
    """What stands after a ``$``; kept, since one long text may be in a document many times."""
    return frozenset(_VARIABLE.findall(text)) if "$" in text else frozenset()


class TwoValues(TopologyRule):
    """The number of nodes that a job asks for is the default of the input ``num_nodes``.

    Where a workflow has an input ``num_nodes``, Yorc takes it, with its default, and not the
    number in the job's own properties; this service takes the job's. With two different numbers
    the same topology runs on a different number of nodes here and there.
    """

    id = "topology/two-values"
    severity = Severity.WARNING

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Compare the two numbers, for the jobs that the main workflow runs."""
        topology = subject.topology
        workflow = _main(topology)
        given = workflow.inputs.get("num_nodes") if workflow is not None else None
        if workflow is None or given is None or given.default is None:
            return
        for node in _running(topology, workflow):
            value = _number_of_nodes(node)
            if value is not None and value.text != given.default.text:
                message = f"num_nodes is {value.text} here, but the default of input num_nodes"
                message += f" is {given.default.text}"
                yield self.at(value, message, "write the same number, or ${num_nodes}")


def _number_of_nodes(node: NodeTemplate) -> Located | None:
    """``num_nodes`` of a PyCOMPSs job, if it is written out."""
    if not node.type.startswith((_READS_ALL, "pycomps.ansible.")):
        return None
    holder = node.properties.get("submission_params", node.given)
    value = holder.value.get("num_nodes") if holder.is_mapping else None
    return value if value is not None and type(value.value) is int else None


class InvalidCall(TopologyRule):
    """A function has the arguments that it takes, such as ``get_property: [node, property]``.

    What functions there are, and what they take, is in section 4 of TOSCA Simple Profile 1.3;
    ``get_secret`` takes ``[path, data=key]``.
    """

    id = "topology/invalid-call"

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Look at each call."""
        for _, value in values_of(subject.topology):
            for problem in malformed(value):
                yield self.at(problem.place, problem.message)


class UnknownReference(TopologyRule):
    """``get_property`` and ``get_attribute`` name a node of the topology, and what it has.

    ``SELF`` is the node itself, ``HOST`` the one that it is hosted on.
    """

    id = "topology/unknown-reference"

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Look the names up."""
        topology = subject.topology
        for node, value in values_of(topology):
            for problem in unknown(value, node, topology):
                level = Severity.WARNING if is_public(problem.kind) else Severity.ERROR
                yield self.at(problem.place, problem.message, problem.hint, level)


def _main(topology: Topology) -> ToscaWorkflow | None:
    return topology.workflows.get(topology.main_workflow)


def _running(topology: Topology, workflow: ToscaWorkflow) -> list[NodeTemplate]:
    """The nodes that steps of a workflow act on, with those of workflows that it inlines."""
    todo, seen, targets = [workflow.name], {workflow.name}, set()
    while todo:
        for step in topology.workflows[todo.pop()].steps.values():
            targets.add(step.target.text)
            inlined = {a.value for a in step.activities if a.kind == "inline"}
            new = inlined & topology.workflows.keys() - seen
            seen |= new
            todo += new
    return [node for node in topology.nodes.values() if node.name in targets]


RULES = (
    UnknownInput,
    UnknownWorkflowInput,
    UndeclaredInput,
    UnusedInput,
    TwoValues,
    InvalidCall,
    UnknownReference,
)
