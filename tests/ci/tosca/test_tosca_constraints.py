import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.documents import load
from ci.errors import EntryError
from ci.tosca.constraints import NAMES, Limits
from ci.tosca.scalars import SIMPLE, comparable


def broken(value, constraint: str, kind: str) -> list[str]:
    return list(Limits().violations(value, load(f"[{{{constraint}}}]", "t.yaml"), kind))


@pytest.mark.parametrize(
    ("constraint", "kind", "good", "bad"),
    [
        ("equal: 3", "integer", 3, 4),
        ("equal: true", "boolean", True, False),
        ("equal: [1, 2]", "list", [1, 2], [1]),
        ("greater_than: 1.5", "float", 2, 1.5),
        ("greater_or_equal: 1", "integer", 1, 0),
        ("less_than: 10", "integer", 9, 10),
        ("less_or_equal: 2", "integer", 2, 3),
        ("in_range: [1, 10]", "integer", 10, 11),
        ("in_range: [1, UNBOUNDED]", "integer", 10**9, 0),
        ("in_range: [UNBOUNDED, 5]", "float", -1e9, 5.5),
        ("in_range: [1, 10]", "range", [2, 10], [0, 3]),
        ("in_range: [1, 10]", "range", [2, 3], [2, "UNBOUNDED"]),
        ("valid_values: [a, b]", "string", "a", "c"),
        ("valid_values: [1, 2]", "integer", 2, 3),
        ("valid_values: [true]", "boolean", True, False),
        ("valid_values: [3, 4]", "string", "3", "5"),
        ("length: 2", "string", "ab", "a"),
        ("min_length: 1", "list", [1], []),
        ("max_length: 1", "map", {"a": 1}, {"a": 1, "b": 2}),
        ("pattern: '[a-z]+'", "string", "abc", "abc1"),
        ("greater_or_equal: 1 MB", "scalar-unit.size", "1 GiB", "10 kB"),
        ("less_than: 2 m", "scalar-unit.time", "119 s", "1 h"),
        ("in_range: [1 GHz, 3 GHz]", "scalar-unit.frequency", "2500 MHz", "900 MHz"),
        ("greater_than: 1.9", "version", "1.10", "1.8.7"),
        ("less_than: 2026-01-01", "timestamp", "2025-12-31T23:59:59Z", "2026-01-01 00:00:00"),
        ("schema: '{}'", "string", "x", None),
    ],
)
def test_a_value_keeps_to_a_constraint_or_not(constraint, kind, good, bad) -> None:
    assert broken(good, constraint, kind) == []
    if bad is not None:
        (told,) = broken(bad, constraint, kind)
        assert told.startswith("must ")


@pytest.mark.parametrize(
    ("constraint", "kind", "message"),
    [
        ("in_rang: [1, 2]", "integer", "unknown constraint 'in_rang'"),
        ("in_range: [1]", "integer", "two values"),
        ("in_range: 3", "integer", "must be a list"),
        ("in_range: [3, 1]", "integer", "the first value is greater"),
        ("in_range: [a, b]", "integer", "not of type integer"),
        ("in_range: [true, false]", "boolean", "no order"),
        ("greater_than: 1", "list", "no order"),
        ("equal: x", "integer", "not of type integer"),
        ("valid_values: []", "string", "a list of 1 to"),
        ("valid_values: [1, x]", "integer", "not of type integer"),
        ("length: -1", "string", "between"),
        ("min_length: 1", "integer", "for text, lists and maps"),
        ("pattern: '('", "string", "cannot be read"),
        ("pattern: 'a'", "integer", "for text"),
        ("pattern: [a]", "string", "must be text"),
        ("greater_than: 3 XB", "scalar-unit.size", "not of type scalar-unit.size"),
        ("less_than: 31.1.2026", "timestamp", "not of type timestamp"),
    ],
)
def test_a_wrong_constraint_is_told_with_its_place(constraint, kind, message) -> None:
    with pytest.raises(EntryError, match=message) as caught:
        Limits().read(load(f"-\n  {constraint}", "t.yaml"), kind)
    assert (caught.value.path, caught.value.line) == ("t.yaml", 2)
    assert broken("x", constraint, kind) == []


@pytest.mark.parametrize("pattern", [r"(?=a)b", r"(a)\1", r"\Z", "a++"])
def test_a_pattern_that_re2_has_not_is_not_judged(pattern: str) -> None:
    assert broken("x", f"pattern: '{pattern}'", "string") == []


def test_a_hostile_pattern_takes_little_time() -> None:
    text = "\n".join(f"- pattern: '((a|b)*a(a|b){{{n},{n + 100}}}|(a+)+)$'" for n in range(20))
    limits, holder = Limits(), load(text, "t.yaml")
    begin = time.monotonic()
    for number in range(1000):
        list(limits.violations("ab" * 20_000 + str(number), holder, "string"))
    assert time.monotonic() - begin < 5


def test_many_values_and_many_constraints_take_little_time() -> None:
    values = ", ".join(f"v{n}" for n in range(1000))
    holder = load("\n".join(f"- valid_values: [{values}]" for _ in range(20)), "t.yaml")
    limits = Limits()
    begin = time.monotonic()
    for number in range(20_000):
        list(limits.violations(f"v{number % 1000}", holder, "string"))
    assert time.monotonic() - begin < 5


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@given(
    value=PLAIN,
    name=st.sampled_from(NAMES),
    operand=st.text(alphabet="[]{}(),:'\"ab01 .-+*?UNBOED\\", max_size=20),
    kind=st.sampled_from(["", *sorted(SIMPLE)]),
)
def test_any_constraint_on_any_value(value, name: str, operand: str, kind: str) -> None:
    comparable(value, kind)
    try:
        holder = load(f"- {name}: {operand}", "t.yaml")
        list(Limits().violations(value, holder, kind))
        Limits().read(holder, kind)
    except EntryError as error:
        assert error.message  # noqa: PT017 either way is right
