from textwrap import dedent, indent

import pytest

from ci.documents import load
from ci.errors import EntryError
from ci.tosca.expansion import expanded
from ci.tosca.graph import execution_plan, operation_order
from ci.tosca.model import Topology
from ci.tosca.reader import read_topology

RUN = "[{call_operation: Runnable.run}]"


def read(workflows: str) -> Topology:
    nodes = "\n".join(
        f"    {n}: {{type: hpcwaas.nodes.StageOut, properties: {{source: x, name: {n}}}}}"
        for n in "ABCD"
    )
    text = "tosca_definitions_version: alien_dsl_3_0_0\ntopology_template:\n  node_templates:\n"
    text += f"{nodes}\n  workflows:\n" + indent(dedent(workflows), "    ")
    return read_topology(load(text, "t.yaml"))


def order(topology: Topology) -> list[tuple[str, tuple[str, ...]]]:
    return operation_order(topology, topology.workflows["exec_job"])


def test_the_steps_of_the_other_workflow_come_between() -> None:
    topology = read(f"""
        exec_job:
          steps:
            first: {{target: D, activities: {RUN}, on_success: [middle]}}
            middle: {{activities: [{{inline: both}}], on_success: [last]}}
            last: {{target: A, activities: {RUN}}}
        both:
          steps:
            b: {{target: B, activities: {RUN}}}
            c: {{target: C, activities: {RUN}}}
    """)
    assert order(topology) == [("D", ()), ("B", ("D",)), ("C", ("D",)), ("A", ("B", "C"))]
    assert [operation.id for operation in execution_plan(topology)] == ["D", "B", "C", "A"]


def test_several_workflows_of_one_step_run_one_after_the_other() -> None:
    topology = read(f"""
        exec_job:
          steps:
            all: {{activities: [{{inline: b}}, {{inline: {{workflow: c}}}}]}}
        b: {{steps: {{x: {{target: B, activities: {RUN}}}}}}}
        c: {{steps: {{x: {{target: A, activities: {RUN}}}}}}}
    """)
    assert order(topology) == [("B", ()), ("A", ("B",))]


@pytest.mark.parametrize(
    ("workflows", "message"),
    [
        ("exec_job: {steps: {a: {activities: [{inline: exec_job}]}}}", "runs itself"),
        (
            "exec_job: {steps: {a: {activities: [{inline: b}]}}}\n"
            "b: {steps: {a: {activities: [{inline: exec_job}]}}}",
            "runs itself",
        ),
        ("exec_job: {steps: {a: {activities: [{inline: nope}]}}}", "no workflow 'nope'"),
        ("exec_job: {steps: {a: {target: A, activities: [{delegate: install}]}}}", "delegate"),
        (
            "exec_job: {steps: {a: {activities: [{inline: w0}]}}}\n"
            + "\n".join(
                f"w{n}: {{steps: {{a: {{activities: [{{inline: w{n + 1}}}]}},"
                f" b: {{activities: [{{inline: w{n + 1}}}]}}}}}}"
                for n in range(25)
            )
            + "\nw25: {steps: {}}",
            "more than",
        ),
    ],
)
def test_what_cannot_be_expanded_is_told_with_its_place(workflows: str, message: str) -> None:
    with pytest.raises(EntryError, match=message) as caught:
        order(read(workflows))
    assert caught.value.line > 0


def test_a_workflow_without_others_stays_as_it_is() -> None:
    topology = read(f"exec_job: {{steps: {{a: {{target: A, activities: {RUN}}}}}}}")
    assert expanded(topology, topology.workflows["exec_job"]) is topology.workflows["exec_job"]
