from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.documents import load
from ci.errors import EntryError
from ci.tosca.imports import identity
from ci.tosca.library import documents, packages, shipped
from ci.tosca.scalars import SIMPLE
from ci.tosca.type_library import SECTIONS
from ci.tosca.type_problems import type_problems
from ci.tosca.values import completed


def test_every_shipped_type_can_be_read() -> None:
    library = shipped()
    for name in library.node_types:
        kind = library.node_type(name)
        assert kind.ancestors[-1] == "tosca.nodes.Root"
        for definition in kind.properties.values():
            assert library.has_data_type(definition.type)


def test_every_package_of_the_public_topologies_is_shipped() -> None:
    assert {
        "alien-base-types",
        "dls.ansible",
        "eflows4hpc.env",
        "hpcwaas",
        "imagecreation.ansible",
        "org.eflows4hpc.pycompss.plugin",
        "pycomps.ansible",
        "tosca-normative-types",
        "yorc-types",
    } <= packages()


def test_a_type_inherits_and_overrides() -> None:
    kind = shipped().node_type("dls.ansible.nodes.DLSDAGImageTransfer")
    assert kind.properties["run_in_standard_mode"].default.value is True
    assert kind.properties["debug"].default.value is False
    assert kind.requirements >= {"environment", "dependency"}
    assert kind.runnable


def test_a_type_that_is_not_known_comes_with_the_one_that_was_meant() -> None:
    with pytest.raises(EntryError, match="ContainerJob"):
        shipped().node_type("hpcwaas.nodes.ContanerJob")


def test_a_topology_may_define_types() -> None:
    text = "node_types:\n  my.Job:\n    derived_from: org.alien4cloud.nodes.Job\n"
    library = shipped().extended([load(text, "t.yaml")])
    assert library.node_type("my.Job").runnable
    assert not shipped().has_node_type("my.Job")


@pytest.mark.parametrize(
    "text",
    [
        "node_types: {A: {derived_from: B}, B: {derived_from: A}}",
        "node_types: {A: {derived_from: none}}",
        "node_types: {A: 3}",
        "node_types: {A: {properties: []}}",
        "node_types: {A: {requirements: [x]}}",
    ],
)
def test_types_that_do_not_work_are_entry_errors(text: str) -> None:
    with pytest.raises(EntryError) as caught:
        shipped().extended([load(text, "t.yaml")]).node_type("A")
    assert caught.value.path == "t.yaml"


def test_nothing_is_wrong_with_what_is_shipped() -> None:
    for document in documents().values():
        assert list(type_problems(document, shipped())) == []
        assert identity(document)[0] == document.path.removeprefix("types/").removesuffix(".yaml")


@pytest.mark.parametrize("section", SECTIONS)
def test_every_shipped_type_derives_from_a_root(section: str) -> None:
    for name in shipped().names(section):
        last = shipped().ancestors(section, name)[-1]
        assert last.endswith(".Root") or last in SIMPLE


def test_a_data_type_may_be_a_simple_one_with_constraints() -> None:
    port = shipped().data("tosca.datatypes.network.PortDef")
    assert port.base == "integer"
    assert len(port.constraints) == 1
    assert shipped().data_type("tosca.datatypes.network.PortDef") is None


def test_capabilities_and_requirements_are_inherited() -> None:
    kind = shipped().node_type("eflows4hpc.env.nodes.AbstractEnvironment")
    assert kind.capabilities.keys() == {"feature", "exec_env"}
    assert kind.needs["dependency"].at_least == 0
    assert "cluster_login_host" in kind.attributes
    assert shipped().derives(
        "capability_types",
        "eflows4hpc.env.capabilities.ExecutionEnvironment",
        "tosca.capabilities.Node",
    )


WORDS = st.sampled_from(
    [
        "node_types:",
        "data_types:",
        "A:",
        "B: {derived_from: A}",
        "derived_from: B",
        "derived_from: integer",
        "properties:",
        "p: {type: A, default: {}}",
        "q: {type: list, entry_schema: {type: B}, default: [{}]}",
        "constraints: [{in_range: [1, 2]}]",
        "constraints: {pattern: 3}",
        "requirements: [{host: {capability: A, occurrences: [0, 1]}}]",
        "capabilities: {c: A}",
        "capability_types: {A: {derived_from: A}}",
        "interfaces: {Standard: {create: }}",
        "- x",
    ]
)


@given(lines=st.lists(st.tuples(st.integers(0, 3), WORDS), max_size=12))
def test_any_document_of_types_has_problems_or_not(lines: list[tuple[int, str]]) -> None:
    try:
        document = load("\n".join("  " * indent + word for indent, word in lines), "t.yaml")
    except EntryError:
        return
    library = shipped().extended([document])
    for problem in type_problems(document, library):
        assert problem.place.path == "t.yaml"
    for name in ("A", "B"):
        library.usable_node_type(name)
        data = library.usable_data(name)
        if data is not None:
            with suppress(EntryError):
                completed({}, data.fields, library, "x")


def test_a_data_type_that_holds_itself_has_an_end() -> None:
    text = "data_types: {A: {properties: {a: {type: A, default: {}}, b: {type: A, default: {}}}}}"
    library = shipped().extended([load(text, "t.yaml")])
    with pytest.raises(EntryError, match="have no end"):
        completed({}, library.data_type("A"), library, "x")
