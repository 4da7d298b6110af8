from typing import Any

import pytest

from ci.documents import load
from ci.errors import EntryError
from ci.tosca.inputs import check_inputs
from ci.tosca.model import ToscaWorkflow
from ci.tosca.reader import read_topology

TEXT = """\
tosca_definitions_version: alien_dsl_3_0_0
topology_template:
  workflows:
    exec_job:
      inputs:
        size: {type: integer, required: true}
        steps: {type: integer, required: true, default: 10}
        note: {type: string, required: false}
        fast: {type: boolean, required: false, default: false}
"""


@pytest.fixture
def workflow() -> ToscaWorkflow:
    return read_topology(load(TEXT, "t.yaml")).workflows["exec_job"]


def test_text_is_coerced_and_defaults_are_filled_in(workflow: ToscaWorkflow) -> None:
    assert check_inputs(workflow, {"size": "5", "fast": "true"}) == {
        "size": 5,
        "steps": 10,
        "note": None,
        "fast": True,
    }


def test_checking_twice_changes_nothing(workflow: ToscaWorkflow) -> None:
    once = check_inputs(workflow, {"size": 5})
    assert check_inputs(workflow, once) == once


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "missing inputs: size"),
        ({"size": None}, "missing inputs: size"),
        ({"size": 1, "stps": 2}, "did you mean 'steps'"),
        ({"size": "large"}, "'size' must be a whole number"),
        ({"size": 1, "fast": "perhaps"}, "'fast' must be true or false"),
    ],
)
def test_a_mistake_names_the_right_inputs(
    workflow: ToscaWorkflow, inputs: dict[str, Any], message: str
) -> None:
    with pytest.raises(EntryError) as caught:
        check_inputs(workflow, inputs)
    assert message in str(caught.value)


def test_the_overview_says_what_is_optional(workflow: ToscaWorkflow) -> None:
    with pytest.raises(EntryError) as caught:
        check_inputs(workflow, {})
    assert "size (integer), steps (integer, optional)" in caught.value.hint
