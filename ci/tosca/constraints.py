"""Constraints on values (TOSCA Simple Profile 1.3, 3.6.3), read and applied.

A pattern is matched by RE2, in time that grows with the text alone: pattern and value both come
from whoever sends a change. What RE2 leaves out (looking ahead, references) is not judged.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ci.errors import EntryError
from ci.located import Located, nearest
from ci.tosca.scalars import UNBOUNDED, comparable

_MOST = 50  # constraints of one value
_LONGEST_PATTERN = 1000  # characters
_LONGEST_VALUE = 65_536  # characters that a pattern is matched with
_MOST_VALUES = 1000
_ORDER = {
    "greater_than": "greater than",
    "greater_or_equal": "at least",
    "less_than": "less than",
    "less_or_equal": "at most",
}
_LENGTHS = {"length": "exactly", "min_length": "at least", "max_length": "at most"}
NAMES = ("equal", *_ORDER, "in_range", "valid_values", *_LENGTHS, "pattern", "schema")
_SIZED = frozenset({"string", "list", "map", "version", "timestamp"})
_UNORDERED = frozenset({"boolean", "list", "map", "range"})
# words of RE2 for a pattern that no other engine takes either
_BROKEN = ("missing", "unexpected", "trailing", "no argument", "invalid character class range")


@dataclass(frozen=True, slots=True)
class Constraint:
    """One condition: its name and what the value is compared with."""

    name: str
    operand: Located


def read_constraints(holder: Located | None, kind: str) -> list[Constraint]:
    """The constraints of a value of a type. Raises ``EntryError`` for the first that is wrong.

    ``kind`` is a simple type; constraints on others (data types) are not compared with it.
    """
    found = []
    items = [] if holder is None else _listed(holder)
    for item in items:
        for name, operand in item.mapping("a constraint").items():
            if name not in NAMES:
                raise item.key_error(
                    name, f"unknown constraint {name!r}", hint=nearest(name, NAMES)
                )
            _check(name, operand, kind)
            found.append(Constraint(name, operand))
    return found


def _listed(holder: Located) -> list[Located]:
    items = [holder] if holder.is_mapping else holder.sequence("constraints")
    if len(items) > _MOST:
        raise holder.error(f"more than {_MOST} constraints")
    return items


def _check(name: str, operand: Located, kind: str) -> None:
    if name in _LENGTHS:
        if kind and kind not in _SIZED:
            raise operand.error(f"{name} is for text, lists and maps, not for {kind}")
        operand.integer(name, at_least=0, at_most=10**9)
    elif name == "in_range":
        _check_range(operand, kind)
    elif name == "pattern":
        _check_pattern(operand, kind)
    elif name == "valid_values":
        _check_values(operand, kind)
    elif name != "schema":
        if name in _ORDER and kind in _UNORDERED:
            raise operand.error(f"{name} does not fit {kind}, which has no order")
        _check_operand(name, operand, kind)


def _check_values(operand: Located, kind: str) -> None:
    values = operand.sequence("valid_values")
    if not values or len(values) > _MOST_VALUES:
        raise operand.error(f"valid_values takes a list of 1 to {_MOST_VALUES} values")
    for value in values:
        _check_operand("valid_values", value, kind)


def _check_operand(name: str, operand: Located, kind: str) -> None:
    if kind and kind not in _UNORDERED and _of(operand, kind) is None:
        raise operand.error(f"{name}: {_shown(operand)} is not of type {kind}")


def _check_range(operand: Located, kind: str) -> None:
    ends = operand.sequence("in_range")
    if len(ends) != 2:
        raise operand.error("in_range takes two values", hint="[1, 10], or [1, UNBOUNDED]")
    inner = "integer" if kind == "range" else kind
    if inner in _UNORDERED:
        raise operand.error(f"in_range does not fit {kind}, which has no order")
    for end in ends:
        if end.value != UNBOUNDED:
            _check_operand("in_range", end, inner)
    low, high = (None if end.value == UNBOUNDED else _of(end, inner) for end in ends)
    if low is not None and high is not None and low > high:
        raise operand.error("in_range: the first value is greater than the second")


def _check_pattern(operand: Located, kind: str) -> None:
    if kind and kind != "string":
        raise operand.error(f"pattern is for text, not for {kind}")
    _matches(operand, "")


def _matches(operand: Located, text: str) -> bool:
    """Whether a pattern matches all of a text, which a pattern that is not judged does."""
    import re2

    pattern = operand.string("pattern")
    if len(pattern) > _LONGEST_PATTERN:
        raise operand.error(f"the pattern is longer than {_LONGEST_PATTERN} characters")
    options = re2.Options()
    options.log_errors = False
    try:
        return bool(re2.compile(pattern, options).fullmatch(text[:_LONGEST_VALUE]))
    except re2.error as error:
        reason = error.args[0]
        reason = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        if reason.startswith(_BROKEN):
            raise operand.error(f"the pattern cannot be read: {reason[:80]}") from None
        return True
    except UnicodeEncodeError:  # half of a surrogate pair is no text that RE2 takes
        return True


def violations(value: Any, holder: Located | None, kind: str) -> Iterator[str]:
    """What constraints a value breaks, in words: «must be at most 5». Wrong ones are left out."""
    try:
        constraints = read_constraints(holder, kind)
    except EntryError:
        return  # said where the constraint stands
    for constraint in constraints:
        demand = _broken(constraint, value, kind)
        if demand:
            yield demand


def _broken(constraint: Constraint, value: Any, kind: str) -> str:
    """What the value must be, if it is not."""
    name, operand = constraint.name, constraint.operand
    if name in _LENGTHS:
        fits = not isinstance(value, (str, list, dict)) or _compare(name, len(value), operand.value)
        demand = f"must have a length of {_LENGTHS[name]} {operand.value}"
    elif name == "pattern":
        fits = not isinstance(value, str) or _matches(operand, value)
        demand = f"must match {operand.text[:60]!r}"
    elif name == "in_range":
        fits = _is_inside(value, operand, kind)
        demand = f"must be in the range {_shown(operand)}"
    elif name == "valid_values":
        fits = any(_equal(value, item, kind) for item in operand.value)
        demand = f"must be one of {_shown(operand)}"
    elif name == "equal":
        fits, demand = _equal(value, operand, kind), f"must be {_shown(operand)}"
    elif name == "schema":
        return ""
    else:
        left, right = comparable(value, kind), _of(operand, kind)
        fits = left is None or right is None or _compare(name, left, right)
        demand = f"must be {_ORDER[name]} {_shown(operand)}"
    return "" if fits else demand


def _compare(name: str, left: Any, right: Any) -> bool:
    if name in {"min_length", "greater_or_equal"}:
        return bool(left >= right)
    if name in {"max_length", "less_or_equal"}:
        return bool(left <= right)
    if name == "greater_than":
        return bool(left > right)
    return bool(left < right) if name == "less_than" else bool(left == right)


def _is_inside(value: Any, operand: Located, kind: str) -> bool:
    inner = "integer" if kind == "range" else kind
    low, high = (None if end.value == UNBOUNDED else _of(end, inner) for end in operand.value)
    found = comparable(value, kind)
    ends = found if kind == "range" and found is not None else (found, found)
    if found is None:
        return True  # not of its type: another finding
    return (low is None or ends[0] >= low) and (high is None or ends[1] <= high)


def _equal(value: Any, operand: Located, kind: str) -> bool:
    left, right = comparable(value, kind), _of(operand, kind)
    if left is None or right is None:
        return bool(value == operand.plain())
    return bool(left == right)


def _of(operand: Located, kind: str) -> Any:
    """What an operand is compared by: text as it is written where text is meant."""
    value = operand.value
    if kind in {"string", "version", "timestamp"} and isinstance(value, (int, float)):
        value = operand.text
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    if isinstance(value, list):
        value = operand.plain()
    return comparable(value, kind)


def _shown(operand: Located) -> str:
    if operand.is_list:
        return "[" + ", ".join(item.text or item.kind for item in operand.value[:10]) + "]"
    return operand.text[:60] or operand.kind
