import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.errors import EntryError
from ci.workflow_settings import (
    ImageTest,
    SmokeTest,
    WorkflowSettings,
    read_workflow_settings,
)


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


def images(text: str) -> WorkflowSettings:
    return read_workflow_settings(f"images:\n  s:\n    test:\n{text}\n".encode(), "w/waas.yaml")


def test_reads_the_tests_of_images() -> None:
    found = images(
        """
      - import: [numpy, os.path]
      - import: six
      - run: [mpirun, -n, 2, /s/hello, ""]
      - {version: [python3, --version], contains: 3.10}
      - {run: [id], contains: "uid=0 (root)"}"""
    )
    assert found.images == {
        "s": (
            ImageTest("import", ("numpy", "os.path")),
            ImageTest("import", ("six",)),
            ImageTest("run", ("mpirun", "-n", "2", "/s/hello", "")),
            ImageTest("version", ("python3", "--version"), "3.10"),
            ImageTest("run", ("id",), "uid=0 (root)"),
        )
    }
    assert [(p.text, p.line, p.column) for p in found.image_places] == [("s", 2, 3)]


@pytest.mark.parametrize("text", ["images:", "images: {s: }", "images: {s: {test: }}"])
def test_an_image_needs_no_tests(text: str) -> None:
    assert not any(read_workflow_settings(text.encode(), "w/waas.yaml").images.values())


@pytest.mark.parametrize(
    ("test", "message", "column"),
    [
        ("{imprt: six}", "unknown key 'imprt' .*did you mean 'import'", 10),
        ("{run: [x], import: y}", "one of import, run, version", 9),
        ("{}", "one of import, run, version", 9),
        ("[import]", "must be a mapping", 9),
        ("{import: []}", "names nothing", 18),
        ("{import: 'a b'}", "no Python module", 18),
        ("{import: [six, 'os;id']}", "no Python module", 24),
        ("{import: [a.]}", "no Python module", 19),
        ("{import: six, contains: x}", "writes nothing", 23),
        ("{run: id}", "must be a list", 15),
        ("{run: []}", "names nothing", 15),
        ("{run: [--help]}", "no command", 16),
        ("{run: ['', x]}", "no command", 16),
        ("{run: [[x]]}", "must be text", 16),
        ("{run: [true]}", "must be text", 16),
        ('{run: ["a\\nb"]}', "control character", 16),
        ("{run: [x], contains: ''}", "is in everything", 30),
        ('{run: [x], contains: "a\\0"}', "control character", 30),
        ("{version: [x]}", "which version", 19),
    ],
)
def test_a_wrong_test_has_a_place(test: str, message: str, column: int) -> None:
    with pytest.raises(EntryError, match=message) as caught:
        images(f"      - {test}")
    assert (caught.value.line, caught.value.column) == (4, column)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("images: {s: {tests: []}}", "unknown key 'tests' .*did you mean 'test'"),
        ("images: {s: {test: {run: [x]}}}", "must be a list"),
        ("images: {s: [x]}", "must be a mapping"),
        ("images: [s]", "must be a mapping"),
        (f"images: {{s: {{test: [{'{import: x}, ' * 21}]}}}}", "more than 20 tests"),
        (f"images: {{s: {{test: [{{run: [{'x, ' * 51}]}}]}}}}", "more than 50"),
        (f"images: {{s: {{test: [{{run: [{'x' * 501}]}}]}}}}", "longer than 500"),
    ],
)
def test_tests_are_few_and_short(text: str, message: str) -> None:
    with pytest.raises(EntryError, match=message):
        read_workflow_settings(text.encode(), "w/waas.yaml")


ANY_TEST = st.dictionaries(
    st.sampled_from(["import", "run", "version", "contains", "x"]),
    st.one_of(st.text(max_size=5), st.lists(st.text(max_size=5), max_size=3), st.integers()),
    max_size=3,
)


@given(tests=st.lists(ANY_TEST, max_size=4))
def test_words_of_tests_are_harmless_or_refused(tests: list[dict[str, object]]) -> None:
    text = json.dumps({"images": {"s": {"test": tests}}})
    try:
        found = read_workflow_settings(text.encode(), "w/waas.yaml")
    except EntryError as error:
        assert error.line == 1  # noqa: PT017 either way is right
        return
    for test in found.images["s"]:
        assert test.words
        assert not test.words[0].startswith("-")
        assert all(word.isprintable() for word in (*test.words, test.contains))
