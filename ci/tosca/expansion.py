"""Workflows that run others: ``inline`` is replaced by the steps of the workflow it names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from ci.located import Located, nearest
from ci.tosca.model import Topology, ToscaWorkflow, WorkflowStep

_MOST = 10_000  # steps of a workflow with those of others
_DEEPEST = 30  # workflows inside each other
_LONGEST = 2000  # characters of a step's name with those it is inside


def expanded(topology: Topology, workflow: ToscaWorkflow) -> ToscaWorkflow:
    """The workflow with the steps of those it inlines, as ``<step>/<step of the other>``.

    A step that inlines keeps its place in the order: what follows it follows the last steps of
    the other. Raises ``EntryError``: there is no such workflow, one runs itself, too many steps.
    """
    if not any(_inlined(step) for step in workflow.steps.values()):
        return workflow
    return replace(workflow, steps=_Expansion(topology).steps(workflow, "", (), ()))


def _inlined(step: WorkflowStep) -> list[Located]:
    return [activity.place for activity in step.activities if activity.kind == "inline"]


@dataclass(slots=True)
class _Expansion:
    topology: Topology
    found: dict[str, WorkflowStep] = field(default_factory=dict)

    def steps(
        self,
        workflow: ToscaWorkflow,
        prefix: str,
        after: tuple[Located, ...],
        running: tuple[str, ...],
    ) -> Mapping[str, WorkflowStep]:
        """Add the steps of a workflow; its last ones lead on to ``after``."""
        running = (*running, workflow.name)
        for name, step in workflow.steps.items():
            follows = tuple(_named(place, prefix) for place in step.on_success) or after
            failing = tuple(_named(place, prefix) for place in step.on_failure)
            added = replace(step, name=prefix + name, on_success=follows, on_failure=failing)
            self.found[prefix + name] = added
            if len(self.found) > _MOST:
                raise step.place.error(f"more than {_MOST} steps with those of other workflows")
            self._inline(added, running, follows)
        return self.found

    def _inline(
        self, step: WorkflowStep, running: tuple[str, ...], after: tuple[Located, ...]
    ) -> None:
        for place in reversed(_inlined(step)):
            inner = self.topology.workflows.get(place.text)
            if inner is None:
                hint = nearest(place.text, self.topology.workflows)
                raise place.error(f"there is no workflow {place.text!r}", hint=hint)
            if inner.name in running:
                raise place.error(f"workflow {place.text} runs itself")
            prefix = f"{step.name}/{place.text}/"
            if len(running) > _DEEPEST or len(prefix) > _LONGEST:
                raise place.error(f"more than {_DEEPEST} workflows inside each other")
            self.steps(inner, prefix, after, running)
            after = tuple(_named(first, prefix) for first in _entries(inner)) or after
        if _inlined(step):
            rest = tuple(a for a in step.activities if a.kind != "inline")
            nowhere = Located("", step.place.path, step.place.line, step.place.column)
            target = step.target if rest else nowhere
            self.found[step.name] = replace(step, activities=rest, on_success=after, target=target)


def _entries(workflow: ToscaWorkflow) -> Iterator[Located]:
    """The steps that nothing leads to."""
    later = {f.text for s in workflow.steps.values() for f in (*s.on_success, *s.on_failure)}
    return (step.place for name, step in workflow.steps.items() if name not in later)


def _named(place: Located, prefix: str) -> Located:
    name = prefix + place.text
    return replace(place, value=name, text=name) if prefix else place
