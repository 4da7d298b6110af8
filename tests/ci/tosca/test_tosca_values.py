from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.documents import load
from ci.errors import EntryError
from ci.tosca.library import shipped
from ci.tosca.values import coerced, completed, problems

JOB = shipped().node_type("hpcwaas.nodes.ContainerJob")


def told(text: str) -> list[tuple[str, int, str]]:
    document = load(text, "t.yaml")
    found = problems(document, JOB.properties, shipped(), document, "job")
    return [(p.kind, p.place.line, p.message) for p in found if p.kind != "call"]


def test_good_properties_have_no_problems() -> None:
    assert (
        told("application: {command: /s/x, arguments: [1, a, '${x}'], environment: {A: 1}}") == []
    )
    assert told("application: {command: x}\nsubmission_params: {num_nodes: '${n}', mpi: yes}") == []
    assert told("application: {get_property: [A, b]}") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("submission_params: {}", [("missing", 1, "job: property 'application' is missing")]),
        ("application: {}", [("missing", 1, "job: application: property 'command' is missing")]),
        (
            "application:\n  comand: x\n  command: y",
            [("unknown", 2, "job: application: unknown property 'comand'")],
        ),
        ("application: x", [("type", 1, "job: application must be a mapping, not text")]),
        (
            "application: {command: x}\nsubmission_params: {num_nodes: two}",
            [("type", 2, "job: submission_params: num_nodes must be a whole number, not 'two'")],
        ),
        (
            "application: {command: x, arguments: x}",
            [("type", 1, "job: application: arguments must be a list, not text")],
        ),
        (
            "application: {command: x, arguments: [[a]]}",
            [("type", 1, "an item of job: application: arguments must be text")],
        ),
    ],
)
def test_problems_are_told_with_their_line(text: str, expected: list[Any]) -> None:
    assert told(text) == expected


def test_defaults_are_filled_in_all_the_way_down() -> None:
    values = {
        "application": {"command": "/s/x", "arguments": [3]},
        "submission_params": {"tasks": "4"},
    }
    assert completed(values, JOB.properties, shipped(), "job") == {
        "application": {"command": "/s/x", "arguments": ["3"], "environment": {}},
        "submission_params": {
            "num_nodes": 1,
            "tasks": 4,
            "cpus_per_task": 1,
            "memory_mb": 0,
            "time_limit": "",
            "partition": "",
            "account": "",
            "qos": "",
            "mpi": False,
        },
    }


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"application": {"command": None}},
        {"application": {"command": "x", "more": 1}},
        {"application": "x"},
        {"application": {"command": "x"}, "submission_params": {"mpi": "perhaps"}},
    ],
)
def test_what_cannot_be_completed_is_an_entry_error(values: dict[str, Any]) -> None:
    with pytest.raises(EntryError):
        completed(values, JOB.properties, shipped(), "job")


def test_secrets_stay_references() -> None:
    kind = shipped().node_type("dls.ansible.nodes.DLSDAGImageTransfer")
    secret = {"get_secret": ["/a", "b"]}
    values = {"dls_api_password": secret}
    assert completed(values, kind.properties, shipped(), "x")["dls_api_password"] == secret


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("3", "integer", 3),
        ("-3", "integer", -3),
        (3, "float", 3.0),
        ("1e3", "float", 1000.0),
        ("Yes", "boolean", True),
        ("false", "boolean", False),
        (True, "string", "true"),
        (3, "string", "3"),
        ({"a": 1}, "something.else", {"a": 1}),
    ],
)
def test_text_becomes_what_it_says(value: Any, kind: str, expected: Any) -> None:
    found = coerced(value, kind, "x")
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("3.5", "integer"),
        (3.5, "integer"),
        (True, "integer"),
        ("nan", "float"),
        (False, "float"),
        ("2", "boolean"),
        (1, "boolean"),
        ([], "string"),
        ("x", "list"),
        ([], "map"),
    ],
)
def test_what_does_not_fit_is_refused(value: Any, kind: str) -> None:
    with pytest.raises(EntryError, match="x must be"):
        coerced(value, kind, "x")


@given(
    value=st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text()),
    kind=st.sampled_from(["string", "integer", "float", "boolean", "list", "map", "other"]),
)
def test_any_value_fits_or_is_an_entry_error(value: Any, kind: str) -> None:
    try:
        coerced(value, kind, "x")
    except EntryError as error:
        assert error.message.startswith("x must be")  # noqa: PT017 either way is right
