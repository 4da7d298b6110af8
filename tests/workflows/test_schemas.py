"""The schemas that editors use say what the readers of the service say."""

import json

import pytest
import yaml
from jsonschema import Draft202012Validator
from seeds import REGISTRY

from ci.documents import load
from ci.errors import EntryError
from ci.software.environment import read_environment
from ci.tosca.reader import read_topology
from ci.validation_settings import read_validation_settings
from ci.workflow_settings import read_workflow_settings

READERS = {
    "waas": lambda text: read_workflow_settings(text.encode(), "wf/waas.yaml"),
    "eflows4hpc": lambda text: read_environment({"eflows4hpc.yaml": text.encode()}, "wf/step"),
    "topology": lambda text: read_topology(load(text, "wf/tosca/topology.yaml")),
    "validation": lambda text: read_validation_settings(
        text.encode(), "validation.yaml", {"workflow/no-maintainers": True}
    ),
}
DIALECT = "tosca_definitions_version: tosca_simple_yaml_1_3\n"
STEPS = DIALECT + "topology_template: {workflows: {w: {steps: {s: %s}}}}"
NODES = DIALECT + "topology_template: {node_templates: {n: %s}}"
GOOD = {
    "waas": [
        "title: Word count\nmaintainers: [ada, {name: Bob, email: bob@example.org}]",
        "sites: [alpha, beta]\nmay_run: [alice]",
        "smoke_test: {inputs: {n: 1}, time_limit: '00:05:00'}",
        "images: {s: {test: [{import: six}, {import: [a, b.c]}]}, t: {test: }, u: }",
        "images: {s: {test: [{run: [mpirun, -n, 2, '']}, {version: [x], contains: 3.11}]}}",
    ],
    "eflows4hpc": [
        "apt: [python3, g++, libc6=2.36-9]",
        "pip: ['numpy==2.2.6', 'a[b]>=1; python_version < \"4\"']",
        f"pip: ['six==1.17.0 --hash=sha256:{64 * 'a'}']",
        "spack: {specs: [gromacs@2024.2 +mpi]}\neasybuild: [mpi4py-3.1.6-gompi-2023a.eb]",
        "apt:",
        "",
    ],
    "topology": [
        DIALECT,
        STEPS % "{target: n, activities: [{inline: w}, {set_state: x}], on_success: [t]}",
        NODES % "{type: a.b, properties: {c: 1}, requirements: [{host: m}]}",
        DIALECT + "topology_template: {inputs: {a: string, b: {type: integer, required: false}}}",
    ],
    "validation": ["disabled: {workflow/no-maintainers: no need}", "disabled:", ""],
}
BAD = {
    "waas": [
        "titel: x",
        "title: [x]",
        "sites: alpha",
        "sites: [a, a]",
        "sites: ['../x']",
        "maintainers: [{email: a@b}]",
        "smoke_test: {time_limit: '5 minutes'}",
        "images: [s]",
        "images: {s: {tests: []}}",
        "images: {s: {test: [{}]}}",
        "images: {s: {test: [{import: 'a b'}]}}",
        "images: {s: {test: [{import: a, contains: b}]}}",
        "images: {s: {test: [{run: x}]}}",
        "images: {s: {test: [{run: [-x]}]}}",
        "images: {s: {test: [{version: [x]}]}}",
        "images: {s: {test: [{run: [x], version: [x], contains: y}]}}",
    ],
    "eflows4hpc": [
        "apk: [x]",
        "apt: python3",
        "apt: [Python3!]",
        "pip: [--index-url=x]",
        "pip: ['a @ https://example.org/a.whl']",
        "spack: {view: true}",
        "easybuild: [app.txt]",
    ],
    "topology": [
        "topology_template: {}",
        "tosca_definitions_version: tosca_simple_yaml_2_0",
        STEPS % "{on_succes: [x]}",
        STEPS % "{activities: [{call: x}]}",
        NODES % "{properties: {}}",
        NODES % "{type: a, properties: [x]}",
        NODES % "{type: a, requirements: {x: y}}",
        DIALECT + "topology_template: {inputs: {a: {required: maybe}}}",
    ],
    "validation": [
        "on: {}",
        "disabled: [workflow/no-maintainers]",
        "disabled: {workflow/no-maintainers: }",
        "disabled: {workflow/no-maintainers: ' '}",
        "disabled: {No rule: x}",
    ],
}


def schema(kind: str) -> Draft202012Validator:
    document = json.loads((REGISTRY / "schemas" / f"{kind}.schema.json").read_text())
    Draft202012Validator.check_schema(document)
    return Draft202012Validator(document)


@pytest.mark.parametrize(("kind", "text"), [(k, t) for k, texts in GOOD.items() for t in texts])
def test_both_take_what_is_right(kind, text):
    schema(kind).validate(yaml.safe_load(text))
    READERS[kind](text)


@pytest.mark.parametrize(("kind", "text"), [(k, t) for k, texts in BAD.items() for t in texts])
def test_both_refuse_what_is_wrong(kind, text):
    assert not schema(kind).is_valid(yaml.safe_load(text))
    with pytest.raises(EntryError):
        READERS[kind](text)


FILES = [p for kind in READERS for p in sorted(REGISTRY.glob(f"**/{kind}.y*ml"))]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(REGISTRY)))
def test_files_of_the_registry_name_their_schema_and_fit_it(path):
    text = path.read_text()
    named = text.splitlines()[0].removeprefix("# yaml-language-server: $schema=")
    assert (path.parent / named).resolve() == REGISTRY / "schemas" / f"{path.stem}.schema.json"
    schema(path.stem).validate(yaml.safe_load(text))
