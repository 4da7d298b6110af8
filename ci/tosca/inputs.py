"""The inputs of an execution, checked against what the workflow declares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ci.errors import EntryError
from ci.located import nearest
from ci.tosca.model import Definition, ToscaWorkflow
from ci.tosca.type_library import Library
from ci.tosca.values import coerced, complete

_NO_TYPES = Library()


def check_inputs(
    workflow: ToscaWorkflow, inputs: Mapping[str, Any], library: Library = _NO_TYPES
) -> dict[str, Any]:
    """The value of every declared input, of its type; an optional one without a value is None.

    Text becomes what the type asks for, since a command line only has text. Raises ``EntryError``
    for unknown inputs, missing ones, values of a wrong type (``library`` has the data types) and
    such as break a constraint, each time naming what there is.
    """
    for name in inputs:
        if name not in workflow.inputs:
            hint = f"{nearest(name, workflow.inputs)}; {_overview(workflow)}"
            raise EntryError(f"there is no input {name!r}", hint=hint)
    missing = [d.name for d in workflow.inputs.values() if _is_missing(d, inputs)]
    if missing:
        raise EntryError(f"missing inputs: {', '.join(missing)}", hint=_overview(workflow))
    return {n: _value(definition, inputs, library) for n, definition in workflow.inputs.items()}


def _is_missing(definition: Definition, inputs: Mapping[str, Any]) -> bool:
    given = inputs.get(definition.name)
    return definition.required and definition.default is None and given is None


def _value(definition: Definition, inputs: Mapping[str, Any], library: Library) -> Any:
    what = f"input {definition.name!r}"
    value = inputs.get(definition.name)
    if value is not None:
        return complete(value, definition, library, what)
    value = definition.default.plain() if definition.default else None
    return None if value is None else coerced(value, definition.type, what)


def _overview(workflow: ToscaWorkflow) -> str:
    if not workflow.inputs:
        return f"workflow {workflow.name} takes no inputs"
    listed = (
        f"{d.name} ({d.type}{'' if d.required and d.default is None else ', optional'})"
        for d in workflow.inputs.values()
    )
    return f"workflow {workflow.name} takes {', '.join(listed)}"
