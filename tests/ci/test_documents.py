import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.documents import load
from ci.errors import EntryError

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=20,
)


def refused(data: bytes | str, path: str = "a.yaml") -> EntryError:
    with pytest.raises(EntryError) as caught:
        load(data, path)
    assert caught.value.path == path
    return caught.value


def read(data: bytes | str, path: str) -> tuple[Any, EntryError | None]:
    try:
        return load(data, path).plain(), None
    except EntryError as error:
        return None, error


@given(data=st.binary(max_size=300), path=st.sampled_from(["a.yaml", "a.json"]))
def test_any_bytes_are_a_document_or_an_entry_error(data: bytes, path: str) -> None:
    _, error = read(data, path)
    assert error is None or error.path == path


@given(
    text=st.text(alphabet="ab:- \n\t[]{},&*!|>'\"#%@<?0.~", max_size=60),
    path=st.sampled_from(["a.yaml", "a.json"]),
)
def test_any_punctuation_is_a_document_or_an_entry_error(text: str, path: str) -> None:
    _, error = read(text, path)
    assert error is None or error.path == path


@given(value=PLAIN, indent=st.sampled_from([None, 2, "\t"]))
def test_json_is_read_as_the_standard_library_reads_it(value: Any, indent: Any) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    assert load(text, "a.json").plain() == json.loads(text) == value


@given(text=st.text(alphabet='{}[]:,"ab01-.eE \n\\u', max_size=30))
def test_json_that_the_standard_library_refuses_is_refused(text: str) -> None:
    found, error = read(text, "a.json")
    assert error is not None or found == json.loads(text)


@given(value=PLAIN)
def test_yaml_holds_what_json_holds(value: Any) -> None:
    text = json.dumps(value)
    found, error = read(text, "a.yaml")
    # YAML has no surrogate pairs as escapes
    assert found == value if error is None else "\\u" in text


class TestYaml:
    def test_every_value_and_key_knows_its_place(self) -> None:
        document = load("a:\n  - x\n  - b: 1\n", "f.yaml")
        item = document.value["a"].value[1]
        assert (item.line, item.column, item.path) == (3, 5, "f.yaml")
        assert item.keys["b"] == (3, 5)
        assert (item.value["b"].line, item.value["b"].column) == (3, 8)

    def test_scalars_follow_the_core_schema(self) -> None:
        text = "[null, ~, '', true, yes, 12, 0o14, 0x0c, 1.50, 12:30, 2024-01-02, 1_000, '1', .inf]"
        assert load(text, "a.yaml").plain() == [
            None,
            None,
            "",
            True,
            "yes",
            12,
            12,
            12,
            1.5,
            "12:30",
            "2024-01-02",
            "1_000",
            "1",
            ".inf",
        ]
        assert load("1.50", "a.yaml").text == "1.50"

    def test_tags_of_plain_data_work(self) -> None:
        assert load("[!!str 5, !!int '5', !!seq [], !!map {}]", "a.yaml").plain() == [
            "5",
            5,
            [],
            {},
        ]

    @pytest.mark.parametrize(
        "text", ["!!python/object/apply:os.system ['true']", "!x 1", "!!binary aGk=", "!!int x"]
    )
    def test_other_tags_are_refused(self, text: str) -> None:
        assert "tag" in refused(text).message

    def test_anchors_and_merge_keys_work(self) -> None:
        text = "base: &b {x: 1, y: 2}\nderived:\n  <<: *b\n  y: 3\nsame: *b\n"
        assert load(text, "a.yaml").plain()["derived"] == {"x": 1, "y": 3}
        assert load(text, "a.yaml").plain()["same"] == {"x": 1, "y": 2}
        assert load("- <<", "a.yaml").plain() == ["<<"]

    @pytest.mark.parametrize(
        ("text", "message", "line", "column"),
        [
            ("a: 1\nb: 2\na: 3\n", "appears twice", 3, 1),
            ("a: 1\n b: 2\n", "not YAML", 2, 3),
            ("a: *x\n", "no anchor", 1, 4),
            ("a: &x [*x]\n", "no anchor", 1, 8),
            ("--- 1\n--- 2\n", "second document", 2, 1),
            ("[a]: 1\n", "must be text", 1, 1),
            ("<<: 1\n", "takes a mapping", 1, 1),
            ("a: [1\n", "not YAML", 2, 1),
        ],
    )
    def test_mistakes_are_told_with_their_place(
        self, text: str, message: str, line: int, column: int
    ) -> None:
        error = refused(text)
        assert message in error.message
        assert (error.line, error.column) == (line, column)


class TestJson:
    @pytest.mark.parametrize(
        ("text", "message", "line", "column"),
        [
            ('{"a": 1,\n "a": 2}', "appears twice", 2, 2),
            ('{"a": 1,\n}', "expected a key", 2, 1),
            ("[1,\n2,]", "expected a value", 2, 3),
            ('{"a" 1}', "expected `:`", 1, 6),
            ("[1 2]", "expected `,`", 1, 4),
            ("[NaN]", "expected a value", 1, 2),
            ("[01]", "expected `,`", 1, 3),
            ("[1e999]", "too large", 1, 2),
            ("{} x", "follows the end", 1, 4),
            ('["\\ud800"]', "escape", 1, 2),
            ('["a\nb"]', "expected text", 1, 2),
            ("", "expected a value", 1, 1),
            ("[", "expected a value", 1, 2),
        ],
    )
    def test_mistakes_are_told_with_their_place(
        self, text: str, message: str, line: int, column: int
    ) -> None:
        error = refused(text, "a.json")
        assert message in error.message
        assert (error.line, error.column) == (line, column)


class TestLimits:
    @pytest.mark.parametrize(
        "text",
        [
            "[" * 200_000,
            "{a: " * 50_000,
            "- " * 200_000,
            "a: &a\n" + "".join(f"{' ' * n}b:\n" for n in range(1, 500)),
            "\n".join(f"k{n}: &k{n} [*k{n - 1}]" if n else "k0: &k0 [1]" for n in range(100)),
        ],
    )
    def test_deep_documents_are_refused_quickly(self, text: str) -> None:
        begin = time.monotonic()
        assert "deep" in refused(text).message
        assert time.monotonic() - begin < 5

    def test_a_yaml_bomb_is_refused_quickly(self) -> None:
        lines = ["k0: &k0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
        lines += [f"k{n}: &k{n} [{', '.join([f'*k{n - 1}'] * 9)}]" for n in range(1, 12)]
        begin = time.monotonic()
        assert "values" in refused("\n".join(lines)).message
        assert time.monotonic() - begin < 5

    def test_deep_and_many_in_json(self) -> None:
        assert "deep" in refused("[" * 100_000, "a.json").message
        assert "values" in refused("[" + "1," * 200_000 + "1]", "a.json").message

    def test_size_and_encoding(self) -> None:
        assert "larger" in refused(b"x" * 3_000_000).message
        assert refused(b"a: 1\nb: \xff\n").line == 2
        assert load(b"\xef\xbb\xbfa: 1", "a.yaml").plain() == {"a": 1}
        assert load(b"", "a.yaml").plain() is None
