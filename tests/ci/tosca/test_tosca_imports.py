"""Types of the registry: found by name or path, used by topologies, and judged."""

from collections.abc import Callable

import pytest

from ci.registry import Registry
from ci.tosca.graph import execution_plan
from ci.tosca.imports import problem_of
from ci.tosca.library import library_of, with_imports

SOLVERS = """
tosca_definitions_version: alien_dsl_3_0_0
metadata: {template_name: solvers, template_version: 1.0.0}
imports: [base.yaml]
node_types:
  solvers.nodes.Solver:
    derived_from: solvers.nodes.Base
    properties: {tolerance: {type: float, default: 0.1}}
"""
BASE = "node_types: {solvers.nodes.Base: {derived_from: org.alien4cloud.nodes.Job}}"
TOPOLOGY = """
tosca_definitions_version: alien_dsl_3_0_0
imports: [%s]
topology_template:
  node_templates: {S: {type: solvers.nodes.Solver}}
  workflows:
    exec_job: {steps: {s: {target: S, activities: [{call_operation: Runnable.run}]}}}
"""


@pytest.fixture
def registry(tree) -> Callable[..., Registry]:
    def read(imported: str, **files: str) -> Registry:
        there = {"wf/tosca/topology.yaml": TOPOLOGY % imported, "types/solvers.yaml": SOLVERS}
        return Registry(tree(there | {"types/base.yaml": BASE} | files))

    return read


def test_a_package_of_the_registry_is_imported_by_name(registry) -> None:
    for version in ("1.0.0", "2.0.0"):
        topology = registry(f"'solvers:{version}'").topology("wf/tosca/topology.yaml")
        assert topology.has_all_types
        assert library_of(topology).node_type("solvers.nodes.Solver").runnable
        (operation,) = execution_plan(topology)
        assert operation.properties == {"tolerance": 0.1}


def test_a_document_of_types_is_imported_by_path(registry) -> None:
    topology = registry("../../types/solvers.yaml").topology("wf/tosca/topology.yaml")
    assert [t.path for t in topology.types] == ["types/base.yaml", "types/solvers.yaml"]
    assert topology.has_all_types


def test_the_version_that_is_named_is_taken(registry) -> None:
    newer = SOLVERS.replace("1.0.0", "2.0.0").replace("0.1", "0.2")
    found = registry("'solvers:1.0.0'", **{"types/solvers-2.yaml": newer})
    assert found.types["solvers"] == [
        ("2.0.0", "types/solvers-2.yaml"),
        ("1.0.0", "types/solvers.yaml"),
    ]
    (operation,) = execution_plan(found.topology("wf/tosca/topology.yaml"))
    assert operation.properties == {"tolerance": 0.1}


def test_what_is_imported_in_a_circle_is_read_once(registry) -> None:
    circle = {"types/base.yaml": f"imports: [solvers.yaml]\n{BASE}"}
    topology = registry("'solvers:1.0.0'", **circle).topology("wf/tosca/topology.yaml")
    assert len(topology.types) == 2


def test_imports_of_nothing_are_told(registry) -> None:
    for text, message, hint in (
        ("'solver:1.0.0'", "no package 'solver'", "did you mean 'solvers'"),
        ("solvers", "has no version", "solvers:<version>"),
        ("solvers: 1.0.0", "no file of the registry", "write solvers:1.0.0"),
        ("'https://example.org/t.yaml'", "no file", "nothing is fetched"),
        ("../../../etc/passwd", "no file", "nothing is fetched"),
        ("types.yaml", "no file 'wf/tosca/types.yaml'", "nothing is fetched"),
    ):
        found = registry(text)
        topology = found.topology("wf/tosca/topology.yaml")
        assert not topology.has_all_types
        (given,) = topology.missing
        told = problem_of(given, topology.path, found)
        assert message in told[0]
        assert hint in told[1]


def test_a_document_that_cannot_be_read_is_told_where_it_stands(registry) -> None:
    for text in ("node_types: {", "[]", "imports: 3"):
        broken = registry("'solvers:1.0.0'", **{"types/base.yaml": text})
        topology = broken.topology("wf/tosca/topology.yaml")
        assert topology.missing == ()
        assert not topology.has_all_types


def test_packages_bring_what_they_import() -> None:
    assert with_imports("dls.ansible") >= {"dls.ansible", "eflows4hpc.env", "alien-base-types"}
