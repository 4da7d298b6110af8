from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.documents import load
from ci.errors import EntryError
from ci.tosca.graph import execution_plan, steps_of_images
from ci.tosca.library import library_of
from ci.tosca.reader import DIALECTS, is_topology, read_topology

WORDS = st.sampled_from(
    [
        "type: x",
        "type: [x]",
        "a:",
        "node_templates:",
        "topology_template:",
        "workflows:",
        "steps:",
        "inputs:",
        "node_types:",
        "derived_from: a",
        "properties:",
        "requirements:",
        "- a",
        "- a: b",
        "target: a",
        "activities:",
        "- set_state: x",
        "on_success: [a]",
        "required: 1",
        "default: {get_input: a}",
        "tosca_definitions_version: alien_dsl_3_0_0",
    ]
)


@given(lines=st.lists(st.tuples(st.integers(0, 6), WORDS), max_size=14))
def test_any_document_is_a_topology_or_an_entry_error(lines: list[tuple[int, str]]) -> None:
    text = "tosca_definitions_version: alien_dsl_3_0_0\ntopology_template:\n"
    text += "\n".join("  " * indent + word for indent, word in lines)
    try:
        found = read_topology(load(text, "t.yaml"))
        library = library_of(found)
        for node in found.nodes.values():
            if library.has_node_type(node.type):
                library.node_type(node.type)
        steps_of_images(found)
        execution_plan(found)
    except EntryError as error:
        assert str(error)  # noqa: PT017 either way is right


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_is_read(topology, topology_text: str, dialect: str) -> None:
    assert topology(topology_text, ("alien_dsl_3_0_0", dialect)).dialect == dialect


def test_reads_names_inputs_nodes_and_workflows(topology, topology_text: str) -> None:
    found = topology(topology_text)
    assert (found.name, found.version, found.main_workflow) == ("Demo", "1.0.0", "exec_job")
    assert [i.text for i in found.imports] == [
        "imagecreation.ansible:1.3.0",
        "dls.ansible:1.4.0",
        "hpcwaas:1.0.0",
    ]
    assert found.inputs["debug"].required is False
    job = found.nodes["Job"]
    assert [(r.name, r.node) for r in job.requirements] == [
        ("img_transfer", "Transfer"),
        ("dependency", "Fetch"),
    ]
    steps = found.workflows["exec_job"].steps
    assert [f.text for f in steps["fetch"].on_success] == ["job_submitting"]
    assert (steps["job_submitting"].runs, steps["job_submit"].runs) == (False, True)


@pytest.mark.parametrize(
    ("old", "new", "message", "line"),
    [
        ("alien_dsl_3_0_0", "alien_dsl_9", "unknown dialect", 1),
        ("tosca_definitions_version: alien_dsl_3_0_0\n", "", "is missing", 1),
        ("      type: hpcwaas.nodes.StageOut\n", "", "node Keep has no type", 36),
        ("on_success: [keep]", "on_sucess: [keep]", "unknown key 'on_sucess'", 59),
        ("{set_state: submitting}", "{set_stat: submitting}", "unknown key", 50),
        ("required: true}", "required: 1}", "true or false", 42),
        ("      steps:\n", "      steps: 3\n      stps:\n", "must be a mapping", 43),
        ("        - dependency: Fetch\n", "        - Fetch\n", "must be a mapping", 35),
    ],
)
def test_a_wrong_shape_is_told_with_its_line(
    topology, topology_text: str, old: str, new: str, message: str, line: int
) -> None:
    with pytest.raises(EntryError, match=message) as caught:
        topology(topology_text, (old, new))
    assert (caught.value.path, caught.value.line) == ("demo/tosca/topology.yaml", line)


def test_inputs_and_types_beside_a_topology_are_no_topologies() -> None:
    assert not is_topology(load("dls_api_url: x", "inputs.yml"))
    assert not is_topology(load("- topology_template", "list.yml"))
    assert is_topology(load("topology_template: {}", "t.yml"))


def test_the_main_workflow_is_exec_job_or_the_only_one_that_runs(
    topology, topology_text: str
) -> None:
    assert topology(topology_text, ("exec_job:", "go:")).main_workflow == "go"
    nothing = topology(topology_text, ("call_operation:", "set_state:"), ("exec_job:", "go:"))
    assert nothing.main_workflow == ""


def test_imports_of_the_simple_profile_are_read() -> None:
    text = """
        tosca_definitions_version: tosca_simple_yaml_1_3
        imports: [a.yaml, {file: b.yaml}, {name: {file: c.yaml}}]
        topology_template: {}
    """
    found = read_topology(load(dedent(text), "t.yaml"))
    assert [i.text for i in found.imports] == ["a.yaml", "b.yaml", "c.yaml"]


def test_too_many_steps_are_refused() -> None:
    steps = "".join(f"        s{n}: {{target: A}}\n" for n in range(2001))
    text = (
        "tosca_definitions_version: alien_dsl_3_0_0\ntopology_template:\n  workflows:\n"
        f"    w:\n      steps:\n{steps}"
    )
    with pytest.raises(EntryError, match="more than 2000 steps"):
        read_topology(load(text, "t.yaml"))
