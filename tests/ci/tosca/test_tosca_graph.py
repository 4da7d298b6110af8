import time

import pytest

from ci.documents import load
from ci.errors import EntryError
from ci.tosca.graph import execution_plan, operation_order, steps_of_images, workflow_of
from ci.tosca.reader import read_topology

RUN = "activities: [{call_operation: tosca.interfaces.node.lifecycle.Runnable.run}]"


def ordered(edges: str, nodes: str = "ABCD") -> list[tuple[str, tuple[str, ...]]]:
    """The order of nodes A, B, … whose steps a, b, … follow each other as in "a>b b>c"."""
    after: dict[str, list[str]] = {}
    for edge in edges.split():
        first, second = edge.split(">")
        after.setdefault(first, []).append(second)
        after.setdefault(second, [])
    steps = "".join(
        f"        {name}: {{target: {name[0].upper()}, on_success: {followers}, "
        f"{RUN if name.islower() else 'activities: []'}}}\n".replace("'", "")
        for name, followers in after.items()
    )
    text = (
        "tosca_definitions_version: alien_dsl_3_0_0\ntopology_template:\n  node_templates:\n"
        + "".join(f"    {node}: {{type: org.alien4cloud.nodes.Job}}\n" for node in nodes)
        + f"  workflows:\n    exec_job:\n      steps:\n{steps}"
    )
    topology = read_topology(load(text, "t.yaml"))
    return operation_order(topology, topology.workflows["exec_job"])


def test_steps_of_a_node_are_one_operation(topology, topology_text: str) -> None:
    plan = execution_plan(topology(topology_text), inputs={"size": 3})
    assert [(o.id, o.type.rpartition(".")[2], o.depends_on) for o in plan] == [
        ("Fetch", "StageIn", ()),
        ("Job", "ContainerJob", ("Fetch",)),
        ("Keep", "StageOut", ("Job",)),
    ]
    job = plan[1].properties
    assert job["application"]["arguments"] == ["--size", "3", "0.10"]
    assert job["submission_params"]["num_nodes"] == 2
    assert job["submission_params"]["tasks"] == 1


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        ("a>b b>c", [("A", ()), ("B", ("A",)), ("C", ("B",))]),
        ("d>a", [("D", ()), ("A", ("D",))]),
        ("a>c b>c c>d", [("A", ()), ("B", ()), ("C", ("A", "B")), ("D", ("C",))]),
        ("a>b a>c b>d c>d", [("A", ()), ("B", ("A",)), ("C", ("A",)), ("D", ("B", "C"))]),
        ("a>BSET BSET>c", [("A", ()), ("C", ("A",))]),  # B is never run: passed through
        ("a1>a2 a2>b", [("A", ()), ("B", ("A",))]),
    ],
)
def test_the_order_comes_from_on_success(edges: str, expected: list[object]) -> None:
    assert ordered(edges) == expected


@pytest.mark.parametrize("edges", ["a>b b>a", "a>b b>c c>a", "a>a", "a1>b b>a2", "A1>A1 a>b"])
def test_a_cycle_is_an_entry_error_with_a_place(edges: str) -> None:
    with pytest.raises(EntryError, match="wait for each other") as caught:
        ordered(edges)
    assert caught.value.line > 0


def test_a_long_chain_is_sorted_quickly() -> None:
    nodes = [f"N{n}" for n in range(1500)]
    steps = "".join(
        f"        s{n}: {{target: N{n}, on_success: [{f's{n + 1}' if n < 1499 else ''}], {RUN}}}\n"
        for n in range(1500)
    )
    text = (
        "tosca_definitions_version: alien_dsl_3_0_0\ntopology_template:\n  node_templates:\n"
        + "".join(f"    {node}: {{type: org.alien4cloud.nodes.Job}}\n" for node in nodes)
        + f"  workflows:\n    exec_job:\n      steps:\n{steps}"
    )
    topology = read_topology(load(text, "t.yaml"))
    begin = time.monotonic()
    plan = operation_order(topology, topology.workflows["exec_job"])
    assert [name for name, _ in plan] == nodes
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("target: Job\n", "target: Jbo\n", "no node 'Jbo'"),
        ("on_success: [keep]", "on_success: [kep]", "no step 'kep'"),
        ("{set_state: submitting}", "{delegate: install}", "not supported"),
        ("type: hpcwaas.nodes.StageIn", "type: hpcwaas.nodes.Stage", "unknown node type"),
        ("target: mesh.txt", "taget: mesh.txt", "unknown property"),
        ("${size}", "${sizes}", "no input 'sizes'"),
        ("num_nodes: 2", "num_nodes: two", "whole number"),
    ],
)
def test_what_cannot_run_is_told_with_its_place(
    topology, topology_text: str, old: str, new: str, message: str
) -> None:
    broken = topology(topology_text, (old, new))
    with pytest.raises(EntryError, match=message) as caught:
        execution_plan(broken, inputs={"size": 3})
    assert caught.value.path == "demo/tosca/topology.yaml"
    assert caught.value.line > 0


def test_the_inputs_are_checked(topology, topology_text: str) -> None:
    with pytest.raises(EntryError, match="missing inputs: size"):
        execution_plan(topology(topology_text))


def test_a_workflow_is_found_by_name(topology, topology_text: str) -> None:
    other = topology(topology_text, ("exec_job:", "go:"))
    assert workflow_of(other, "exec_job").name == "go"
    with pytest.raises(EntryError, match="no workflow 'went'"):
        workflow_of(other, "went")


def test_the_step_behind_a_jobs_image_is_found(topology, topology_text: str) -> None:
    assert steps_of_images(topology(topology_text)) == {"Job": ("demo", "simulate")}
    found = topology(topology_text, ("node: Image}", "node: Fetch}"))
    assert steps_of_images(found) == {}


def test_an_image_may_be_named_by_an_input(topology, topology_text: str) -> None:
    changed = topology(
        topology_text,
        ("step_id: simulate", "step_id: {get_input: step}"),
        ("    debug: {type", "    step: {type: string, default: simulate}\n    debug: {type"),
    )
    assert steps_of_images(changed) == {"Job": ("demo", "simulate")}


def test_inputs_of_the_topology_can_be_given(topology, topology_text: str) -> None:
    changed = topology(topology_text, ("target: mesh.txt", "target: {get_input: debug}"))
    plan = execution_plan(changed, inputs={"size": 3}, topology_inputs={"debug": True})
    assert plan[0].properties["target"] == "true"
