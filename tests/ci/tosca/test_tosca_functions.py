import time
from typing import Any

import pytest

from ci.documents import load
from ci.errors import EntryError
from ci.tosca.functions import Scope, references
from ci.tosca.reader import read_topology

HEAD = "tosca_definitions_version: alien_dsl_3_0_0\ntopology_template:\n"


def resolved(value: str, *, more: str = "", inputs: dict[str, Any] | None = None) -> Any:
    text = (
        f"{HEAD}  inputs:\n    size: {{type: integer, default: 3}}\n    none: string\n"
        "    tree: {type: map, default: {a: [x, y]}}\n"
        f"  node_templates:\n    A: {{type: t, properties: {{v: {value}}}}}\n"
        f"    B: {{type: t, properties: {{list: [p, q], back: {{get_property: [B, list]}}}}}}\n"
        f"{more}"
    )
    topology = read_topology(load(text, "t.yaml"))
    scope = Scope(topology, inputs or {})
    return scope.resolve(topology.nodes["A"].properties["v"], "A")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain", "plain"),
        ("{get_input: size}", 3),
        ("{get_input: [tree, a, 1]}", "y"),
        ("{get_input: none}", None),
        ("{get_property: [B, list]}", ["p", "q"]),
        ("{get_property: [B, back, 0]}", "p"),
        ("{concat: [a, {get_input: size}, true, {get_input: none}]}", "a3true"),
        ("'${who}/${n}${ok}'", "ada/1true"),
        ("[1, 0.10, {k: '${who}'}]", [1, "0.10", {"k": "ada"}]),
        ("{get_secret: [/a, b]}", {"get_secret": ["/a", "b"]}),
        ("{a: 1, get_input: size}", {"a": 1, "get_input": "size"}),
        ("'$who $ {who} ${}'", "$who $ {who} ${}"),
    ],
)
def test_values_are_resolved(value: str, expected: Any) -> None:
    assert resolved(value, inputs={"who": "ada", "n": 1, "ok": True}) == expected


def test_what_a_user_gives_is_never_resolved_again() -> None:
    assert resolved("'${who}'", inputs={"who": "${who}"}) == "${who}"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{get_input: sise}", "no input 'sise'"),
        ("{get_input: []}", "names no input"),
        ("{get_property: [C, v]}", "no node 'C'"),
        ("{get_property: [B, lst]}", "no property 'lst'"),
        ("{get_property: [B]}", "takes"),
        ("{get_property: B}", "must be a list"),
        ("{get_property: [B, list, 7]}", "no '7'"),
        ("{get_property: [SELF, v]}", "without end"),
        ("{concat: x}", "must be a list"),
        ("'${none}'", "no input 'none'"),
    ],
)
def test_what_cannot_be_resolved_is_told_with_its_place(value: str, message: str) -> None:
    with pytest.raises(EntryError, match=message) as caught:
        resolved(value)
    assert caught.value.line == 8


def test_values_that_double_each_other_end_quickly() -> None:
    chain = "".join(
        f"    N{n}: {{type: t, properties: {{v: {{concat: [{{get_property: [N{n + 1}, v]}}, "
        f"{{get_property: [N{n + 1}, v]}}]}}}}}}\n"
        for n in range(25)
    )
    more = f"{chain}    N25: {{type: t, properties: {{v: ''}}}}\n"
    begin = time.monotonic()
    with pytest.raises(EntryError, match="without end"):
        resolved("{get_property: [N0, v]}", more=more)
    assert time.monotonic() - begin < 5


def test_a_resolved_text_has_a_length() -> None:
    with pytest.raises(EntryError, match="longer than"):
        resolved("'${x}${x}'", inputs={"x": "y" * 40_000})


def test_references_are_found_wherever_they_stand() -> None:
    value = load(
        "a: ['${x}-${y}', {get_input: z}, {get_input: [w, 1]}, {get_secret: [u]}]", "t.yaml"
    )
    assert [(r.kind, r.name, r.place.line) for r in references(value)] == [
        ("workflow input", "x", 1),
        ("workflow input", "y", 1),
        ("get_input", "z", 1),
        ("get_input", "w", 1),
    ]
