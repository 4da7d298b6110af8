"""Workflows as they are published: what a deployed version says, read from its commit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ci.registry import Registry, Workflow
from ci.tosca.graph import execution_plan, steps_of_images, workflow_of
from ci.tosca.inputs import check_inputs
from hooks.db.tables import Deployment
from hooks.executions.plan import Task, tasks
from hooks.forges.seams import Forge
from hooks.registries import Registries
from hooks.tokens import Caller

WORKFLOW = "exec_job"


class PublishedWorkflows:
    """Reads deployed versions straight from the forge's commits."""

    def __init__(self, forges: Mapping[str, Forge], registries: Registries) -> None:
        self._forges, self._registries = forges, registries

    def plan_execution(
        self, deployment: Deployment, inputs: Mapping[str, Any]
    ) -> tuple[list[Task], dict[str, Any]]:
        """The tasks of an execution and its complete inputs. Raises ``EntryError``."""
        topology = self._workflow(deployment).topology
        complete = check_inputs(workflow_of(topology, WORKFLOW), inputs)
        operations = execution_plan(topology, WORKFLOW, complete)
        images = deployment.manifest.get("steps", {})
        return tasks(operations, steps_of_images(topology), images), complete

    def may_run(self, deployment: Deployment, caller: Caller) -> bool:
        """Whether the workflow's settings, at the deployed commit, let this caller run it."""
        if caller.role == "operator":
            return True
        allowed = self._workflow(deployment).settings.may_run
        return not allowed or "everyone" in allowed or caller.user in allowed

    def _workflow(self, deployment: Deployment) -> Workflow:
        commit = deployment.active or deployment.commit
        pair, workflow = self._registries.split(deployment.workflow)
        tree = self._forges[pair.workflows].fetch(commit).tree(commit)
        return Registry(tree).workflow(workflow)
