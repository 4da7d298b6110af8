"""Constraints on values (TOSCA Simple Profile 1.3, 3.6.3), read and applied.

Pattern and value both come from whoever sends a change. So patterns are matched by RE2, whose time
is at most pattern times text, and all of one topology share a budget of it. What RE2 leaves out
(looking ahead, references) is not judged, nor is what is beyond the budget.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ci.errors import EntryError
from ci.located import Located, nearest
from ci.tosca.scalars import UNBOUNDED, comparable

_MOST = 20  # constraints of one value
_LONGEST_PATTERN = 1000  # characters
_PATTERN_MEMORY = 1 << 20  # bytes
_BUDGET = 20_000_000  # characters times instructions of patterns: about a second
_COMPILING = 40_000  # the same, for a pattern that is read
_MOST_VALUES = 1000
_FEW = 20  # values that are compared one by one
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
    """One condition: its name, what the value is compared with, and what that means."""

    name: str
    operand: Located
    values: frozenset[Any] = frozenset()  # of valid_values
    pattern: Any = None  # as RE2 has it; None: not judged


@dataclass(slots=True)
class Limits:
    """Constraints of one topology (or of one set of inputs), each read once."""

    _read: dict[tuple[int, str], tuple[Located, list[Constraint]]] = field(default_factory=dict)
    _left: int = _BUDGET

    def read(self, holder: Located | None, kind: str) -> list[Constraint]:
        """The constraints of a value of a type. Raises ``EntryError`` for the first wrong one.

        ``kind`` is a simple type, or empty: then they are not compared with it.
        """
        found = []
        for item in [] if holder is None else _listed(holder):
            for name, operand in item.mapping("a constraint").items():
                if name not in NAMES:
                    message = f"unknown constraint {name[:60]!r}"
                    raise item.key_error(name, message, hint=nearest(name, NAMES))
                _check(name, operand, kind)
                found.append(self._constraint(name, operand, kind))
        return found

    def violations(self, value: Any, holder: Located | None, kind: str) -> Iterator[str]:
        """What constraints a value breaks: «must be at most 5». Wrong ones are left out."""
        if holder is None:
            return
        key = (id(holder), kind)
        if key not in self._read:
            try:
                constraints = self.read(holder, kind)
            except EntryError:
                constraints = []  # said where the constraint stands
            self._read[key] = (holder, constraints)  # with the holder, so that its id stays its
        for constraint in self._read[key][1]:
            demand = self._broken(constraint, value, kind)
            if demand:
                yield demand

    def _constraint(self, name: str, operand: Located, kind: str) -> Constraint:
        if name == "valid_values":
            found = (_of(item, kind) for item in operand.value)
            values = frozenset(value for value in found if isinstance(value, (str, int, float)))
            return Constraint(name, operand, values)
        if name == "pattern" and self._left > 0:
            pattern = _compiled(operand)
            self._left -= _COMPILING
            return Constraint(name, operand, pattern=pattern)
        return Constraint(name, operand)

    def _broken(self, constraint: Constraint, value: Any, kind: str) -> str:
        """What the value must be, if it is not."""
        if constraint.name != "pattern":
            return _broken(constraint, value, kind)
        if constraint.pattern is None or not isinstance(value, str):
            return ""
        self._left -= constraint.pattern.programsize * (len(value) + 1)
        if self._left < 0:
            return ""
        try:
            fits = constraint.pattern.fullmatch(value)
        except UnicodeEncodeError:  # half of a surrogate pair is no text that RE2 takes
            return ""
        return "" if fits else f"must match {constraint.operand.text[:60]!r}"


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
    if len(operand.string("pattern")) > _LONGEST_PATTERN:
        raise operand.error(f"the pattern is longer than {_LONGEST_PATTERN} characters")


def _compiled(operand: Located) -> Any:
    """The pattern as RE2 has it; None if it uses what RE2 has not. Raises ``EntryError``."""
    import re2

    options = re2.Options()
    options.log_errors = False
    options.max_mem = _PATTERN_MEMORY
    try:
        return re2.compile(operand.text, options)
    except re2.error as error:
        reason = error.args[0]
        reason = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        if reason.startswith(_BROKEN):
            raise operand.error(f"the pattern cannot be read: {reason[:80]}") from None
        return None
    except UnicodeEncodeError:
        return None


def _broken(constraint: Constraint, value: Any, kind: str) -> str:
    """What the value must be, if it is not."""
    name, operand = constraint.name, constraint.operand
    if name in _LENGTHS:
        fits = not isinstance(value, (str, list, dict)) or _compare(name, len(value), operand.value)
        demand = f"must have a length of {_LENGTHS[name]} {operand.value}"
    elif name == "in_range":
        fits = _is_inside(value, operand, kind)
        demand = f"must be in the range {_shown(operand)}"
    elif name == "valid_values":
        fits = _is_one_of(value, constraint, kind)
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


def _is_one_of(value: Any, constraint: Constraint, kind: str) -> bool:
    left = comparable(value, kind)
    if isinstance(left, (str, int, float)):
        return left in constraint.values
    return any(_equal(value, item, kind) for item in constraint.operand.value[:_FEW])


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
