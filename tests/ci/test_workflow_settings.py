import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.errors import EntryError
from ci.workflow_settings import SmokeTest, read_workflow_settings


def test_reads_everything() -> None:
    text = b"""
title: Demo
description: long
license: MIT
maintainers: [alice, {name: Bob, email: bob@example.org}]
sites: [alpha, beta.example]
may_run: [alice]
smoke_test: {site: alpha, inputs: {size: 1}, time_limit: "00:05:00"}
"""
    found = read_workflow_settings(text, "w/waas.yaml")
    assert (found.title, found.license, found.maintainers) == ("Demo", "MIT", ("alice", "Bob"))
    assert found.sites == ("alpha", "beta.example")
    assert [(p.text, p.line) for p in found.places] == [("alpha", 6), ("beta.example", 6)]
    assert found.smoke_test == SmokeTest("alpha", {"size": 1}, "00:05:00")


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("title: x\nsite: [a]", "unknown key 'site'", 2),
        ("sites: alpha", "must be a list", 1),
        ("sites:\n- a\n- a", "appears twice", 3),
        ("sites: ['../x']", "not a name", 1),
        ("sites: [-x]", "not a name", 1),
        ("may_run: [[a]]", "must be text", 1),
        ("maintainers: [{email: x}]", "needs a name", 1),
        ("smoke_test: {time_limit: 5}", "not HH:MM:SS", 1),
        ("title: [x]", "must be text", 1),
        ("- a", "must be a mapping", 1),
    ],
)
def test_mistakes_have_a_line(text: str, message: str, line: int) -> None:
    with pytest.raises(EntryError, match=message) as caught:
        read_workflow_settings(text.encode(), "w/waas.yaml")
    assert caught.value.line == line


KEYS = st.sampled_from(
    ["title", "sites", "may_run", "maintainers", "smoke_test", "other", "inputs"]
)
VALUES = st.sampled_from(["x", "[x]", "[[x]]", "{name: x}", "[{name: x}]", "3", "", "{a: {b: c}}"])


@given(pairs=st.lists(st.tuples(KEYS, VALUES), max_size=5))
def test_any_document_gives_settings_or_an_entry_error(pairs: list[tuple[str, str]]) -> None:
    text = "\n".join(f"{key}: {value}" for key, value in pairs)
    try:
        read_workflow_settings(text.encode(), "w/waas.yaml")
    except EntryError as error:
        assert error.path == "w/waas.yaml"  # noqa: PT017 either way is right


@given(data=st.binary(max_size=200))
def test_any_bytes_give_settings_or_an_entry_error(data: bytes) -> None:
    try:
        read_workflow_settings(data, "w/waas.yaml")
    except EntryError as error:
        assert error.path == "w/waas.yaml"  # noqa: PT017 either way is right
