"""The schemas that editors use say what the rules on the Software Catalogue say."""

import json
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from ci.software.invocation import DIRECTIONS, TYPES
from ci.validate import validate

CATALOG = Path(__file__).parents[3] / "software-catalog"
TASK = {"type": "task"}
GOOD = [
    {"execution": {"type": "workflow"}},
    {"execution": TASK, "constraints": {"computing_units": "$KRATOS_CUS"}},
    {"execution": TASK, "parameters": {"returns": 2, "model": "IN", "rom": "DIRECTORY_IN"}},
    {"execution": TASK, "parameters": {"returns": "list", "time_out": 50, "is_replicated": True}},
    {"execution": TASK, "parameters": {"a": {"type": "FILE_IN", "prefix": "--in="}}},
    {"execution": {"type": "binary", "binary": "date", "working_dir": "/tmp"}, "prolog": None},
    {"execution": {"type": "mpi", "runner": "mpirun", "processes": 2, "points_layout": {}}},
    {"execution": {"type": "mpi", "runner": "srun", "binary": "$X", "scale_by_cu": "true"}},
    {"execution": {"type": "multinode", "computing_nodes": 2}, "constraints": {"processors": []}},
    {"execution": {"type": "compss", "appName": "a.py", "worker_in_master": "false"}},
    {"execution": {"type": "http", "service_name": "s", "resource": "r/{{a}}", "request": "GET"}},
    {
        "execution": {
            "type": "mpmd_mpi",
            "runner": "mpirun",
            "programs": [{"binary": "date", "processes": 2, "args": "-d {{a}}"}],
        }
    },
    {
        "$schema": "../../schemas/invocation.schema.json",
        "execution": {"type": "binary", "binary": "grep", "args": "{{expression}} {{folder}}"},
        "parameters": {"folder": "DIRECTORY_IN"},
        "container": {"engine": "DOCKER", "image": "debian:12", "options": "-e A=1"},
        "epilog": {"binary": "tar", "args": "czf {{out}} {{folder}}", "fail_by_exit_value": False},
    },
]
BAD = [
    {},
    [],
    {"execution": {}},
    {"execution": {"type": "function"}},
    {"type": "mpi", "properties": {"runner": "mpirun"}},
    {"execution": TASK, "constraint": {}},
    {"execution": {"type": "task", "binary": "x"}},
    {"execution": {"type": "binary"}},
    {"execution": {"type": "mpi", "runner": "mpirun", "proceses": 2}},
    {"execution": {"type": "binary", "binary": "x", "params": "-v"}},
    {"execution": {"type": "mpmd_mpi", "runner": "x", "programs": [{"args": "x"}]}},
    {"execution": {"type": "http", "resource": "r", "request": "GET"}},
    {"execution": TASK, "constraints": {"memory_size": 1.5}},
    {"execution": TASK, "constraints": []},
    {"execution": TASK, "container": {"engine": "APPTAINER", "image": "a"}},
    {"execution": TASK, "container": {"engine": "DOCKER"}},
    {"execution": TASK, "prolog": {"args": "x"}},
    {"execution": TASK, "parameters": {"a": "IN_FILE"}},
    {"execution": TASK, "parameters": {"a": {"type": "IN_FILE"}}},
    {"execution": TASK, "parameters": {"a": {"typ": "IN"}}},
    {"execution": TASK, "parameters": {"returns": 1.5}},
    {"execution": TASK, "parameters": {"returns": -1}},
]
GOOD_REPOSITORIES = [{"namespace": "a"}, {"namespace": "a.b_1", "api": "v1.0"}]
BAD_REPOSITORIES = [
    {},
    {"namespace": "1a"},
    {"namespace": "a-b"},
    {"namespace": "a", "x": 1},
    {"namespace": "a", "api": "2"},
    {"namespace": "a", "subdirectory": "pkgs"},
]


def schema(kind: str) -> Draft202012Validator:
    document = json.loads((CATALOG / "schemas" / f"{kind}.schema.json").read_text())
    Draft202012Validator.check_schema(document)
    return Draft202012Validator(document)


def findings(tree, files):
    recipes = {"packages/a/a.json": json.dumps({"execution": TASK})}
    return validate(tree(recipes | files)).findings


@pytest.mark.parametrize("document", GOOD, ids=json.dumps)
def test_both_take_an_invocation_that_is_right(tree, document) -> None:
    schema("invocation").validate(document)
    assert findings(tree, {"packages/a/a.json": json.dumps(document)}) == ()


@pytest.mark.parametrize("document", BAD, ids=json.dumps)
def test_both_refuse_an_invocation_that_is_wrong(tree, document) -> None:
    assert not schema("invocation").is_valid(document)
    assert len(findings(tree, {"packages/a/a.json": json.dumps(document)})) == 1


@pytest.mark.parametrize("repository", GOOD_REPOSITORIES, ids=json.dumps)
def test_both_take_a_repository_that_is_right(tree, repository) -> None:
    schema("repo").validate({"repo": repository})
    assert findings(tree, {"repo.yaml": json.dumps({"repo": repository})}) == ()


@pytest.mark.parametrize("repository", BAD_REPOSITORIES, ids=json.dumps)
def test_both_refuse_a_repository_that_is_wrong(tree, repository) -> None:
    assert not schema("repo").is_valid({"repo": repository})
    assert len(findings(tree, {"repo.yaml": json.dumps({"repo": repository})})) == 1


def test_types_and_directions_are_the_same() -> None:
    document = schema("invocation").schema
    assert document["properties"]["execution"]["properties"]["type"]["enum"] == list(TYPES)
    assert set(document["$defs"]["direction"]["enum"]) == DIRECTIONS


INVOCATIONS = sorted(CATALOG.glob("packages/*/*.json"))


@pytest.mark.parametrize("path", INVOCATIONS, ids=lambda path: path.name)
def test_invocations_of_the_catalogue_name_their_schema_and_fit_it(path: Path) -> None:
    document = json.loads(path.read_text())
    named = (path.parent / document["$schema"]).resolve()
    assert named == CATALOG / "schemas" / "invocation.schema.json"
    schema("invocation").validate(document)


def test_the_catalogue_has_nothing_wrong(tree) -> None:
    schema("repo").validate(yaml.safe_load((CATALOG / "repo.yaml").read_text()))
    files = {path for path in CATALOG.rglob("*") if path.is_file()}
    texts = {path.relative_to(CATALOG).as_posix(): path.read_text() for path in files}
    assert validate(tree(texts)).findings == ()
