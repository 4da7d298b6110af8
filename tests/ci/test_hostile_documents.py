"""Documents made to keep a reader busy, or to fill its memory."""

import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.documents import load
from ci.errors import EntryError
from ci.located import MAX_BYTES, MAX_DEPTH, MAX_VALUES

M = MAX_BYTES


def numbered(text: str, count: int) -> str:
    return "".join(text.replace("%", str(number)) for number in range(count))


REFUSED = {
    "a bomb of aliases": "a: &a [x,x,x,x,x,x,x,x,x]\n"
    + "".join(f"b{n}: &b{n} [{','.join([f'*b{n - 1}' if n else '*a'] * 9)}]\n" for n in range(12)),
    "lists": "[" * M,
    "mappings": "{a: " * (M // 4),
    "dashes": "- " * (M // 2),
    "question marks": "? " * (M // 2),
    "indentation": "".join(" " * n + "a:\n" for n in range(2000)),
    "aliases of deep lists": "- &a " + "[" * 40 + "]" * 40 + "\n- " + "[" * 30 + "*a" + "]" * 30,
    "a second document": "---\n" * (M // 4),
    "a key twice": "a: 1\n" * 200_000,
    "a tag of Python": "a: !!python/object/apply:os.system [x]",
    "a long tag": "!<" + "a" * (M - 10) + "> x",
    "an unknown alias": "*a " * 100_000,
    "itself": "&a [*a]",
    "a tab": "a:\n\tb: 1",
    "a directive twice": "%YAML 1.1\n" * 100_000,
    "an unknown version": "%YAML 9.9\n--- a",
    "many values": "[" + "1," * 900_000,
    "merged often": "a: &a {x: 1}\nb: {" + ",".join(["<<: *a"] * 40_000) + "}",
    "merged in a chain": "a0: &a0 {k0: 1}\n"
    + "".join(f"a{n}: &a{n} {{<<: *a{n - 1}, k{n}: 1}}\n" for n in range(1, 2000)),
    "half a character": "a: \ud800",
    "a control character": "é\n" * 5 + "\x07",
    "more than 2 MiB": " " * (M + 1),
}
REFUSED["tags"] = "".join(f"%TAG !a{n}! x\n" for n in range(100_000))
REFUSED["tags with other line breaks"] = REFUSED["tags"].replace("\n", "\r")
REFUSED["tags further down"] = "a\n...\n" + REFUSED["tags"]

READ = {
    "anchors": numbered("- &a% x\n", 99_990),
    "anchors within anchors": "".join(f"&a{n} [" for n in range(58)) + "1," * 90_000 + "]" * 58,
    "anchors everywhere": "".join(f"&a{n} [" for n in range(58))
    + numbered("&b% 1,", 90_000)
    + "]" * 58,
    "anchored keys": numbered("&k% a%: &v% b\n", 49_000),
    "aliases": "- &a x\n" + "- *a\n" * 99_000,
    "a long number": "a: " + "9" * 10**6,
    "a huge exponent": "a: 1e" + "9" * 10**6,
    "a long fraction": "a: 0." + "9" * 10**6,
    "many digits in base 16": "a: 0x" + "f" * 10**6,
    "a long key": "a" * 1000 + ": b",
    "a long text": '"' + "\\n" * (M // 2 - 2) + '"',
    "folded lines": ">\n" + " a\n" * (M // 3 - 4),
    "empty lines": "a: |+\n" + "\n" * (M - 10),
    "merged": "a: &a {x: 1}\nb: {<<: [" + ",".join(["*a"] * 30_000) + "]}",
    "comments": "#\n" * (M // 2),
}
REFUSED_JSON = {
    "lists": "[" * M,
    "objects": '{"a":' * (M // 5),
    "a long number": "9" * 10**6,
    "a huge exponent": "1e" + "9" * 10**6,
    "beyond a double": "1e400",
    "a key twice": "{" + '"a":1,' * 200_000,
    "an open text": '"' + "a" * (M - 1),
    "backslashes": '"' + "\\" * (M - 1),
    "quotes": '["' + '\\"' * (M // 2 - 9),
    "blanks": " " * M,
    "line breaks": "\n" * M,
    "many values": "[" + "1," * 900_000,
    "minus": "-" * M,
    "half a character": '"\\ud800"',
    "NaN": "NaN",
    "NUL": "\0",
    "two documents": "{}{}",
}


def refusal(data: bytes | str, path: str) -> EntryError | None:
    begin = time.process_time()
    error = None
    try:
        load(data, path)
    except EntryError as found:
        error = found
    assert time.process_time() - begin < 30  # a guard against no end, not a measure
    assert error is None or (len(str(error)) < 500 and error.path == path)
    return error


@pytest.mark.parametrize("name", REFUSED)
def test_hostile_yaml_is_refused_soon(name: str) -> None:
    assert refusal(REFUSED[name], "a.yaml") is not None


@pytest.mark.parametrize("name", READ)
def test_yaml_that_is_only_long_is_read_soon(name: str) -> None:
    assert refusal(READ[name].encode(), "a.yaml") is None


@pytest.mark.parametrize("name", REFUSED_JSON)
def test_hostile_json_is_refused_soon(name: str) -> None:
    assert refusal(REFUSED_JSON[name], "a.json") is not None


def test_the_line_of_a_control_character_is_counted_in_characters() -> None:
    error = refusal("é\n" * 5 + "a: \x07\nb: 1\n" * 3, "a.yaml")
    assert error is not None
    assert error.line == 6


@pytest.mark.parametrize("count", [MAX_VALUES // 5 - 20, MAX_VALUES // 5 + 20])
def test_an_alias_counts_as_what_it_stands_for(count: int) -> None:
    text = "- &a {x: 1, y: 2}\n" + "- *a\n" * count
    assert (refusal(text, "a.yaml") is not None) == (count > MAX_VALUES // 5)


@pytest.mark.parametrize("depth", [MAX_DEPTH, MAX_DEPTH + 1])
def test_the_deepest_document(depth: int) -> None:
    for path in ("a.yaml", "a.json"):
        assert (refusal("[" * depth + "]" * depth, path) is None) == (depth == MAX_DEPTH)


def test_memory_is_bounded() -> None:
    code = (
        "from peak_memory import peak\n"
        "from test_hostile_documents import *\n"
        "before = peak()\n"
        "for name in REFUSED: refusal(REFUSED[name], 'a.yaml')\n"
        "for name in READ: refusal(READ[name], 'a.yaml')\n"
        "for name in REFUSED_JSON: refusal(REFUSED_JSON[name], 'a.json')\n"
        "print(peak() - before)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(["tests/ci", *sys.path]), "PATH": ""},
    )
    assert int(run.stdout) < 150 * 1024  # KiB


TEXT = "a 1 - [ ] { } , &a *a << !!str !x | > # ? %TAG --- ... ~ 0x é"
BLANKS = [": ", "\n", " ", "  ", "'", '"', "\t", "\r", "- ", "? "]
PIECES = st.lists(st.sampled_from([*TEXT.split(), *BLANKS]), max_size=40).map("".join)


@given(PIECES | st.text(max_size=100))
def test_any_text_is_a_value_or_an_error(text: str) -> None:
    for path in ("a.yaml", "a.json"):
        if refusal(text, path) is None:
            found = load(text, path)
            assert sum(1 for _ in found.walk()) <= MAX_VALUES
            found.plain()


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_an_error(data: bytes) -> None:
    for path in ("a.yaml", "a.json"):
        refusal(data, path)
