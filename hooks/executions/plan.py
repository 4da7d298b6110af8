"""From a topology's operations to the tasks of an execution. Pure.

Image creation and transfer happened when the workflow was deployed, so only the nodes that act at
run time become tasks; what waited for the others waits for what those waited for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any

from ci.errors import EntryError
from ci.tosca.graph import Operation

JOB, STAGE_IN, STAGE_OUT = "job", "stage-in", "stage-out"
KINDS = {
    "hpcwaas.nodes.ContainerJob": JOB,
    "hpcwaas.nodes.StageIn": STAGE_IN,
    "hpcwaas.nodes.StageOut": STAGE_OUT,
}
AT_DEPLOYMENT = {
    "imagecreation.ansible.nodes.ImageCreation",
    "dls.ansible.nodes.DLSDAGImageTransfer",
    "eflows4hpc.env.nodes.AbstractEnvironment",
}


@dataclass(frozen=True, slots=True)
class Task:
    """One thing that an execution does; ``values`` depend on ``kind`` (job, stage-in, stage-out).

    job: ``step``, ``image`` (path at the site), ``command``, ``arguments``, ``environment``,
    ``resources``, ``mpi``. stage-in: ``source``, ``target``. stage-out: ``source``, ``name``.
    """

    id: str
    kind: str
    depends_on: tuple[str, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self) | {"depends_on": list(self.depends_on)}


def tasks(
    operations: Iterable[Operation],
    image_steps: Mapping[str, tuple[str, str]],
    images: Mapping[str, Mapping[str, Any]],
) -> list[Task]:
    """The tasks, in order.

    ``image_steps`` names the (workflow, step) whose image a job node runs; ``images`` is the
    deployment's record of each step's image (``image``, its path). Raises ``EntryError``, with
    the node, for what this service cannot run.
    """
    found: list[Task] = []
    stands_for: dict[str, tuple[str, ...]] = {}
    for operation in operations:
        before = tuple(
            dict.fromkeys(d for name in operation.depends_on for d in stands_for.get(name, ()))
        )
        if operation.type in AT_DEPLOYMENT:
            stands_for[operation.id] = before
            continue
        kind = KINDS.get(operation.type)
        if kind is None:
            raise EntryError(
                f"node {operation.node}: this service does not run {operation.type}",
                hint=f"types that it runs: {', '.join(sorted(KINDS))}",
            )
        values = _job(operation, image_steps, images) if kind == JOB else _move(operation, kind)
        found.append(Task(operation.node, kind, before, values))
        stands_for[operation.id] = (operation.node,)
    return found


def _job(
    operation: Operation,
    image_steps: Mapping[str, tuple[str, str]],
    images: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    if operation.node not in image_steps:
        raise EntryError(f"job {operation.node} has no image", hint="add its img_transfer node")
    _workflow, step = image_steps[operation.node]
    if step not in images:
        raise EntryError(f"job {operation.node}: no image of step {step!r} is deployed")
    application = dict(operation.properties.get("application") or {})
    resources = dict(operation.properties.get("submission_params") or {})
    command = str(application.get("command", ""))
    if not command:
        raise EntryError(f"job {operation.node} has no command")
    return {
        "step": step,
        "image": str(images[step]["image"]),
        "command": command,
        "arguments": [str(a) for a in application.get("arguments") or []],
        "environment": {str(k): str(v) for k, v in (application.get("environment") or {}).items()},
        "mpi": bool(resources.pop("mpi", False)),
        "resources": resources,
    }


def _move(operation: Operation, kind: str) -> dict[str, Any]:
    names = ("source", "target") if kind == STAGE_IN else ("source", "name")
    values = {name: str(operation.properties.get(name) or "") for name in names}
    remote = ("http://", "https://", "registry:")
    inside = {n: v for n, v in values.items() if n != "name" and not v.startswith(remote)}
    for name, value in inside.items():
        path = PurePosixPath(value)
        if not value or path.is_absolute() or ".." in path.parts:
            raise EntryError(
                f"node {operation.node}: {name} {value!r} must be a path inside the "
                "working folder of the execution"
            )
    return values
