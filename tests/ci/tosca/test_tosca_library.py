import pytest

from ci.documents import load
from ci.errors import EntryError
from ci.tosca.library import packages, shipped


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
