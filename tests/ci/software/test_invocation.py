import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci.errors import EntryError
from ci.software.invocation import DIRECTIONS, SECTIONS, TYPES, read_invocation

MPI = {
    "execution": {
        "type": "mpi",
        "runner": "mpirun",
        "binary": "solve",
        "args": "--mesh {{mesh}} --out {{ result }}",
        "working_dir": "{{folder}}",
    },
    "parameters": {"mesh": "FILE_IN", "result": "FILE_OUT", "returns": 0},
    "prolog": {"binary": "mkdir", "args": "{{folder}}"},
    "epilog": None,
}


def read(document):
    return read_invocation(json.dumps(document).encode(), "packages/a/a.json")


def test_sections_that_are_missing_are_empty() -> None:
    found = read(MPI)
    assert found.type is not None
    assert found.type.value == "mpi"
    assert found.keys == TYPES["mpi"]
    assert found.parameter_names() == ["mesh", "result"]
    assert [name for name, _ in found.references()] == ["mesh", "result", "folder", "folder"]
    assert found.container.value == {}
    assert found.epilog.value == {}


@pytest.mark.parametrize(
    ("name", "known"),
    [("MPI", True), ("mpi", True), ("task", True), ("Task", False), ("x", False), (1, False)],
)
def test_types_are_known_as_pycompss_knows_them(name, known: bool) -> None:
    assert (read({"execution": {"type": name}}).keys is not None) is known


def test_programs_of_several_are_looked_into() -> None:
    programs = [{"binary": "a", "args": "{{x}}"}, 3]
    found = read({"execution": {"type": "mpmd_mpi", "programs": programs}})
    assert len(found.programs) == 1
    assert [name for name, _ in found.references()] == ["x"]


def test_directions_are_those_of_pycompss() -> None:
    assert {"IN", "FILE_INOUT", "COLLECTION_FILE_OUT", "FILE_OUT_STDOUT"} <= DIRECTIONS
    assert "FILE_IN_DELETE" not in DIRECTIONS
    assert len(DIRECTIONS) == 50


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "an invocation must be a mapping"),
        (None, "an invocation must be a mapping"),
        ({"execution": None}, "execution must be a mapping, not nothing"),
        ({"parameters": None}, "parameters must be a mapping, not nothing"),
        ({"constraints": 4}, "constraints must be a mapping, not a whole number"),
    ],
)
def test_what_pycompss_stops_at_is_an_error(document, message: str) -> None:
    with pytest.raises(EntryError, match=message) as caught:
        read(document)
    assert caught.value.line == 1


SCALARS = st.sampled_from([None, True, 0, 0.5, "", "mpi", "{{a}}", "é"])
VALUES = SCALARS | st.lists(SCALARS, max_size=2)
KEYS = st.sampled_from([*SECTIONS, "type", "programs", "args", "returns", "x"])
DOCUMENTS = st.dictionaries(KEYS, VALUES | st.dictionaries(KEYS, VALUES, max_size=4), max_size=6)


@settings(deadline=None)
@given(data=st.binary(max_size=100) | DOCUMENTS.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_an_invocation_or_an_entry_error(data: bytes) -> None:
    try:
        found = read_invocation(data, "a.json")
    except EntryError as error:
        assert error.path == "a.json"  # noqa: PT017 either way is right
    else:
        list(found.references())
        assert found.keys is None or found.type is not None
